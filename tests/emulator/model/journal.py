# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs with their steps, and events: how a client follows an operation (§3.6)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

FINISHED_KEPT = 10 * 60_000
FAILED_KEPT = 60 * 60_000


@dataclass
class Step:
    id: str
    kind: str
    description: str
    number: int
    start: int
    end: int | None = None
    status: str = "started"
    parent: str | None = None
    external: str | None = None


@dataclass
class Job:
    id: str
    correlation_id: str
    description: str
    owner: str
    start: int
    vm_id: str | None
    status: str = "started"
    end: int | None = None
    updated: int = 0
    visible: bool = True
    """The row is written a moment after the request came in (§15.4)."""
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    id: int
    code: int
    severity: str
    description: str
    correlation_id: str
    time: int
    user: str | None
    vm_id: str | None
    vm_name: str | None


class Journal:
    def __init__(self, stamp: Callable[[], int]) -> None:
        self._stamp = stamp
        self.jobs: dict[str, Job] = {}
        self.events: list[Event] = []

    # Jobs
    def begin(self, description: str, correlation_id: str, owner: str, vm_id: str | None, visible: bool = True) -> Job:
        now = self._stamp()
        job = Job(str(uuid.uuid4()), correlation_id, description, owner, now, vm_id, updated=now, visible=visible)
        self.jobs[job.id] = job
        self.step(job, "validating", "Validating")
        return job

    def step(self, job: Job, kind: str, description: str, parent: Step | None = None) -> Step:
        """The next step; it ends the one before, except where it is a part of it."""
        if parent is None:
            self._end_steps(job, "finished")
        number = sum(1 for step in job.steps if step.parent == (parent.id if parent else None))
        step = Step(str(uuid.uuid4()), kind, description, number, self._stamp(), parent=parent.id if parent else None)
        step.external = "vdsm" if parent else None
        job.steps.append(step)
        return step

    def _end_steps(self, job: Job, status: str) -> None:
        now = self._stamp()
        for step in job.steps:
            if step.end is None:
                step.end, step.status = now, status

    def end_step(self, step: Step, ok: bool = True) -> None:
        step.end, step.status = self._stamp(), "finished" if ok else "failed"

    def end(self, job: Job, ok: bool) -> None:
        job.status = "finished" if ok else "failed"
        self._end_steps(job, job.status)
        job.end = job.updated = self._stamp()
        job.visible = True

    def kept(self) -> list[Job]:
        """Without those that were cleaned away; the newest first."""
        now = self._stamp()
        for job in list(self.jobs.values()):
            limit = FINISHED_KEPT if job.status == "finished" else FAILED_KEPT
            if job.end is not None and now - job.end > limit:
                del self.jobs[job.id]
        return [job for job in reversed(self.jobs.values()) if job.visible]

    # Events
    def event(
        self, code: int, description: str, correlation_id: str, user: str | None, vm_id: str | None, vm_name: str | None, severity: str = "normal"
    ) -> None:
        number = 1000 + len(self.events)
        self.events.append(Event(number, code, severity, description, correlation_id, self._stamp(), user, vm_id, vm_name))
