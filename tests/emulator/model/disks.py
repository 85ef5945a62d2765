# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a VM: add, attach, edit, detach, delete (§12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.emulator.model import checks
from tests.emulator.model.command import Call, Command, Course, Task
from tests.emulator.model.configuration import forget_disk
from tests.emulator.model.layers import new_id
from tests.emulator.model.messages import ADD_DISK, ATTACH_DISK, DETACH_DISK, EDIT_DISK, REMOVE_DISK
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Attachment, Disk, Image, ImageStatus, Vm, VmStatus

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine


@dataclass(frozen=True)
class DiskPlan:
    alias: str
    description: str = ""
    size: int = 1 << 30
    format: str = "cow"
    shareable: bool = False
    lun: bool = False
    domain_id: str | None = None
    image_id: str | None = None


def new_disk(parts: Parts, plan: DiskPlan, label: str | None, status: ImageStatus = ImageStatus.OK) -> Disk:
    domain = plan.domain_id or next(iter(parts.tables.domains))
    disk = Disk(new_id(), plan.alias, plan.description, plan.shareable, plan.lun, plan.size, "" if plan.lun else domain)
    parts.tables.disks[disk.id] = disk
    if not plan.lun:
        image = Image(plan.image_id or new_id(), disk.id, None, None if plan.shareable else label, True, status, plan.size, plan.format, parts.stamp())
        parts.tables.images.add(image)
        parts.storage.create(image.id, disk.id)
    return disk


def relabel(parts: Parts, disk: Disk, label: str | None) -> None:
    for image in parts.tables.images.of(disk.id):
        if not disk.shareable:
            image.snapshot_id = label


class AddDisk(Command):
    """With a plan: a new disk. With a disk: an existing one."""

    verb = ADD_DISK

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disk: Disk | DiskPlan, attachment: Attachment) -> None:
        super().__init__(engine, call, vm)
        self.wanted = disk
        self.attachment = attachment
        if isinstance(disk, Disk):
            self.verb = ATTACH_DISK

    @property
    def title(self) -> str:
        return f"Adding Disk {self.wanted.alias} to VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        checks.no_row_locked(self.tables, self.verb, vm)
        checks.not_in_preview(self.tables, self.verb, vm)
        if self.attachment.bootable:
            no_other_boot_disk(self.engine, self, vm, None)
        if isinstance(self.wanted, Disk):
            checks.disks_free(self.tables, self.verb, [self.wanted])
            owner = self.tables.vm_of(self.wanted.id)
            if owner and self.wanted.snapshottable:
                raise self.verb.cannot(f"Disk {self.wanted.alias} is already attached to VM {owner.name}.")

    def execute(self) -> Course:
        label = self.tables.active(self.vm).id
        if isinstance(self.wanted, Disk):
            disk = self.wanted
            relabel(self.engine, disk, label)
        else:
            disk = new_disk(self.engine, self.wanted, label, ImageStatus.LOCKED)
        self.attachment.disk_id = disk.id
        self.vm.attachments[disk.id] = self.attachment
        self.answer()
        yield Task(2.0)
        for image in self.tables.images.of(disk.id):
            image.status = ImageStatus.OK
        self.event(78, f"The disk {disk.alias} was successfully added to VM {self.vm.name}.")
        self.end(ok=True)


def no_other_boot_disk(parts: Parts, command: Command, vm: Vm, disk_id: str | None) -> None:
    other = next((disk for attachment, disk in parts.tables.attached(vm) if attachment.bootable and disk.id != disk_id), None)
    if other:
        raise command.verb.cannot(f"Disk {other.alias} in VM {vm.name} is already marked as boot.")


