# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that all snapshots begin with: ACTIVE gives its id away, disks get a new layer (§5.2).

Creates do it, and so do storage migration, backup and stateless runs.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from tests.emulator.model.configuration import capture, rewrite
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Disk, Image, ImageStatus, Kind, Snapshot, SnapshotStatus, Vm


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Layer:
    disk: Disk
    below: Image
    top: Image


def put_on(parts: Parts, disk: Disk, label: str, image_id: str | None = None) -> Layer:
    """A new active image over the current one. It is cow over a raw image too."""
    below = parts.tables.images.current(disk.id)
    if below is None:
        raise LookupError(f"disk {disk.alias} has no current image")
    top = Image(image_id or new_id(), disk.id, below.id, label, True, ImageStatus.LOCKED, below.size, born=parts.stamp())
    below.active = False
    parts.tables.images.add(top)
    return Layer(disk, below, top)


def take_off(parts: Parts, layer: Layer) -> None:
    parts.tables.images.remove(layer.top)
    parts.storage.delete(layer.top.id)
    layer.below.active = True
    layer.below.status = ImageStatus.OK


def rename_row(parts: Parts, row: Snapshot, to: str) -> None:
    del parts.tables.snapshots[row.id]
    row.id = to
    parts.tables.snapshots[to] = row


def freeze(
    parts: Parts,
    vm: Vm,
    disks: list[Disk],
    description: str,
    kind: Kind = Kind.REGULAR,
    image_ids: dict[str, str] | None = None,
) -> tuple[Snapshot, list[Layer]]:
    """The new row takes ACTIVE's id X, ACTIVE gets Y; these disks get a layer, the others are only labelled anew."""
    active = parts.tables.active(vm)
    x, y = active.id, new_id()
    stored = capture(parts.tables, parts.storage, vm, disks, parts.stamp())
    rename_row(parts, active, y)
    row = Snapshot(x, vm.id, kind, SnapshotStatus.LOCKED, description, parts.stamp(), stored)
    parts.tables.snapshots[x] = row
    layers = [put_on(parts, disk, y, (image_ids or {}).get(disk.id)) for disk in disks]
    chosen = {disk.id for disk in disks}
    for _attachment, disk in parts.tables.snapshottable(vm):
        current = parts.tables.images.current(disk.id)
        if disk.id not in chosen and current:
            current.snapshot_id = y
    return row, layers


def merge_up(parts: Parts, image: Image) -> None:
    """Remove one image: its child's content and label go into it, the child's id dies (takeover, §10.1)."""
    tables, storage = parts.tables, parts.storage
    children = tables.images.children(image)
    if not children:
        tables.images.remove(image)
        storage.delete(image.id)
        return
    child = children[0]
    if child.id in storage.volumes and image.id in storage.volumes:
        storage.merge(image.id, child.id)
    for grandchild in tables.images.children(child):
        grandchild.parent = image.id
    image.snapshot_id, image.active, image.size = child.snapshot_id, child.active, child.size
    tables.images.remove(child)
    rewrite(tables, image.disk_id, child.id, image.id)
