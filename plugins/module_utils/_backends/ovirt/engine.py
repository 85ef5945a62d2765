# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to an engine: reads through the SDK's services, effects as requests of our own, since the SDK throws away the id of the job."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any, Callable, TypeVar

from ..._engine.errors import BackendFailed, VmError
from .clock import Clock
from .faults import LANGUAGE, PERMITS, Lost, is_away, stumbled, translate
from .login import Login
from .sdk import http, reader, sdk, types, writer

Value = TypeVar("Value")
FULL = "snapshots,nics,disk_attachments.disk.disksnapshots"
"""What a read follows: with the active images it is the whole picture in one answer, without parsing a configuration."""

AGAIN_AFTER = (0.2, 0.5, 1.0)
"""Seconds before a read that stumbled is sent again."""

RESTART_SECONDS = 120
"""How long an engine that has answered before may be away; a restart takes half a minute. Logins end with it, and the SDK logs in anew."""


class Engine:
    """Not for several threads at once: each has its own, with the same token."""

    def __init__(self, login: Login, clock: Clock) -> None:
        self.clock = clock
        self.lists_jobs = True
        """Ordinary users may not; it is found out by asking."""
        self.reached = False
        """Whether it has answered: one that never did is not waited for."""
        self._login = login
        self._sdk = self._line(login.token)
        self.system = self._sdk.system_service()

    def _line(self, token: str) -> Any:
        login = self._login
        return sdk.Connection(
            url=login.url,
            username=login.username or None,
            password=login.password or None,
            token=token or None,
            ca_file=login.ca_file or None,
            insecure=login.insecure,
            timeout=login.timeout or int(self.clock.timeout),
            compress=login.compress,
            kerberos=login.kerberos,
            headers={**LANGUAGE, **login.headers},
        )

    def token(self) -> str:
        """Log in, unless that is done. Raises BackendFailed when the engine does not let the user in."""
        try:
            return str(self._sdk.authenticate())
        except Exception as error:  # what comes from there is not always an error of the SDK
            raise self._said(error, f"logging in to {self._login.url}") from error

    def _said(self, error: Exception, what: str) -> VmError:
        if isinstance(error, sdk.AuthError) and self._login.token and not self._login.password and "SSO" in str(error):
            # The SDK then tries to log in as nobody, and reports that.
            return BackendFailed(f"{what}: the engine does not take the token", "login_failed", "it may have expired: log in anew")
        if stumbled(error) and self._is_shut_out():
            return BackendFailed(f"{what}: the engine does not let this user in", "login_failed", f"check who it is; {PERMITS}")
        return translate(error, what)

    def _is_shut_out(self) -> bool:
        """The SDK does not tell the status of an answer that is a web page."""
        with suppress(Exception):
            return bool(self._sdk.wait(self._sdk.send(http.Request(method="GET"))).code == 401)
        return False

    def another(self, clock: Clock) -> Engine:
        """A connection of its own for another thread, with this one's login."""
        return Engine(replace(self._login, token=self.token()), clock)

    def close(self, logout: bool) -> None:
        with suppress(Exception):  # what there was to do is done, and the engine ends idle logins by itself
            self._sdk.close(logout=logout)

    # Reads

    def read(self, what: str, call: Callable[[], Value]) -> Value:
        """The answer to a read; it is asked again when the engine stumbles over what vanishes just then, and while it restarts."""
        if not self.reached:
            self.token()
        pauses = list(AGAIN_AFTER)
        patience = time.monotonic() + min(RESTART_SECONDS, self.clock.timeout)
        while True:
            try:
                found = call()
                self.reached = True
                return found
            except sdk.Error as error:
                if self.reached and is_away(error) and time.monotonic() < patience:
                    time.sleep(max(AGAIN_AFTER[0], self.clock.interval))
                elif stumbled(error) and pauses:
                    time.sleep(pauses.pop(0))
                else:
                    raise self._said(error, what) from error
            except VmError:
                raise
            except Exception as error:  # the SDK's XML reader has no error of its own
                raise BackendFailed(
                    f"{what}: the engine's answer cannot be read: {error}",
                    "unreadable",
                    "a snapshot's description with a control character does that; remove that snapshot with a client that speaks JSON",
                ) from error

    def vms(self, search: str, configs: bool = False) -> list[Any]:
        """The VMs that a search finds, each with all its snapshots, disks and images; ``configs``: and each snapshot with its OVF."""
        query = {"include_active": "true", **({"all_content": "true"} if configs else {})}
        service = self.system.vms_service()
        return list(self.read("reading VMs", lambda: service.list(search=search, follow=FULL, case_sensitive=True, query=query)))

    def snapshot(self, vm_id: str, snapshot_id: str, config: bool = False) -> Any:
        """One snapshot with its disks as they are recorded there, those included whose image is gone; ``config``: with the OVF."""
        service = self.system.vms_service().vm_service(vm_id).snapshots_service().snapshot_service(snapshot_id)
        query = {"follow": "disks", **({"all_content": "true"} if config else {})}
        return self.read("reading a snapshot", lambda: service.get(query=query))

    def events(self, correlation_id: str) -> list[Any]:
        """The events of one correlation id, the newest first; it may be a pattern."""
        service = self.system.events_service()
        return list(self.read("reading events", lambda: service.list(search=f"correlation_id={correlation_id}")))

    # Effects

    def act(self, method: str, path: str, body: Any, correlation_id: str) -> Any:
        """Send a request that changes something, once; the object of the answer.

        Raises Lost when there is none, and the SDK's errors for what the engine refuses.
        """
        text = writer.Writer.write(body) if body is not None else None
        request = http.Request(method=method, path=path, headers={"Correlation-Id": correlation_id}, body=text)
        # libcurl by itself sends once more what it sent over a line that was in use before and breaks. So each effect has a new line.
        line = self._line(self.token())
        try:
            response = line.wait(line.send(request))
        except (sdk.ConnectionError, sdk.AuthError):
            raise
        except sdk.Error as error:  # sent, but the line broke or the time was up
            raise Lost(str(error)) from error
        finally:
            with suppress(Exception):
                line.close(logout=False)
        if response.code >= 500 and not response.body.lstrip().startswith((b"<?xml", b"<action", b"<fault")):
            raise Lost(f"the engine crashed with status {response.code}")
        answer = reader.Reader.read(response.body) if response.body else None
        fault = answer if isinstance(answer, types.Fault) else getattr(answer, "fault", None)
        if response.code in (200, 201, 202) and fault is None:
            return answer
        raise _refusal(response.code, fault)


def _refusal(code: int, fault: Any) -> Exception:
    """An engine's no, in the form that the SDK gives it."""
    kind = {401: sdk.AuthError, 403: sdk.AuthError, 404: sdk.NotFoundError}.get(code, sdk.Error)
    error: Exception = kind(f"HTTP status {code}", code, fault)
    return error
