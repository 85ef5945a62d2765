# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a create leaves behind when it fails (§15.1, §15.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.emulator.model.command import Course, Task
from tests.emulator.model.layers import new_id, put_on, rename_row, take_off
from tests.emulator.model.messages import Refusal
from tests.emulator.model.rows import Disk, Image, ImageStatus, VmStatus

if TYPE_CHECKING:
    from tests.emulator.model.create import Create


def heal_or_tear(create: Create, handled: list[Disk]) -> Course:
    """The host refuses a volume. The rows are rolled back, but not the images of the disks that were handled before it.

    A running VM's disks heal; those of a stopped one stay *torn*: their new active image has a label without a row and no volume.
    """
    engine = create.engine
    running = create.vm.status is not VmStatus.DOWN
    dead = new_id()
    layers = [put_on(engine, disk, dead) for disk in handled]
    create.event(117, f"Failed to create Snapshot {create.description} for VM {create.vm.name} (User: {create.call.user}).", "error")
    create.refuse(Refusal(400))
    yield Task(6.0 if running else 3.0)
    for layer in layers:
        layer.top.status = ImageStatus.OK
        if running:
            take_off(engine, layer)
    create.unlock()
    yield Task(52.0)
    for _time in range(5):
        create.failed()
    create.end(ok=False)


def revert(create: Create, labels: bool) -> Course:
    """Images go back one by one while the row is still locked, then the row vanishes.

    Without ``labels`` the disks that were not selected keep the label of an ACTIVE row that no longer exists.
    """
    engine, vm, row = create.engine, create.vm, create.row
    if row is None:
        raise LookupError("nothing to revert")
    for layer in create.layers:
        yield Task(0.4)
        take_off(engine, layer)
    yield Task(0.4)
    active = engine.tables.active(vm)
    dead = active.id
    for volume_id in row.memory or ():
        engine.storage.delete(volume_id)
    del engine.tables.snapshots[row.id]
    rename_row(engine, active, row.id)
    if labels:
        for image in engine.tables.images.labelled(dead):
            image.snapshot_id = row.id
    create.failed()
    create.end(ok=False)


def leak_memory_disks(create: Create) -> None:
    """A failed snapshot with memory forgets its two memory disks: they stay in the database, locked."""
    if create.row is None or create.row.memory is None:
        return
    tables = create.tables
    domain = next(iter(tables.domains))
    for volume_id, suffix in zip(create.row.memory, ("memory", "metadata")):
        disk = Disk(new_id(), f"{create.vm.name}_snapshot_{suffix}", domain_id=domain)
        tables.disks[disk.id] = disk
        tables.images.add(Image(volume_id, disk.id, None, None, True, ImageStatus.LOCKED, disk.size, "raw"))
