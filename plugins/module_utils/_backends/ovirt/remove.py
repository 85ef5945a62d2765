# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove disks of a snapshot, or the snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._engine.errors import BackendFailed, Interrupted, VmError
from . import raw
from .desk import Desk
from .problems import never_ends


def merge(desk: Desk, args: Mapping[str, Any]) -> None:
    """Take disks out of a snapshot: all are begun, then all are waited for, since an engine merges disks of one snapshot side by side."""
    snapshot_id = args["snapshot"]
    vm = desk.at_rest()
    wanted = [disk for disk in args["disks"] if _holds(vm, snapshot_id, disk)]
    begun, refused = [], None
    for disk in wanted:
        try:
            begun.append((disk, _begin(desk, vm, snapshot_id, disk)))
        except VmError as error:
            if error.reason == "gone":  # somebody else took it out just now
                continue
            refused = error
            break
    for disk, (what, named, answer) in begun:  # these go on in any case
        try:
            desk.wait(what, named, answer)
        except Interrupted as error:
            _demand_an_end(desk, desk.look(), snapshot_id, disk)
            raise error
    if refused is not None:
        raise refused
    vm = desk.at_rest()
    left = [found.disk.alias for found in raw.snapshottable(vm) if found.disk.id in wanted and _holds(vm, snapshot_id, found.disk.id)]
    if left:
        raise BackendFailed(
            f"VM {desk.name}: disk {', '.join(left)} could not be taken out of the snapshot; the others are", "merge_failed", "run again, it is tried once more"
        )


def _begin(desk: Desk, vm: Any, snapshot_id: str, disk: str) -> tuple[str, str, Any]:
    unplugged = any(found.disk.id == disk and found.active is False for found in raw.snapshottable(vm))

    def body() -> None:
        if unplugged:  # the VM may have been started since
            _demand_an_end(desk, desk.look(), snapshot_id, disk)

    what = f"taking disk {disk} out of a snapshot of VM {desk.name}"
    # Through the VM's path, the only one that ordinary users may take.
    path = f"/snapshots/{snapshot_id}/disks/{disk}"
    named, answer = desk.send(what, "d", (snapshot_id, disk), "DELETE", path, body, lambda vm: not _holds(vm, snapshot_id, disk) or _is_locked(vm, disk))
    return what, named, answer


def _demand_an_end(desk: Desk, vm: Any, snapshot_id: str, disk: str) -> None:
    """Raises Refused for an unplugged disk of a VM that runs: the engine takes that on, and never ends."""
    found = next((found for found in raw.snapshottable(vm) if found.disk.id == disk and found.active is False), None)
    row = raw.regular(vm, snapshot_id)
    if found is not None and row is not None and str(vm.status) not in ("down", "image_locked"):
        raise never_ends(desk.name, raw.named(row)[0], found.disk.alias)


def _holds(vm: Any, snapshot_id: str, disk: str) -> bool:
    return any(found.disk.id == disk and raw.image_of(found.disk, snapshot_id) for found in raw.snapshottable(vm))


def _is_locked(vm: Any, disk: str) -> bool:
    return any(found.disk.id == disk and str(found.disk.status) == "locked" for found in raw.snapshottable(vm))


def remove(desk: Desk, args: Mapping[str, Any]) -> None:
    """Remove the whole snapshot."""
    delete_row(desk, args["snapshot"])


def delete_row(desk: Desk, snapshot_id: str) -> None:
    """Delete a snapshot with what it holds; nothing when it is not there."""
    vm = desk.at_rest()
    row = raw.regular(vm, snapshot_id)
    if row is None:
        return
    what = f"removing snapshot {raw.named(row)[0]} of VM {desk.name}"

    def begun(now: Any) -> bool:
        found = raw.regular(now, snapshot_id)
        return found is None or str(found.snapshot_status) == "locked"

    desk.ask(what, "r", (snapshot_id,), "DELETE", f"/snapshots/{snapshot_id}", None, begun)
    if raw.regular(desk.at_rest(), snapshot_id) is not None:
        raise BackendFailed(f"{what}: the engine failed, and the snapshot is still there", "remove_failed", "run again, it is tried once more")


def drop_whole(desk: Desk, snapshot_id: str) -> None:
    """Remove a snapshot with the disks that it holds: disk by disk, so that a failure leaves nothing locked."""
    held = raw.held(desk.at_rest(), snapshot_id)
    if held:
        merge(desk, {"snapshot": snapshot_id, "disks": held})
    delete_row(desk, snapshot_id)


STEPS = {"merge": merge, "remove": remove}
