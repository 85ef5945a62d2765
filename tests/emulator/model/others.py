# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do to the same VM with snapshots of their own: storage migration, backup, clones (§12)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.emulator.model import checks
from tests.emulator.model.command import Call, Command, Course, Task
from tests.emulator.model.configuration import capture
from tests.emulator.model.disks import DiskPlan, new_disk
from tests.emulator.model.journal import Job
from tests.emulator.model.layers import Layer, freeze, merge_up, new_id
from tests.emulator.model.messages import ADD_TEMPLATE, ADD_VM, BACK_UP, COPY_DISK, DURING_SNAPSHOT, MOVE_DISK, ONLY_REGULAR, being_taken
from tests.emulator.model.parts import Parts
from tests.emulator.model.remove import RUNNING
from tests.emulator.model.rows import Attachment, Backup, Configuration, Disk, Domain, ImageStatus, Kind, Settings, Snapshot, SnapshotStatus, Vm, VmStatus
from tests.emulator.model.vms import USED, named, new_nic, new_vm

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine


def make_volumes(parts: Parts, layers: list[Layer], status: ImageStatus) -> None:
    for layer in layers:
        parts.storage.create(layer.top.id, layer.disk.id, layer.below.id)
        layer.top.status = status


def merge_row(parts: Parts, row: Snapshot) -> None:
    """Remove a snapshot that was made for this purpose only."""
    for image in parts.tables.held(row):
        merge_up(parts, image)
    del parts.tables.snapshots[row.id]


class MoveDisk(Command):
    """A stopped VM's disk is locked and moved. A running VM's gets a snapshot of its own for the time."""

    verb = MOVE_DISK
    lock_message: str | None = DURING_SNAPSHOT

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disk: Disk, to: Domain) -> None:
        super().__init__(engine, call, vm)
        self.disk = disk
        self.to = to
        self.jobs: list[Job] = []

    @property
    def live(self) -> bool:
        return self._vm is not None and self._vm.status in RUNNING and self._vm.attachments[self.disk.id].plugged

    @property
    def _route(self) -> str:
        source = self.tables.domains.get(self.disk.domain_id)
        return f"Disk {self.disk.alias} from {source.name if source else '<UNKNOWN>'} to {self.to.name}"

    @property
    def title(self) -> str:
        return f"Migrating {self._route} of VM {self.vm.name}" if self.live else f"Moving {self._route}"

    def check(self) -> None:
        if self.disk.lun:
            raise self.verb.cannot("The disk is not an image.", 400)
        if self._vm:
            checks.not_locked(self.verb, self._vm)
        checks.disks_free(self.tables, self.verb, [self.disk])
        if self.to.id == self.disk.domain_id:
            raise self.verb.cannot("The source and target storage domains are the same.", 400)
        if self._vm:
            checks.no_row_locked(self.tables, self.verb, self._vm)
            checks.not_in_preview(self.tables, self.verb, self._vm)

    def run(self) -> Course:
        if not self.live:
            self.lock_message = None  # only the disk is locked: creates of other disks go on
        yield from super().run()

    def execute(self) -> Course:
        self.event(2008, f"User {self.call.user} moving disk {self.disk.alias} to domain {self.to.name}.")
        if self.live:
            yield from self._migrate()
        else:
            self._lock(ImageStatus.LOCKED)
            self.answer()
            yield Task(8.0)
        self.disk.domain_id = self.to.id
        self._lock(ImageStatus.OK)
        self.event(2010, f"User {self.call.user} finished moving disk {self.disk.alias} to domain {self.to.name}.")
        for job in self.jobs:
            self.engine.journal.end(job, ok=True)
        self.end(ok=True)

    def _lock(self, status: ImageStatus) -> None:
        for image in self.tables.images.of(self.disk.id):
            image.status = status

    def _migrate(self) -> Course:
        vm, name = self.vm, f"{self.disk.alias} Auto-generated for Live Storage Migration"
        for title in (f"Moving {self._route}", f"Creating VM Snapshot {name} for VM {vm.name}", f"Removing Snapshot {name} of VM {vm.name}"):
            self.jobs.append(self.engine.journal.begin(title, self.call.correlation_id, self.call.user, vm.id))
        row, layers = freeze(self.engine, vm, [self.disk], name)
        self.answer()
        yield Task(3.0)
        make_volumes(self.engine, layers, ImageStatus.LOCKED)
        row.status = SnapshotStatus.OK
        yield Task(6.0)
        self.disk.domain_id = self.to.id
        yield Task(3.0)
        merge_row(self.engine, row)


