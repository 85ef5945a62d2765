# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: takes commands, lets them go on, dies and comes back."""

from __future__ import annotations

from tests.emulator.model import stateless
from tests.emulator.model.command import Command, Course, Execute, Pause
from tests.emulator.model.messages import BUSY, Crashed, Refusal
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Snapshot, SnapshotStatus, Vm, VmStatus

ENDLESS = 10_000


class Engine(Parts):
    def __init__(self, speed: float = 20.0) -> None:
        super().__init__(speed)
        self.running: dict[Command, Course] = {}
        self.host_back_at = 0.0
        self.down_until = 0.0

    def empty(self) -> None:
        """Whoever waits for an answer gets none: what was asked for is gone."""
        super().empty()
        for command in getattr(self, "running", {}):
            command.cut = True
        self.running = {}
        for clock in (self.execution, self.clock):
            clock.release()
            for owner in clock.owners():
                clock.forget(owner)

    # Commands
    def submit(self, command: Command) -> None:
        """Check and start. A refusal leaves a failed job and no event (§2.4)."""
        call, job = command.call, None
        if command.monitored:
            job = command.job = self.journal.begin(command.title, call.correlation_id, call.user, command.vm_id, visible=False)
        try:
            command.check()
        except Refusal as refusal:
            if job and isinstance(refusal, Crashed):
                del self.journal.jobs[job.id]
            elif job:
                self.journal.end(job, ok=False)
            raise
        self.running[command] = command.run()
        self._go_on(command)

    def _go_on(self, command: Command) -> None:
        course = self.running.get(command)
        if course is None:
            return
        pause: Pause | None = next(course, None)
        if pause is None:
            if command.over:
                del self.running[command]
            return  # else it waits for ever
        clock = self.execution if isinstance(pause, Execute) else self.clock
        clock.after(pause.seconds, lambda: self._go_on(command), command)

    def advance(self) -> bool:
        """The next thing that is due, if there is one."""
        return self.execution.run() or self.clock.run()

    def wait(self) -> float | None:
        """Real seconds until something happens by itself."""
        waits = [wait for wait in (self.execution.wait(), self.clock.wait()) if wait is not None]
        return min(waits, default=None)

    def settle(self, vm_id: str | None = None) -> None:
        """Let time fly until nothing of this VM, or of any, is under way. What never ends is left alone at last."""
        for _moment in range(ENDLESS):
            if not any(vm_id in (None, owner.vm_id) for owner in self._owners()):
                return
            if not self.execution.leap():
                self.clock.leap()

    def _owners(self) -> list[Command]:
        return [owner for clock in (self.execution, self.clock) for owner in clock.owners() if isinstance(owner, Command)]

    # The host
    def host_down(self, seconds: float) -> None:
        self.host_back_at = self.execution.now() + seconds

    def host_answers(self) -> Course:
        """A request that needs the host blocks until it is back (§15.2)."""
        missing = self.host_back_at - self.execution.now()
        if missing > 0:
            yield Execute(missing)

    def stall(self, seconds: float) -> None:
        """One call to the host that is not answered: no command of the whole engine goes on (§15.2)."""
        self.clock.hold()
        self.execution.after(seconds, self.clock.release, "stall")

    def power_off(self, vm: Vm) -> None:
        vm.status, vm.stopped = VmStatus.DOWN, self.stamp()
        if vm.running_stateless:
            stateless.finish(self, vm)

    def forget_memory(self, row: Snapshot) -> None:
        if row.memory:
            self.forget_memory_ids(row.memory)

    def forget_memory_ids(self, memory: tuple[str, str]) -> None:
        """The last row that uses a memory takes it along (§11)."""
        if not any(row.memory == memory for row in self.tables.snapshots.values()):
            for volume_id in memory:
                self.storage.delete(volume_id)

    # Death and repair
    def restart(self, downtime: float = 25.0) -> None:
        """§15.3. Commands in their tasks go on; those in execution break; those that hang take their lock again."""
        self.down_until = self.execution.now() + downtime
        for command in list(self.running):
            command.cut = not command.over
            if self.execution.forget(command):
                command.answered = True
                self.running[command] = command.interrupted()
                self._go_on(command)
            elif command in self.clock.owners():
                command.saw_restart = True
            else:
                command.vm.lock = BUSY

    def unlock_entity(self, kind: str, name: str) -> None:
        """The administrator's unlock_entity.sh (§15.1)."""
        if kind == "snapshot":
            self.tables.snapshots[name].status = SnapshotStatus.OK
        elif kind == "disk":
            for image in self.tables.images.of(name):
                image.status = type(image.status).OK
        elif kind == "vm":
            for vm in self.tables.vms.values():
                if name in (vm.id, vm.name):
                    vm.status = VmStatus.DOWN
        else:
            raise ValueError(f"kind {kind}: one of vm, disk, snapshot")

    def clean_tasks(self) -> None:
        """taskcleaner.sh -r, with the engine stopped: forgets all waiting commands."""
        for command in list(self.running):
            command.vm.lock = None
            del self.running[command]
            self.clock.forget(command)
