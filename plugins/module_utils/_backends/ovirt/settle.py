# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interrupted or failed run left: finished or taken back."""

from __future__ import annotations

from . import ovf, raw, source
from .create import make
from .desk import Desk
from .health import damage
from .leave import drop_own
from .plan import REPAIRED
from .preview import set_flags
from .remove import delete_row


def settle(desk: Desk) -> None:
    """Each repair is the one that was measured to bring back exactly what was there before."""
    vm = desk.at_rest()
    if damage(desk.engine, vm):
        # Before anything else: a snapshot that holds such a disk would make the damage permanent.
        made = make(desk, f"repairing VM {desk.name}", source.text(source.REPAIR), ())
        delete_row(desk, made)
    for snapshot_id in desk.leftovers:
        delete_row(desk, snapshot_id)
    if raw.row(vm, "preview") is not None:
        return
    for found in source.own(desk.at_rest()):
        if found.kind == source.UNPLUGGING:
            for disk in found.note.get("disks", ()):
                set_flags(desk, disk, active=True)
        if found.kind == source.SOURCE:
            _set_right(desk, found.id)
        drop_own(desk, found.id)


def _set_right(desk: Desk, source_id: str) -> None:
    """After a commit of this configuration: what came with the disks' images is set as it says. A commit dates the current state like its source."""
    vm = desk.at_rest()
    row = desk.engine.snapshot(desk.id, source_id, config=True)
    if row.date != raw.row(vm, "active").date:
        return
    known = ovf.config(row).disks
    for attachment in raw.snapshottable(vm):
        flags = known.get(attachment.disk.id)
        differs = {name: getattr(flags, name) for name in REPAIRED if flags and str(getattr(attachment, name)) != str(getattr(flags, name))}
        if differs:
            set_flags(desk, attachment.disk.id, **differs)
