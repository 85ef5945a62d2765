# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interrupted or failed run left: finished or taken back."""

from __future__ import annotations

from . import raw, source
from .create import make
from .desk import Desk
from .health import damage
from .preview import set_flags
from .remove import delete_row, drop_whole


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
            _set_right(desk, found)
        drop_whole(desk, found.id)


def _set_right(desk: Desk, made: source.Own) -> None:
    """Finish a commit of this configuration, or an undo. A commit dates the current state like its source; nothing else does."""
    vm = desk.at_rest()
    if raw.regular(vm, made.id).date == raw.row(vm, "active").date:
        for disk, flags in sorted(made.note.get("flags", {}).items(), key=lambda pair: bool(pair[1].get("bootable"))):
            set_flags(desk, disk, **flags)
    else:
        for disk in made.note.get("without", ()):
            set_flags(desk, disk, active=True)