class EditDisk(Command):
    """Of an attachment (plugged, bootable, …) and of the disk itself (alias, size). The disk is locked for a moment afterwards (§6.4)."""

    verb = EDIT_DISK

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disk: Disk, attachment: Mapping[str, Any], disk_changes: Mapping[str, Any]) -> None:
        super().__init__(engine, call, vm)
        self.disk = disk
        self.changes = attachment
        self.disk_changes = disk_changes

    @property
    def title(self) -> str:
        return f"Editing Virtual Disk {self.disk.alias}"

    def check(self) -> None:
        vm, tables = self._vm, self.tables
        if vm is None:
            checks.disks_free(tables, self.verb, [self.disk])
            return
        checks.not_locked(self.verb, vm)
        checks.no_row_locked(tables, self.verb, vm)
        if not self._only_alias():
            checks.not_in_preview(tables, self.verb, vm)
        if tables.locked_disks([self.disk]):
            if self.changes.get("plugged") is False:
                vm.attachments[self.disk.id].plugged = False  # refused, and done all the same (§15.1)
            raise self.verb.disks_locked("${diskAliases}")
        if self.changes.get("bootable"):
            no_other_boot_disk(self.engine, self, vm, self.disk.id)
        if vm.status is not VmStatus.DOWN and set(self.changes) - {"plugged"}:
            raise self.verb.cannot("At least one of the VMs is not down.")

    def _only_alias(self) -> bool:
        return not self.changes and set(self.disk_changes) <= {"alias", "description"}

    def execute(self) -> Course:
        if self._vm:
            attachment = self.vm.attachments[self.disk.id]
            for key, value in self.changes.items():
                setattr(attachment, key, value)
        for key, value in self.disk_changes.items():
            setattr(self.disk, key, value)
        image = self.tables.images.current(self.disk.id)
        if image and "size" in self.disk_changes:
            image.size = self.disk_changes["size"]
        if image:
            image.status = ImageStatus.LOCKED
        self.answer()
        yield Task(0.7)
        if image:
            image.status = ImageStatus.OK
        self.end(ok=True)


class DetachDisk(Command):
    verb = DETACH_DISK

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disk: Disk) -> None:
        super().__init__(engine, call, vm)
        self.disk = disk

    @property
    def title(self) -> str:
        return f"Detaching Virtual Disk {self.disk.alias} from VM {self.vm.name}"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        if len(self.tables.images.of(self.disk.id)) > 1:
            text = "The disk is already configured in a snapshot. In order to detach it, remove the disk's snapshots."
            raise self.verb.cannot(text)
        checks.disks_free(self.tables, self.verb, [self.disk])
        if vm.status is not VmStatus.DOWN and vm.attachments[self.disk.id].plugged:
            raise self.verb.cannot("At least one of the VMs is not down.")

    def execute(self) -> Course:
        del self.vm.attachments[self.disk.id]
        relabel(self.engine, self.disk, None)
        self.end(ok=True)
        yield from ()


class DeleteDisk(Command):
    verb = REMOVE_DISK

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disk: Disk) -> None:
        super().__init__(engine, call, vm)
        self.disk = disk

    @property
    def title(self) -> str:
        return f"Removing Disk {self.disk.alias}"

    def check(self) -> None:
        vm = self._vm
        if vm:
            checks.not_locked(self.verb, vm)
            checks.no_row_locked(self.tables, self.verb, vm)
            checks.not_in_preview(self.tables, self.verb, vm)
            if vm.status is not VmStatus.DOWN and vm.attachments[self.disk.id].plugged:
                raise self.verb.cannot("At least one of the VMs is not down.")
        checks.disks_free(self.tables, self.verb, [self.disk])

    def execute(self) -> Course:
        for image in self.tables.images.of(self.disk.id):
            image.status = ImageStatus.LOCKED
        self.answer()
        yield Task(2.0)
        for image in self.tables.images.of(self.disk.id):
            self.tables.images.remove(image)
            self.storage.delete(image.id)
        forget_disk(self.tables, self.disk.id)
        for vm in self.tables.vms.values():
            vm.attachments.pop(self.disk.id, None)
        del self.tables.disks[self.disk.id]
        self.event(2014, f"Disk {self.disk.alias} was successfully removed from domain.")
        self.end(ok=True)