class StartBackup(Command):
    verb = BACK_UP

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disks: list[Disk], description: str) -> None:
        super().__init__(engine, call, vm)
        self.disks = disks
        self.description = description
        self.lock_message = being_taken(vm.name) if vm else None
        self.backup: Backup | None = None

    @property
    def title(self) -> str:
        return f"Backing up VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        checks.status_among(self.verb, vm, VmStatus.DOWN, VmStatus.UP)
        checks.no_row_locked(self.tables, self.verb, vm)
        checks.not_in_preview(self.tables, self.verb, vm)
        checks.disks_free(self.tables, self.verb, self.disks)

    def execute(self) -> Course:
        row, layers = freeze(self.engine, self.vm, self.disks, "Auto-generated for Backup VM")
        row.status = SnapshotStatus.OK
        make_volumes(self.engine, layers, ImageStatus.OK)
        self.backup = Backup(new_id(), self.vm.id, [disk.id for disk in self.disks], row.id, self.engine.stamp(), description=self.description)
        self.tables.backups[self.backup.id] = self.backup
        self.event(10790, f"Backup {self.backup.id} for VM {self.vm.name} started (User: {self.call.user}).")
        self.answer()
        yield Task(6.0)
        self.backup.phase = "ready"
        self.end(ok=True)


class FinalizeBackup(Command):
    """Its snapshot is merged, underneath whatever was made in the meantime."""

    verb = BACK_UP

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, backup: Backup) -> None:
        super().__init__(engine, call, vm)
        self.backup = backup

    @property
    def title(self) -> str:
        return f"Finalizing backup of VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        checks.not_locked(self.verb, checks.exists(self.verb, self._vm))
        if self.backup.phase != "ready":
            raise self.verb.cannot("The VM backup is not ready.")

    def execute(self) -> Course:
        self.backup.phase = "finalizing"
        self.answer()
        yield Task(4.0)
        row = self.tables.snapshots.get(self.backup.snapshot_id)
        if row:
            merge_row(self.engine, row)
        self.backup.phase = "succeeded"
        self.event(10793, f"Backup {self.backup.id} for VM {self.vm.name} completed successfully (User: {self.call.user}).")
        self.end(ok=True)


class CopyDisk(Command):
    """To a disk without a VM."""

    verb = COPY_DISK

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, disk: Disk, to: Domain, alias: str) -> None:
        super().__init__(engine, call, vm)
        self.disk = disk
        self.to = to
        self.alias = alias or disk.alias

    @property
    def title(self) -> str:
        source = self.tables.domains.get(self.disk.domain_id)
        return f"Copying Disk {self.disk.alias} from {source.name if source else '<UNKNOWN>'} to {self.to.name}"

    def check(self) -> None:
        checks.disks_free(self.tables, self.verb, [self.disk])
        if self._vm:
            checks.not_in_preview(self.tables, self.verb, self._vm)

    def execute(self) -> Course:
        copying = f"copying disk {self.disk.alias} to domain {self.to.name}."
        self.event(2004, f"User {self.call.user} is {copying}")
        made = new_disk(self.engine, DiskPlan(self.alias, size=self.disk.size, domain_id=self.to.id), None, ImageStatus.LOCKED)
        source, copy = self.tables.images.current(self.disk.id), self.tables.images.current(made.id)
        self.answer()
        yield Task(6.0)
        if source and copy:
            self.storage.volumes[copy.id].content.update(self.storage.content(source.id))
            copy.status = ImageStatus.OK
        self.event(2006, f"User {self.call.user} finished {copying}")
        self.end(ok=True)


