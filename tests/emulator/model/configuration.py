# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storing the configuration of a VM and bringing one back (§6.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.emulator.model.rows import Attachment, Configuration, Disk, DiskRecord, Nic, Snapshot, Vm
from tests.emulator.model.storage import Storage
from tests.emulator.model.tables import Tables


def capture(tables: Tables, storage: Storage, vm: Vm, disks: list[Disk], now: int) -> Configuration:
    """The VM with these of its disks and their current images."""
    records = tuple(_record(tables, storage, vm.attachments[disk.id], disk) for disk in disks)
    return Configuration(vm.settings, tuple(vm.nics), records, now)


def _record(tables: Tables, storage: Storage, attachment: Attachment, disk: Disk) -> DiskRecord:
    image = tables.images.current(disk.id)
    if image is None:
        raise LookupError(f"disk {disk.alias} has no current image")
    return DiskRecord(
        disk_id=disk.id,
        image_id=image.id,
        alias=disk.alias,
        size=image.size,
        format=image.format,
        bootable=attachment.bootable,
        interface=attachment.interface,
        pass_discard=attachment.pass_discard,
        plugged=attachment.plugged,
        read_only=attachment.read_only,
        domain_id=disk.domain_id,
        parent=image.parent,
        used=storage.used(image.id),
        sparse=image.sparse,
    )


def take_settings(vm: Vm, source: Configuration, free_mac: Callable[[str], bool], new_mac: Callable[[], str]) -> None:
    """The VM's own settings and its NICs. A NIC whose MAC somebody else has by now gets a new one, silently."""
    initialization = source.settings.initialization or vm.settings.initialization
    vm.settings = replace(source.settings, initialization=initialization)
    vm.nics = [nic if free_mac(nic.mac) else replace(nic, mac=new_mac()) for nic in source.nics]


def put_back(vm: Vm, before: Configuration) -> None:
    """Undo: everything as it was."""
    vm.settings, vm.nics = before.settings, list(before.nics)


def nic_with(nic: Nic, mac: str) -> Nic:
    return replace(nic, mac=mac)


def attachment_of(record: DiskRecord) -> Attachment:
    return Attachment(record.disk_id, record.plugged, record.read_only, record.bootable, record.interface, record.pass_discard)


def rewrite(tables: Tables, disk_id: str, old_image: str, new_image: str | None) -> None:
    """After a merge, configurations name the image that stayed; None: the entry goes (§3.5)."""
    for row in tables.snapshots.values():
        if row.configuration is None or row.configuration.record(disk_id) is None:
            continue
        records = [_renamed(record, disk_id, old_image, new_image) for record in row.configuration.disks]
        row.configuration = replace(row.configuration, disks=tuple(record for record in records if record))


def _renamed(record: DiskRecord, disk_id: str, old_image: str, new_image: str | None) -> DiskRecord | None:
    if record.disk_id != disk_id or record.image_id != old_image:
        return record
    return None if new_image is None else replace(record, image_id=new_image)


def forget_disk(tables: Tables, disk_id: str) -> None:
    """``DELETE /disks``: the disk is absent from every snapshot afterwards, without a trace (§12)."""
    for row in tables.snapshots.values():
        drop_record(row, disk_id)


def drop_record(row: Snapshot, disk_id: str) -> None:
    if row.configuration is not None:
        kept = tuple(record for record in row.configuration.disks if record.disk_id != disk_id)
        row.configuration = replace(row.configuration, disks=kept)
