# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stateless run: a snapshot at the start, thrown back at the end (§4.2)."""

from __future__ import annotations

from tests.emulator.model.configuration import put_back
from tests.emulator.model.layers import freeze, rename_row
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import ImageStatus, Kind, SnapshotStatus, Vm


def begin(parts: Parts, vm: Vm) -> None:
    disks = [disk for _attachment, disk in parts.tables.snapshottable(vm)]
    row, layers = freeze(parts, vm, disks, "stateless snapshot", Kind.STATELESS)
    row.status = SnapshotStatus.OK
    for layer in layers:
        layer.top.status = ImageStatus.OK
        parts.storage.create(layer.top.id, layer.disk.id, layer.below.id)
    vm.running_stateless = True


def finish(parts: Parts, vm: Vm) -> None:
    """What the guest wrote is gone, so is what was edited meanwhile, and ACTIVE has its old id, made now: as after an undo."""
    row = parts.tables.row(vm.id, Kind.STATELESS)
    if row is None:
        return
    for _attachment, disk in parts.tables.snapshottable(vm):
        top = parts.tables.images.current(disk.id)
        below = parts.tables.images.get(top.parent) if top else None
        if top and below and below.snapshot_id == row.id:
            parts.tables.images.remove(top)
            parts.storage.delete(top.id)
            below.active = True
    active = parts.tables.active(vm)
    del parts.tables.snapshots[row.id]
    rename_row(parts, active, row.id)
    active.date = parts.stamp()
    if row.configuration:
        put_back(vm, row.configuration)
    vm.running_stateless = False
