# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs as a whole: add, edit, remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.emulator.model import checks
from tests.emulator.model.command import Call, Command, Course, Task
from tests.emulator.model.layers import new_id
from tests.emulator.model.messages import ADD_VM, EDIT_VM, REMOVE_VM, VM_LOCKED, Refusal
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Kind, Nic, Settings, Snapshot, SnapshotStatus, Vm, VmStatus

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine

USED = "The VM name is already in use, please choose a unique name and try again."


def new_vm(parts: Parts, settings: Settings) -> Vm:
    now = parts.stamp()
    vm = Vm(new_id(), settings, now, stopped=now)
    parts.tables.vms[vm.id] = vm
    active = Snapshot(new_id(), vm.id, Kind.ACTIVE, SnapshotStatus.OK, "Active VM", parts.stamp())
    parts.tables.snapshots[active.id] = active
    return vm


def new_nic(parts: Parts, vm: Vm, name: str, mac: str | None = None) -> Nic:
    nic = Nic(new_id(), name, mac or parts.new_mac())
    vm.nics.append(nic)
    return nic


def named(parts: Parts, name: str) -> list[Vm]:
    return [vm for vm in parts.tables.vms.values() if vm.name.lower() == name.lower()]


class AddVm(Command):
    verb = ADD_VM

    def __init__(self, engine: Engine, call: Call, settings: Settings) -> None:
        super().__init__(engine, call, None)
        self.settings = settings

    @property
    def title(self) -> str:
        return f"Creating VM {self.settings.name} in Cluster Default"

    def check(self) -> None:
        if named(self.engine, self.settings.name):
            raise self.verb.cannot(USED)

    def execute(self) -> Course:
        self._vm = new_vm(self.engine, self.settings)
        self.event(34, f"VM {self.settings.name} was created by {self.call.user}.")
        self.end(ok=True)
        yield from ()


class EditVm(Command):
    verb = EDIT_VM

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, changes: Mapping[str, Any]) -> None:
        super().__init__(engine, call, vm)
        self.changes = changes

    @property
    def title(self) -> str:
        return f"Editing VM {self.vm.name if self._vm else '<UNKNOWN>'} properties"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        if vm.status is VmStatus.IMAGE_LOCKED:
            raise Refusal(409, f"Cannot edit VM: {VM_LOCKED}")
        name = self.changes.get("name")
        if name and any(other is not vm for other in named(self.engine, name)):
            raise self.verb.cannot(USED)

    def execute(self) -> Course:
        self.vm.settings = replace(self.vm.settings, **self.changes)
        self.event(35, f"VM {self.vm.name} configuration was updated by {self.call.user}.")
        self.end(ok=True)
        yield from ()


class RemoveVm(Command):
    """Allowed in a preview too, dropped disks included (§6.7)."""

    verb = REMOVE_VM

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, keep_disks: bool = False) -> None:
        super().__init__(engine, call, vm)
        self.keep_disks = keep_disks

    @property
    def title(self) -> str:
        return f"Removing VM {self.vm.name if self._vm else '<UNKNOWN>'} from system"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        if vm.settings.delete_protected:
            raise self.verb.cannot("Delete protection is enabled. In order to delete, disable Delete protection first.")
        disks = [disk for _attachment, disk in self.tables.attached(vm)]
        if self.keep_disks and any(len(self.tables.images.of(disk.id)) > 1 for disk in disks):
            raise Refusal(409, "Cannot remove VM with detaching disks, snapshots exist.")
        if vm.status is VmStatus.SUSPENDED:
            raise Refusal(409, "Cannot remove VM that its state is not down.\n-Please stop the VM first.")
        if vm.status not in (VmStatus.DOWN, VmStatus.IMAGE_LOCKED):
            raise self.verb.cannot("VM is running.")
        checks.no_row_locked(self.tables, self.verb, vm)
        checks.disks_free(self.tables, self.verb, disks)
        if vm.status is VmStatus.IMAGE_LOCKED:
            raise Refusal(409, f"Cannot remove VM: {VM_LOCKED}")

    def execute(self) -> Course:
        vm, tables = self.vm, self.tables
        vm.status = VmStatus.IMAGE_LOCKED
        self.answer()
        yield Task(1.5)
        rows = tables.rows(vm.id)
        labels = {row.id for row in rows}
        mine = {image.disk_id for image in tables.images if image.snapshot_id in labels} | {d for d in vm.attachments if tables.disks[d].snapshottable}
        for disk_id in set() if self.keep_disks else mine:
            for image in tables.images.of(disk_id):
                tables.images.remove(image)
                self.storage.delete(image.id)
            tables.disks.pop(disk_id, None)
        for row in rows:
            del tables.snapshots[row.id]
            self.engine.forget_memory(row)
        del tables.vms[vm.id]
        self.event(113, f"VM {vm.name} was successfully removed by {self.call.user}.")
        self.end(ok=True)
