# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM's rows, images and volumes in one piece, for whoever looks for the reason of a failing test."""

from __future__ import annotations

from typing import Any

from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Snapshot
from tests.emulator.rest.formats import Date


def describe(parts: Parts, vm_id: str) -> dict[str, Any]:
    tables = parts.tables
    vm = tables.vms[vm_id]
    labels = {row.id for row in tables.rows(vm_id)}
    mine = {image.disk_id for image in tables.images if image.snapshot_id in labels} | set(vm.attachments)
    return {
        "name": vm.name,
        "status": vm.status.value,
        "lock": vm.lock,
        "snapshots": [_row(parts, row) for row in tables.rows(vm_id)],
        "disks": {tables.disks[disk_id].alias: _disk(parts, vm_id, disk_id) for disk_id in mine if disk_id in tables.disks},
        "jobs": [f"{job.status} {job.description}" for job in parts.journal.kept() if job.vm_id == vm_id],
        "events": [f"{event.code} {event.description}" for event in parts.journal.events if event.vm_id == vm_id],
    }


def _row(parts: Parts, row: Snapshot) -> dict[str, Any]:
    records = row.configuration.disks if row.configuration else ()
    return {
        "id": row.id,
        "kind": row.kind.value,
        "status": row.status.value,
        "description": row.description,
        "date": Date(row.date).text,
        "broken": row.broken,
        "memory": row.memory,
        "disks": {record.alias: f"{record.image_id} {parts.tables.record_status(record).value}" for record in records},
    }


def _disk(parts: Parts, vm_id: str, disk_id: str) -> dict[str, Any]:
    disk, attachment = parts.tables.disks[disk_id], parts.tables.vms[vm_id].attachments.get(disk_id)
    images = [
        {
            "id": image.id,
            "parent": image.parent,
            "label": image.snapshot_id,
            "active": image.active,
            "status": image.status.value,
            "written": parts.storage.volumes[image.id].content if image.id in parts.storage.volumes else "no volume",
        }
        for image in parts.tables.images.of(disk_id)
    ]
    return {"id": disk_id, "dropped": disk.dropped, "attachment": vars(attachment) if attachment else None, "images": images}