class CloneVm(Command):
    """A new VM with copies of this one's disks."""

    verb = ADD_VM

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, name: str) -> None:
        super().__init__(engine, call, vm)
        self.name = name
        self.made: Vm | None = None

    @property
    def title(self) -> str:
        return f"Creating VM {self.name} as a clone of VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def stored(self) -> Configuration | None:
        disks = [disk for _attachment, disk in self.tables.snapshottable(self.vm)]
        return capture(self.tables, self.storage, self.vm, disks, self.engine.stamp())

    def suits(self, vm: Vm) -> None:
        """Raise a Refusal if this cannot be cloned."""

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        checks.no_row_locked(self.tables, self.verb, vm)
        self.suits(vm)
        checks.not_in_preview(self.tables, self.verb, vm)
        checks.disks_free(self.tables, self.verb, [disk for _attachment, disk in self.tables.snapshottable(vm)])
        if named(self.engine, self.name):
            raise self.verb.cannot(USED)

    def execute(self) -> Course:
        stored = self.stored()
        settings = replace(stored.settings, name=self.name) if stored else Settings(self.name)
        made = self.made = new_vm(self.engine, settings)
        made.status = VmStatus.IMAGE_LOCKED
        self.answer()
        yield Task(6.0)
        for nic in stored.nics if stored else ():
            new_nic(self.engine, made, nic.name)
        for record in stored.disks if stored else ():
            self._copy(made, record.image_id, record.alias, record.size, record.bootable)
        made.status = VmStatus.DOWN
        self.end(ok=True)

    def _copy(self, made: Vm, image_id: str, alias: str, size: int, bootable: bool) -> None:
        disk = new_disk(self.engine, DiskPlan(alias, size=size), self.tables.active(made).id)
        made.attachments[disk.id] = Attachment(disk.id, bootable=bootable)
        image = self.tables.images.current(disk.id)
        if image and self.storage.whole(image_id):
            self.storage.volumes[image.id].content.update(self.storage.content(image_id))


class CloneFromSnapshot(CloneVm):
    def __init__(self, engine: Engine, call: Call, row: Snapshot, name: str) -> None:
        super().__init__(engine, call, engine.tables.vms.get(row.vm_id), name)
        self.row = row

    @property
    def title(self) -> str:
        return f"Creating VM {self.name} from Snapshot {self.row.description} in Cluster Default"

    def stored(self) -> Configuration | None:
        return self.row.configuration

    def suits(self, vm: Vm) -> None:
        checks.configured(self.verb, vm, self.row)
        if self.row.kind is not Kind.REGULAR:
            raise self.verb.cannot(ONLY_REGULAR)


class AddTemplate(Command):
    """Allowed in a preview (§6.7). Nothing more is known of templates here."""

    verb = ADD_TEMPLATE

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, name: str) -> None:
        super().__init__(engine, call, vm)
        self.name = name

    @property
    def title(self) -> str:
        return f"Creating VM Template {self.name} in Data Center Default"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        if vm.status is not VmStatus.DOWN:
            raise self.verb.cannot("VM is locked or still running, try again once VM is in the Down state.")
        checks.no_row_locked(self.tables, self.verb, vm)

    def execute(self) -> Course:
        subject = f"Creation of Template {self.name} from VM {self.vm.name}"
        self.event(48, f"{subject} was initiated by {self.call.user}.")
        self.answer()
        yield Task(4.0)
        self.event(51, f"{subject} has been completed.")
        self.end(ok=True)
