# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all commands of the engine have in common: checks, execution, tasks, an end (§4.2).

A command is a generator. It yields a pause where the engine waits; between two pauses nothing else happens, as in a transaction. While
it is executed its client waits for the answer. Then come the tasks, then the end, and only then the job is over.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from tests.emulator.model.journal import Job
from tests.emulator.model.messages import Refusal, Verb
from tests.emulator.model.rows import Vm

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine


@dataclass(frozen=True)
class Execute:
    """Engine seconds in which the client waits."""

    seconds: float


@dataclass(frozen=True)
class Task:
    """Engine seconds on the clock that tests can stop."""

    seconds: float


Pause = Union[Execute, Task]
Course = Iterator[Pause]

JOB_SHOWS = 0.2
ROWS_SHOW = 0.6
"""§15.4: when the job and the changed rows can be seen after a request was sent."""


@dataclass(frozen=True)
class Call:
    """Who asked, under which correlation id."""

    correlation_id: str
    user: str


class Command(ABC):
    verb: Verb
    lock_message: str | None = None
    """What others are told while this one holds the VM's lock in memory; None: it takes none."""
    monitored = True
    """False: it leaves no job."""

    def __init__(self, engine: Engine, call: Call, vm: Vm | None) -> None:
        self.engine = engine
        self.call = call
        self._vm = vm
        self.tables = engine.tables
        self.storage = engine.storage
        self.job: Job | None = None
        self.tasks: list[str] = []
        self.answered = False
        self.tasks_over = False
        self.over = False
        self.cut = False
        """The engine died under the client."""
        self.saw_restart = False
        """It came back while the tasks ran. Most of them go on; a cold merge does not (§15.3)."""
        self.refusal: Refusal | None = None

    @property
    def vm(self) -> Vm:
        if self._vm is None:
            raise LookupError("this command has no VM")
        return self._vm

    @property
    def vm_id(self) -> str | None:
        return self._vm.id if self._vm else None

    @property
    def done(self) -> bool:
        """The client can have its answer."""
        return self.answered

    @property
    @abstractmethod
    def title(self) -> str:
        """The description of the job."""

    @abstractmethod
    def check(self) -> None:
        """Raise a Refusal in the engine's order of checks."""

    @abstractmethod
    def execute(self) -> Course:
        """Change the rows, answer, wait for the tasks, end."""

    # The course of every command
    def run(self) -> Course:
        if self.lock_message:
            self.vm.lock = self.lock_message
        yield Execute(JOB_SHOWS)
        if self.job:
            self.job.visible = True
        yield from self.engine.host_answers()
        yield Execute(ROWS_SHOW)
        if self.job:
            self.engine.journal.step(self.job, "executing", "Executing")
        try:
            yield from self.execute()
        except Refusal as refusal:
            self.refuse(refusal)
            self.end(ok=False)

    def unlock(self) -> None:
        if self._vm is not None and self._vm.lock == self.lock_message:
            self._vm.lock = None

    def answer(self) -> None:
        """The client has its answer. Commands whose rows say all release the lock here; others override."""
        self.answered = True
        if not self.tasks:
            self.tasks_over = True

    def refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self.answered = self.tasks_over = True

    def end(self, ok: bool) -> None:
        if self.job and self.job.end is None:
            if len(self.job.steps) > 1:
                self.engine.journal.step(self.job, "finalizing", "Finalizing")
            self.engine.journal.end(self.job, ok)
        self.unlock()
        self.answered = self.tasks_over = self.over = True

    def interrupted(self) -> Course:
        """The engine was restarted while this was executed (§15.3). Nothing was changed: the job reads unknown."""
        if self.job:
            self.job.status, self.job.visible = "unknown", True
        self.unlock()
        return iter(())

    # Small things
    def task_ids(self, count: int) -> None:
        self.tasks = [str(uuid.uuid4()) for _number in range(count)]

    def event(self, code: int, text: str, severity: str = "normal") -> None:
        vm = self._vm
        self.engine.journal.event(code, text, self.call.correlation_id, self.call.user, vm.id if vm else None, vm.name if vm else None, severity)

    def fails(self, kind: str, **facts: object) -> bool:
        return self.engine.injections.take(kind, vm=(self.vm.id, self.vm.name), **facts) is not None
