# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VM and its engine, as the steps of the verbs use them."""

from __future__ import annotations

import time
from typing import Any, Callable

from ..._engine.errors import Busy, Interrupted, NotFound, VmError
from ..._engine.model import Composition
from . import jobs, raw
from .engine import Engine

QUIET_FOR = 10.0
"""Seconds without a job after which what is locked is locked for good."""


HUNG_AFTER = 1800.0
"""Seconds after which a preview or a commit that locks the VM is taken to hang; what they do takes seconds, or some minutes."""

FRESH = 5.0
"""Seconds that a read is good for, when nothing was sent since; what changes meanwhile shows in what is read afterwards."""


class Desk:
    """``engine`` gives the connection of the thread that asks."""

    def __init__(self, engine: Callable[[], Engine], vm_id: str, name: str) -> None:
        self._engine = engine
        self.id = vm_id
        self.name = name
        self.done: dict[str, Composition | None] = {}
        """Requests that were carried out by this very task: request id -> None, for the engine does not note the composition."""
        self.made: set[str] = set()
        """Ids of snapshots that this very task made."""
        self.leftovers: tuple[str, ...] = ()
        """Ids of snapshots whose creation failed."""
        self.source: tuple[str, frozenset[str]] | None = None
        """The snapshot that this very task made for its preview: id, and ids of the disks that it must hold. Another task may have made one, too."""
        self.latest: tuple[float, Any] | None = None
        """What was read last, and when: good for the next step, as long as nothing was sent since."""

    @property
    def engine(self) -> Engine:
        return self._engine()

    @property
    def path(self) -> str:
        return f"/vms/{self.id}"

    def look(self) -> Any:
        """The VM as the engine shows it now, whatever is going on."""
        self.latest = None
        found = self.engine.vms(f"id={self.id}")
        if not found:
            raise NotFound(f"VM {self.name} is not there any more", "unknown_vm", "somebody deleted it, or the user may not see it")
        self.latest = (time.monotonic(), found[0])
        return found[0]

    def now(self) -> Any:
        """The VM as it was read last, if that was just now."""
        if self.latest is not None and time.monotonic() - self.latest[0] < FRESH:
            return self.latest[1]
        return self.look()

    def at_rest(self) -> Any:
        """The VM once nothing of it is locked. When it is locked and no job runs, for good then, it is returned as it is.

        Raises Busy when it does not come to rest in time.
        """
        vm = self.now()
        if raw.is_quiet(vm):
            return vm
        idle_since: float | None = None
        try:
            for passed in self.engine.clock.ticks(f"the engine's work on VM {self.name}"):
                vm = self.look()
                if raw.is_quiet(vm):
                    return vm
                if not raw.is_locked(vm) or self.works(vm):
                    idle_since = None
                elif idle_since is None:
                    idle_since = passed
                elif passed - idle_since >= QUIET_FOR:
                    return vm
        except Interrupted as error:
            what = ", ".join([*raw.locked(vm), *raw.foreign(vm)])
            raise Busy(f"VM {self.name}: the engine is still working on {what}", "engine_busy", "wait until it is done, then run again") from error
        return vm

    def works(self, vm: Any) -> bool:
        """A job of this VM runs, as far as this user may know."""
        if not self.engine.lists_jobs:
            return True
        service = self.engine.system.jobs_service()
        try:
            found = self.engine.read("reading jobs", service.list)
        except VmError as error:
            if error.reason != "no_permission":
                raise
            self.engine.lists_jobs = False
            return True
        # A job does not tell its VM but in its text; that of another VM whose name begins alike is no harm: it is waited for.
        return any(str(job.status) == "started" and vm.name in (job.description or "") and not _hangs(vm, job) for job in found)

    def send(self, what: str, verb: str, key: tuple[Any, ...], method: str, path: str, body: Any, happened: Callable[[Any], bool]) -> tuple[str, Any]:
        """Send a request, once: its correlation id and the engine's answer. ``happened`` says by the VM whether it took effect.

        ``body`` may be what makes the body: it is asked each time, for others may have been at work meanwhile. Raises what the engine refuses,
        translated.
        """
        engine = self.engine

        def request(named: str) -> Any:
            content = body() if callable(body) else body
            self.latest = None
            return engine.act(method, self.path + path, content, named)

        return jobs.send(engine, what, jobs.prefix(verb, self.id, *key), request, lambda: happened(self.look()))

    def wait(self, what: str, named: str, answer: Any, limit: float | None = None) -> str:
        """Wait until the job of a request is over: finished, failed or unknown. ``limit`` in seconds, if it is less than the task's own."""
        try:
            return jobs.wait(self.engine, what, named, answer, lambda: raw.is_quiet(self.look()), limit)
        finally:
            self.latest = None

    def ask(
        self, what: str, verb: str, key: tuple[Any, ...], method: str, path: str, body: Any, happened: Callable[[Any], bool], limit: float | None = None
    ) -> str:
        """Send a request and wait until it is over."""
        named, answer = self.send(what, verb, key, method, path, body, happened)
        return self.wait(what, named, answer, limit)


def _hangs(vm: Any, job: Any) -> bool:
    """The job of a preview or a commit that will never end; nothing else has locked the whole VM for so long."""
    long_ago = job.start_time is not None and time.time() - job.start_time.timestamp() > HUNG_AFTER
    return long_ago and str(vm.status) == "image_locked" and (job.description or "").startswith(("Preview VM Snapshot", "Restoring VM Snapshot"))
