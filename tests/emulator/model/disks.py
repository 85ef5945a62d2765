# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a VM: add, attach, edit, detach, delete (§12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.emulator.model import checks
from tests.emulator.model.command import Call, Command, Course, Task
from tests.emulator.model.configuration import forget_disk
from tests.emulator.model.layers import new_id
from tests.emulator.model.messages import ADD_DISK, ATTACH_DISK, DETACH_DISK, EDIT_DISK, NOT_DOWN, PLUG_DISK, REMOVE_DISK, UNPLUG_DISK, VM_LOCKED, Refusal
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Attachment, Disk, Image, ImageStatus, Vm, VmStatus

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine

PLUGGABLE = (VmStatus.UP, VmStatus.PAUSED, VmStatus.DOWN)


@dataclass(frozen=True)
class DiskPlan:
    alias: str
    description: str = ""
    size: int = 1 << 30
    format: str = "cow"
    sparse: bool = True
    shareable: bool = False
    lun: bool = False
    domain_id: str | None = None
    image_id: str | None = None


def new_disk(parts: Parts, plan: DiskPlan, label: str | None, status: ImageStatus = ImageStatus.OK) -> Disk:
    domain = plan.domain_id or next(iter(parts.tables.domains))
    disk = Disk(new_id(), plan.alias, plan.description, plan.shareable, plan.lun, plan.size, "" if plan.lun else domain)
    parts.tables.disks[disk.id] = disk
    if not plan.lun:
        image = Image(
            plan.image_id or new_id(), disk.id, None, None if plan.shareable else label, True, status, plan.size, plan.format, parts.stamp(), plan.sparse
        )
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
        if isinstance(disk, DiskPlan) and not disk.alias and vm:
            self.wanted = replace(disk, alias=f"{vm.name}_Disk{len(vm.attachments) + 1}")
        self.attachment = attachment
        if isinstance(disk, Disk):
            self.verb, self.monitored = ATTACH_DISK, False

    @property
    def title(self) -> str:
        return f"Adding Disk {self.wanted.alias}"

    def check(self) -> None:
        if isinstance(self.wanted, Disk):
            checks.disks_free(self.tables, self.verb, [self.wanted])
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        if self.attachment.bootable:
            no_other_boot_disk(self.engine, self, vm, None)
        if isinstance(self.wanted, Disk):
            checks.status_among(self.verb, vm, *PLUGGABLE)
            self._not_attached(vm, self.wanted)
        elif vm.status is VmStatus.IMAGE_LOCKED:
            raise Refusal(409, f"Cannot add Virtual Disk: {VM_LOCKED}")
        checks.no_row_locked(self.tables, self.verb, vm)
        checks.not_in_preview(self.tables, self.verb, vm)

    def _not_attached(self, vm: Vm, disk: Disk) -> None:
        if disk.id in vm.attachments:
            raise self.verb.cannot("The disk is already attached to VM.")
        if disk.snapshottable and self.tables.vm_of(disk.id):
            raise self.verb.cannot("The disk is not shareable and is already attached to a VM.")

    def execute(self) -> Course:
        label, new = self.tables.active(self.vm).id, not isinstance(self.wanted, Disk)
        if isinstance(self.wanted, Disk):
            disk = self.wanted
            relabel(self.engine, disk, label)
            self.event(2016, f"Disk {disk.alias} was successfully attached to VM {self.vm.name} by {self.call.user}.")
        else:
            disk = new_disk(self.engine, self.wanted, label, ImageStatus.LOCKED)
            self.event(78, f"Add-Disk operation of {disk.alias} was initiated on VM {self.vm.name} by {self.call.user}.")
        self.attachment.disk_id = disk.id
        self.vm.attachments[disk.id] = self.attachment
        self.answer()
        yield Task(2.0)
        for image in self.tables.images.of(disk.id):
            image.status = ImageStatus.OK
        if new:
            self.event(97, f"The disk {disk.alias} was successfully added to VM {self.vm.name}.")
        self.end(ok=True)


def no_other_boot_disk(parts: Parts, command: Command, vm: Vm, disk_id: str | None) -> None:
    other = next((disk for attachment, disk in parts.tables.attached(vm) if attachment.bootable and disk.id != disk_id), None)
    if other:
        raise command.verb.cannot(f"Disk {other.alias} in VM {vm.name} is already marked as boot.")


