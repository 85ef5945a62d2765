# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going into a preview, and back (§6.3, §8). Previews, undo and failing previews share these two steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.emulator.model.configuration import attachment_of, capture, put_back, take_settings
from tests.emulator.model.layers import new_id, rename_row
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Attachment, Disk, DiskRecord, Image, ImageStatus, Kind, Snapshot, SnapshotStatus, Vm

BEFORE = "Active VM before the preview"


@dataclass
class Branches:
    """What a preview made of each disk."""

    row: Snapshot
    active_date: int
    taken: list[Image] = field(default_factory=list)
    """The new active images."""
    kept: list[Image] = field(default_factory=list)
    dropped: list[Disk] = field(default_factory=list)


def enter(parts: Parts, vm: Vm, source: Snapshot, picks: dict[str, str], memory: bool) -> Branches:
    """``picks``: the image to show of each disk. A disk that is not in it is dropped."""
    stored = source.configuration
    if stored is None:
        raise LookupError(f"snapshot {source.description} has no configuration")
    tables = parts.tables
    active = tables.active(vm)
    disks = [disk for _attachment, disk in tables.snapshottable(vm)]
    row = Snapshot(active.id, vm.id, Kind.PREVIEW, SnapshotStatus.LOCKED, BEFORE, parts.stamp(), capture(tables, parts.storage, vm, disks, parts.stamp()))
    branches = Branches(row, active.date)
    rename_row(parts, active, new_id())
    tables.snapshots[row.id] = row
    active.date = source.date
    active.memory = source.memory if memory else None
    take_settings(vm, stored, lambda mac: parts.mac_is_free(mac, vm.id), parts.new_mac)
    for disk in disks:
        current = tables.images.current(disk.id)
        if current is None:
            continue
        if disk.id not in picks:
            _drop(vm, disk, current)
            branches.dropped.append(disk)
            continue
        chosen = tables.images.get(picks[disk.id]) or current
        if chosen is not current:
            _take(parts, vm.attachments[disk.id], disk, chosen, current, active.id)
            branches.taken.extend(image for image in tables.images.of(disk.id) if image.active)
        else:
            current.snapshot_id = active.id
            branches.kept.append(current)
        _plug(vm.attachments[disk.id], stored.record(disk.id))
    return branches


def _drop(vm: Vm, disk: Disk, current: Image) -> None:
    current.active, disk.dropped = False, True
    del vm.attachments[disk.id]


def _take(parts: Parts, attachment: Attachment, disk: Disk, chosen: Image, current: Image, label: str) -> None:
    """A new layer over the chosen image. Bootable, interface, pass_discard and alias are those of the snapshot it belongs to."""
    current.active = False
    parts.tables.images.add(Image(new_id(), disk.id, chosen.id, label, True, ImageStatus.OK, chosen.size, born=parts.stamp()))
    owner = parts.tables.snapshots.get(chosen.snapshot_id or "")
    record = owner.configuration.record(disk.id) if owner and owner.configuration else None
    if record:
        attachment.bootable, attachment.interface, attachment.pass_discard = record.bootable, record.interface, record.pass_discard
        disk.alias = record.alias


def _plug(attachment: Attachment, record: DiskRecord | None) -> None:
    """From the source if it holds the disk; else plugged and writable, kept disks too."""
    attachment.plugged = record.plugged if record else True
    attachment.read_only = record.read_only if record else False


@dataclass
class Return:
    """What is to be deleted once the rows are back."""

    doomed: list[Image]
    count: int
    """Disks that were not kept, dropped ones included: so many tasks has an undo (§2.5)."""


def leave(parts: Parts, vm: Vm) -> Return:
    """The rows as before the preview: ACTIVE is X again."""
    tables = parts.tables
    row = tables.row(vm.id, Kind.PREVIEW)
    if row is None or row.configuration is None:
        raise LookupError("nothing is previewed")
    source = tables.previewed(vm)
    if source:
        source.status = SnapshotStatus.OK
    del tables.snapshots[tables.active(vm).id]
    row.kind, row.description, row.date = Kind.ACTIVE, "Active VM", parts.stamp()
    stored, row.configuration = row.configuration, None
    others = {disk_id: attachment for disk_id, attachment in vm.attachments.items() if not tables.disks[disk_id].snapshottable}
    vm.attachments = {record.disk_id: attachment_of(record) for record in stored.disks if record.disk_id in tables.disks} | others
    put_back(vm, stored)
    back = Return([], 0)
    for record in stored.disks:
        if record.disk_id in tables.disks:
            _put_back_disk(parts, record, row.id, back)
    return back


def _put_back_disk(parts: Parts, record: DiskRecord, label: str, back: Return) -> None:
    images, disk = parts.tables.images, parts.tables.disks[record.disk_id]
    before, current = images.get(record.image_id), images.current(record.disk_id)
    disk.alias = record.alias
    if disk.dropped or before is not current:
        back.count += 1
    disk.dropped = False
    if current and current is not before:
        images.remove(current)
        back.doomed.append(current)
    if before:
        before.active, before.snapshot_id = True, label
