# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and their kin, and the probe of the guest agent (§11)."""

from __future__ import annotations

from tests.emulator.model import checks, stateless
from tests.emulator.model.command import Command, Course, Task
from tests.emulator.model.layers import new_id
from tests.emulator.model.messages import FREEZE, REBOOT, RUN, STOP, SUSPEND, THAW, VM_LOCKED, Refusal
from tests.emulator.model.rows import VmStatus


class Start(Command):
    verb = RUN

    @property
    def title(self) -> str:
        return f"Launching VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        if vm.status is VmStatus.IMAGE_LOCKED:
            raise Refusal(409, f"Cannot run VM: {VM_LOCKED}")
        if vm.status not in (VmStatus.DOWN, VmStatus.SUSPENDED, VmStatus.PAUSED):
            raise self.verb.cannot("VM is running.")
        checks.no_row_locked(self.tables, self.verb, vm)
        if vm.settings.stateless:
            checks.not_in_preview(self.tables, self.verb, vm)
        disks = [disk for attachment, disk in self.tables.attached(vm) if attachment.plugged]
        checks.disks_free(self.tables, self.verb, disks)
        checks.disks_legal(self.tables, self.verb, disks)

    def execute(self) -> Course:
        vm = self.vm
        resumed = vm.status is VmStatus.SUSPENDED
        if vm.settings.stateless and not resumed:
            stateless.begin(self.engine, vm)
        vm.status = VmStatus.RESTORING_STATE if resumed else VmStatus.WAIT_FOR_LAUNCH
        self.end(ok=True)
        self.over = False
        yield Task(2.0)
        if not self._can_run():
            self.engine.power_off(vm)
        elif vm.status in (VmStatus.WAIT_FOR_LAUNCH, VmStatus.RESTORING_STATE):
            yield from self._boot(resumed)
        self.over = True

    def _can_run(self) -> bool:
        """The host needs every layer; one that a failed create left out shows only now."""
        images = [self.tables.images.current(disk.id) for attachment, disk in self.tables.attached(self.vm) if attachment.plugged]
        return all(self.storage.whole(image.id) for image in images if image)

    def _boot(self, resumed: bool) -> Course:
        vm, active = self.vm, self.tables.active(self.vm)
        if resumed and active.memory:
            used, active.memory = active.memory, None
            self.engine.forget_memory_ids(used)
        vm.status, vm.started = VmStatus.POWERING_UP, self.engine.stamp()
        yield Task(3.0)
        if vm.status is VmStatus.POWERING_UP:
            vm.status = VmStatus.UP


class PowerCommand(Command):
    """A command that a VM understands only while it runs."""

    allowed: tuple[VmStatus, ...] = (
        VmStatus.UP,
        VmStatus.PAUSED,
        VmStatus.POWERING_UP,
        VmStatus.WAIT_FOR_LAUNCH,
        VmStatus.POWERING_DOWN,
        VmStatus.REBOOT_IN_PROGRESS,
    )
    words = ""
    while_it_runs = VmStatus.POWERING_DOWN
    seconds = 1.0

    @property
    def title(self) -> str:
        return f"{self.words} VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        if vm.status not in self.allowed:
            raise self.verb.cannot("VM is not running.")

    def execute(self) -> Course:
        self.vm.status = self.while_it_runs
        self.end(ok=True)
        self.over = False
        yield Task(self.seconds)
        if self.vm.status is self.while_it_runs:
            self.arrive()
        self.over = True

    def arrive(self) -> None:
        self.engine.power_off(self.vm)


class Stop(PowerCommand):
    verb = STOP
    words = "Powering off"
    allowed = (*PowerCommand.allowed, VmStatus.SUSPENDED, VmStatus.NOT_RESPONDING, VmStatus.UNKNOWN)


class Shutdown(PowerCommand):
    verb = STOP
    words = "Shutting down"
    seconds = 5.0


class Suspend(PowerCommand):
    verb = SUSPEND
    words = "Hibernating"
    allowed = (VmStatus.UP,)
    while_it_runs = VmStatus.SAVING_STATE
    seconds = 6.0

    def check(self) -> None:
        super().check()
        checks.not_locked(self.verb, self.vm)
        checks.not_in_preview(self.tables, self.verb, self.vm)
        checks.not_stateless(self.verb, self.vm)

    def arrive(self) -> None:
        self.engine.power_off(self.vm)
        memory = (new_id(), new_id())
        for volume_id in memory:
            self.storage.create(volume_id, None)
        self.tables.active(self.vm).memory = memory
        self.vm.status = VmStatus.SUSPENDED


class Reboot(PowerCommand):
    verb = REBOOT
    words = "Rebooting"
    allowed = (VmStatus.UP, VmStatus.POWERING_UP)
    while_it_runs = VmStatus.REBOOT_IN_PROGRESS
    seconds = 5.0

    def arrive(self) -> None:
        self.vm.status = VmStatus.UP


class Freeze(Command):
    """Also the only probe for a guest agent."""

    verb = FREEZE
    words, code, done_words = "Freezing", 10767, "frozen"

    @property
    def title(self) -> str:
        return f"{self.words} guest filesystems on VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.status_among(self.verb, vm, VmStatus.UP)

    def execute(self) -> Course:
        if not self.vm.agent:
            self.event(self.code - 3, f"Failed to freeze or thaw guest filesystems on VM {self.vm.name}", "warning")
            raise Refusal(400, "Guest agent non responsive")
        self.event(self.code, f"Guest filesystems on VM {self.vm.name} have been {self.done_words} successfully.")
        self.end(ok=True)
        yield from ()


class Thaw(Freeze):
    verb = THAW
    words, code, done_words = "Thawing", 10768, "thawed"