class EditDisk(Command):
    """Of an attachment (plugged, bootable, …) and of the disk itself (alias, size). The disk is locked for a moment afterwards (§6.4)."""

    verb = EDIT_DISK

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disk: Disk, attachment: Mapping[str, Any] | None, disk_changes: Mapping[str, Any]) -> None:
        super().__init__(engine, call, vm)
        self.disk = disk
        self.alone = attachment is None
        self.changes = attachment or {}
        self.disk_changes = disk_changes

    @property
    def title(self) -> str:
        return f"Updating Disk {self.disk.alias} properties for VMs: {self.vm.name if self._vm else ''}"

    def check(self) -> None:
        vm, tables = self._vm, self.tables
        if vm is None:
            checks.disks_free(tables, self.verb, [self.disk])
            self._grows()
            return
        checks.not_locked(self.verb, vm)
        attachment = vm.attachments[self.disk.id]
        changed = {key for key, value in self.changes.items() if getattr(attachment, key) != value}
        if "plugged" in changed:
            self._may_plug(vm)
        checks.no_row_locked(tables, self.verb, vm)
        if not self._only_alias():
            checks.not_in_preview(tables, self.verb, vm)
        if tables.locked_disks([self.disk]):
            if self.changes.get("plugged") is False:
                attachment.plugged = False  # refused, and done all the same (§15.1)
            raise self.verb.disks_locked("${diskAliases}")
        if "bootable" in changed and self.changes["bootable"]:
            no_other_boot_disk(self.engine, self, vm, self.disk.id)
        if vm.status is not VmStatus.DOWN and attachment.plugged and changed - {"plugged"}:
            raise self.verb.cannot(NOT_DOWN)
        self._grows()

    def _may_plug(self, vm: Vm) -> None:
        """Plugging is a command of its own, which runs first."""
        verb = PLUG_DISK if self.changes["plugged"] else UNPLUG_DISK
        checks.status_among(verb, vm, *PLUGGABLE)
        checks.no_row_locked(self.tables, verb, vm)
        checks.not_in_preview(self.tables, verb, vm)

    def _grows(self) -> None:
        current = self.tables.images.current(self.disk.id)
        if current and self.disk_changes.get("size", current.size) < current.size:
            raise self.verb.cannot("New disk size must be larger than the current disk size.", 400)

    def _only_alias(self) -> bool:
        """As ``PUT /disks`` may do it in a preview too; through an attachment nothing can be edited then (§6.4, §6.7)."""
        return self.alone and set(self.disk_changes) <= {"alias", "description"}

    def _tell(self, plugs: bool) -> None:
        vm, alias, by = self.vm.name, self.disk.alias, self.call.user
        if plugs:
            code, done = (2000, "plugged") if self.changes["plugged"] else (2002, "unplugged")
            self.event(code, f"VM {vm} disk {alias} was {done} by {by}.")
        if self.alone:
            self.event(86, f"Disk {alias} was updated by {by}.")
        else:
            self.event(88, f"VM {vm} {alias} disk was updated by {by}.")

    def execute(self) -> Course:
        if self._vm:
            attachment = self.vm.attachments[self.disk.id]
            self._tell(self.changes.get("plugged", attachment.plugged) != attachment.plugged)
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
    monitored = False

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disk: Disk) -> None:
        super().__init__(engine, call, vm)
        self.disk = disk

    @property
    def title(self) -> str:
        return "DetachDiskFromVm"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        checks.status_among(self.verb, vm, VmStatus.UP, VmStatus.DOWN)
        if self.disk.id not in vm.attachments:
            raise self.verb.cannot(f"The specified disk is not attached to the VM {vm.name}.", 400)
        if len(self.tables.images.of(self.disk.id)) > 1:
            text = "The disk is already configured in a snapshot. In order to detach it, remove the disk's snapshots."
            raise self.verb.cannot(text)
        checks.disks_free(self.tables, self.verb, [self.disk])

    def execute(self) -> Course:
        self.event(2018, f"Disk {self.disk.alias} was successfully detached from VM {self.vm.name} by {self.call.user}.")
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
        if self.disk.id not in self.tables.disks:
            raise self.verb.cannot("VM's Image does not exist.\nIn order to import partial VM, select 'allow partial' checkbox.", 400)
        if vm and self.disk.id in vm.attachments:
            checks.not_locked(self.verb, vm)
            if vm.status is not VmStatus.DOWN and vm.attachments[self.disk.id].plugged:
                raise self.verb.cannot(NOT_DOWN)
            checks.no_row_locked(self.tables, self.verb, vm)
            checks.not_in_preview(self.tables, self.verb, vm)
        checks.disks_free(self.tables, self.verb, [self.disk])

    def execute(self) -> Course:
        for image in self.tables.images.of(self.disk.id):
            image.status = ImageStatus.LOCKED
        domain = self.tables.domains.get(self.disk.domain_id)
        done = f"was successfully removed from domain {domain.name if domain else '<UNKNOWN>'} (User {self.call.user})."
        code, whose = (2042, f" associated to the VMs {self.vm.name}") if self._vm else (2014, "")
        self.event(code, f"Disk {self.disk.alias}{whose} {done}")
        self.answer()
        yield Task(2.0)
        for image in self.tables.images.of(self.disk.id):
            self.tables.images.remove(image)
            self.storage.delete(image.id)
        forget_disk(self.tables, self.disk.id)
        for vm in self.tables.vms.values():
            vm.attachments.pop(self.disk.id, None)
        del self.tables.disks[self.disk.id]
        self.end(ok=True)
