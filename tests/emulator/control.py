# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start an emulator and steer it: contents, time, failures, what others do. See README.md for an example."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN = 30.0


class Request(NamedTuple):
    """A line of the emulator's log."""

    method: str
    path: str
    status: int | None
    correlation_id: str | None
    user: str | None


class Emulator:
    """A process of its own, from ``with`` to the end of the block."""

    def __init__(self, *, empty: bool = True, speed: float = 1000.0, port: int = 0) -> None:
        self._options = ["--port", str(port), "--speed", str(speed), *(["--empty"] if empty else [])]
        self._lock = threading.Lock()
        self._connection: http.client.HTTPSConnection | None = None
        self.username = "admin@internal"
        self.password = secrets.token_hex(8)
        self.url = ""
        self.ca = ""
        """The file with the certificate of its authority."""

    def __enter__(self) -> Emulator:
        self._folder = tempfile.TemporaryDirectory(prefix="emulator-")
        self.ca = str(Path(self._folder.name, "ca.pem"))
        command = [sys.executable, "-m", "tests.emulator", "--ca-out", self.ca, *self._options]
        environment = {**os.environ, "OVIRT_PASSWORD": self.password}
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(STARTS_WITHIN, self._process.kill)
        watchdog.start()
        first = self._process.stdout.readline() if self._process.stdout else ""
        watchdog.cancel()
        if not first.startswith("ready "):
            self._process.wait()
            self._folder.cleanup()
            raise RuntimeError(f"the emulator did not start, exit status {self._process.returncode}")
        self.url = first.split()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection:
            self._connection.close()
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout:
            self._process.stdout.close()
        self._folder.cleanup()

    def perform(self, operation: str, /, **arguments: Any) -> Any:
        """An operation of the control interface."""
        login = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        body = json.dumps({key: value for key, value in arguments.items() if value is not None})
        with self._lock:
            answer = self._post(f"/_emulator/{operation}", body, {"Authorization": f"Basic {login}", "Content-Type": "application/json"})
        found = json.loads(answer)
        if "error" in found:
            raise ValueError(f"{operation}: {found['error']}")
        return found["result"]

    def _post(self, path: str, body: str, headers: dict[str, str]) -> bytes:
        if self._connection is None:
            where = urlsplit(self.url)
            self._connection = http.client.HTTPSConnection(where.hostname or "", where.port, timeout=600, context=ssl.create_default_context(cafile=self.ca))
        try:
            self._connection.request("POST", path, body, headers)
            return self._connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise

    # Contents: each image maps a block's name to what was written there last
    def write(self, disk_id: str, block: str, token: str) -> None:
        """As a guest does: into the current image."""
        self.perform("write", disk=disk_id, block=block, token=token)

    def image_content(self, image_id: str) -> dict[str, str]:
        """What a disk would show if this image were its current one."""
        return dict(self.perform("image_content", image=image_id))

    def disk_content(self, disk_id: str) -> dict[str, str]:
        return dict(self.perform("disk_content", disk=disk_id))

    def volumes(self, vm_id: str | None = None) -> set[str]:
        """What is on storage, memory volumes included; without a VM orphans too."""
        return set(self.perform("volumes", vm=vm_id))

    # Things that are there at once, without tasks
    def make_vm(self, name: str, disks: Iterable[str | dict[str, Any]] = (), **options: Any) -> str:
        """A disk is a name, or a dictionary: name, size, format, shareable, lun, bootable, plugged, read_only, interface, pass_discard, content.

        The first disk is bootable unless another says that it is. Options: memory, nics (a number), running, agent, description, stateless, …
        """
        return str(self.perform("make_vm", name=name, disks=list(disks), **options))

    def attach_disk(self, vm_id: str, name: str, **options: Any) -> str:
        return str(self.perform("attach_disk", vm=vm_id, name=name, **options))

    def snapshot(self, vm_id: str, description: str, disks: list[str] | None = None) -> str:
        """A snapshot that somebody else makes: of all disks, or of these ids."""
        return str(self.perform("snapshot", vm=vm_id, description=description, disks=disks))

    def agent(self, vm_id: str, running: bool) -> None:
        self.perform("agent", vm=vm_id, running=running)

    def user(self, name: str, password: str, vm_id: str | None = None, permits: Iterable[str] | None = None) -> str:
        """With the permits of the least role on this VM, or on all. Returns the full name."""
        return str(self.perform("user", name=name, password=password, vm=vm_id, permits=None if permits is None else sorted(permits)))

    def expire_tokens(self) -> None:
        self.perform("expire_tokens")

    # Time
    def speed(self, x: float) -> None:
        self.perform("speed", x=x)

    def hold(self) -> None:
        """Tasks stand still, requests are answered."""
        self.perform("hold")

    def release(self) -> None:
        self.perform("release")

    def step(self) -> bool:
        """Let the next thing happen, while the tasks are held too. False: nothing is under way."""
        return bool(self.perform("step"))

    def settle(self, vm_id: str | None = None) -> None:
        """Let everything that is under way come to its end now."""
        self.perform("settle", vm=vm_id)

    # Failures
    def fault(self, kind: str, **where: Any) -> None:
        """See the table in README.md."""
        self.perform("fault", kind=kind, **where)

    def then(self, method: str, path: str, do: str, **arguments: Any) -> None:
        """Just before the next request like this one, perform an operation of this class: what others do at the worst moment."""
        self.fault("then", method=method, path=path, action={"do": do, **arguments})

    def clear_faults(self) -> None:
        self.perform("clear_faults")

    def faults(self) -> list[str]:
        """Which did not happen yet."""
        return list(self.perform("faults"))

    def restart(self, downtime: float = 25.0) -> None:
        """The engine dies and comes back after so many engine seconds (§15.3)."""
        self.perform("restart", downtime=downtime)

    def unlock(self, kind: str, name: str) -> None:
        """unlock_entity.sh of the engine's administrator; kind is vm, disk or snapshot."""
        self.perform("unlock", kind=kind, name=name)

    def clean_tasks(self) -> None:
        """taskcleaner.sh -r with the engine stopped."""
        self.perform("clean_tasks")

    # Looking
    def log(self) -> list[Request]:
        return [Request(*line) for line in self.perform("log")]

    def clear_log(self) -> None:
        self.perform("clear_log")

    def state(self, vm_id: str) -> dict[str, Any]:
        return dict(self.perform("state", vm=vm_id))

    def reset(self, empty: bool = True) -> None:
        """A fresh data centre; logins and speed stay."""
        self.perform("reset", empty=empty)
