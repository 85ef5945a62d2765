# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and their kin, and the probe of the guest agent (§11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.emulator.model import checks, stateless
from tests.emulator.model.command import Command, Course, Task
from tests.emulator.model.layers import new_id
from tests.emulator.model.messages import (
    FREEZE,
    NO_BOOT_DISK,
    NOT_RUNNING,
    REBOOT,
    RESET,
    RUN,
    SAVING_OR_RESTORING,
    SHUTDOWN,
    STOP,
    SUSPEND,
    THAW,
    VM_LOCKED,
    Refusal,
)
from tests.emulator.model.parts import HOST
from tests.emulator.model.rows import Vm, VmStatus

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine


class Start(Command):
    verb = RUN

    @property
    def title(self) -> str:
        return f"Launching VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        disks = [disk for attachment, disk in self.tables.attached(vm) if attachment.plugged]
        if not disks and vm.settings.boot_devices == ("hd",) and vm.status is not VmStatus.SUSPENDED:
            raise Refusal(409, NO_BOOT_DISK)
        if vm.status is VmStatus.IMAGE_LOCKED:
            raise Refusal(409, f"Cannot run VM: {VM_LOCKED}")
        checks.no_row_locked(self.tables, self.verb, vm)
        checks.status_among(self.verb, vm, VmStatus.DOWN, VmStatus.SUSPENDED, VmStatus.PAUSED)
        if vm.settings.stateless:
            checks.not_in_preview(self.tables, self.verb, vm)
        checks.disks_free(self.tables, self.verb, disks)
        checks.disks_legal(self.tables, self.verb, disks)

    def execute(self) -> Course:
        vm = self.vm
        resumed = vm.status is VmStatus.SUSPENDED
        if vm.settings.stateless and not resumed:
            stateless.begin(self.engine, vm)
        vm.status = VmStatus.RESTORING_STATE if resumed else VmStatus.WAIT_FOR_LAUNCH
        self.event(153, f"VM {vm.name} was started by {self.call.user} (Host: {HOST}).")
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
        vm = self.vm
        if resumed:
            use_up_memory(self.engine, vm)
        vm.status, vm.started = VmStatus.POWERING_UP, self.engine.stamp()
        yield Task(3.0)
        if vm.status is VmStatus.POWERING_UP:
            vm.status = VmStatus.UP
            self.event(32, f"VM {vm.name} started on Host {HOST}")


def use_up_memory(engine: Engine, vm: Vm) -> None:
    """What ACTIVE had for the next start is gone: resumed, or cleared."""
    active = engine.tables.active(vm)
    used, active.memory = active.memory, None
    if used:
        engine.forget_memory_ids(used)


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
    code = 0
    while_it_runs = VmStatus.POWERING_DOWN
    seconds = 1.0

    @property
    def title(self) -> str:
        return f"{self.words} VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        checks.status_among(self.verb, checks.exists(self.verb, self._vm), *self.allowed)

    def tell(self) -> str:
        """The event's text."""
        return f"VM {self.vm.name} powered off by {self.call.user} (Host: {HOST})."

    def execute(self) -> Course:
        self.event(self.code, self.tell())
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
    """Of a VM that is down: nothing to do, and no refusal."""

    verb = STOP
    words, skipped = "Stopping", "Stop VM"
    code = 33
    allowed = (*PowerCommand.allowed, VmStatus.SUSPENDED, VmStatus.NOT_RESPONDING, VmStatus.UNKNOWN)

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        if vm.status in (VmStatus.SAVING_STATE, VmStatus.RESTORING_STATE):
            raise self.verb.cannot(SAVING_OR_RESTORING)
        if vm.status not in (VmStatus.DOWN, *self.allowed):
            raise self.verb.cannot(NOT_RUNNING)

    def execute(self) -> Course:
        vm = self.vm
        if vm.status is VmStatus.DOWN:
            self.event(254, f"VM {vm.name} is already Down, {self.skipped} was skipped. User: {self.call.user}.")
            self.end(ok=True)
        elif vm.status is VmStatus.SUSPENDED:
            self.event(111, f"Suspended VM {vm.name} has had its save state cleared by {self.call.user}.")
            use_up_memory(self.engine, vm)
            self.engine.power_off(vm)
            self.end(ok=True)
        else:
            yield from super().execute()


class Shutdown(Stop):
    verb = SHUTDOWN
    words, skipped = "Shutting down", "Shutdown VM"
    code = 73
    seconds = 5.0

    def tell(self) -> str:
        return f"VM shutdown initiated by {self.call.user} on VM {self.vm.name} (Host: {HOST})."


class Suspend(PowerCommand):
    verb = SUSPEND
    words = "Performing Hibernate action on"
    code = 501
    while_it_runs = VmStatus.SAVING_STATE
    seconds = 6.0

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        if vm.status in (VmStatus.WAIT_FOR_LAUNCH, VmStatus.NOT_RESPONDING):
            raise self.verb.because(vm.status.words)
        if vm.status is not VmStatus.UP:
            raise self.verb.cannot("VM is not up.")
        if vm.running_stateless:
            raise Refusal(409, "Cannot suspend VM, VM is stateless.")
        checks.not_in_preview(self.tables, self.verb, vm)

    def tell(self) -> str:
        return f"Suspending VM {self.vm.name} was initiated by User {self.call.user} (Host: {HOST})."

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
    code, doing = 157, "rebooting. Rebooted"
    allowed: tuple[VmStatus, ...] = (VmStatus.UP, VmStatus.POWERING_UP)
    while_it_runs = VmStatus.REBOOT_IN_PROGRESS
    seconds = 5.0

    def tell(self) -> str:
        return f"VM {self.vm.name} is {self.doing} by: {self.call.user}"

    def arrive(self) -> None:
        self.vm.status = VmStatus.UP


class Reset(Reboot):
    verb = RESET
    words = "Resetting"
    code, doing = 221, "resetting. Reset"
    allowed = tuple(status for status in PowerCommand.allowed if status not in (VmStatus.PAUSED, VmStatus.WAIT_FOR_LAUNCH))
    seconds = 1.0


class Freeze(Command):
    """Also the only probe for a guest agent."""

    verb = FREEZE
    title, code, refused, done_words = "FreezeVm", 10767, 10769, "frozen"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.status_among(self.verb, vm, VmStatus.UP)

    def execute(self) -> Course:
        if not self.vm.agent:
            self.event(self.refused, f"Failed to {self.verb.action} guest filesystems on {self.vm.name} (Host: {HOST}, User: {self.call.user}).", "warning")
            raise Refusal(400, "Guest agent non responsive")
        self.event(self.code, f"Guest filesystems on VM {self.vm.name} have been {self.done_words} successfully.")
        self.end(ok=True)
        yield from ()


class Thaw(Freeze):
    verb = THAW
    title, code, refused, done_words = "ThawVm", 10768, 10770, "thawed"
