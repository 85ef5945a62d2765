# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..._engine.errors import BackendFailed, Refused, VmError
from . import raw
from .desk import Desk
from .faults import detail_of
from .health import damage
from .sdk import sdk, types


def snapshot(desk: Desk, args: Mapping[str, Any]) -> None:
    """The engine swaps ids: the new snapshot takes the id of the current state. So it is known beforehand, and found again."""
    description = args["name"] + (f"\n{args['description']}" if args["description"] else "")
    make(desk, f"creating snapshot {args['name']}", description, args["disks"], args["memory"], args["name"])


def make(desk: Desk, what: str, description: str, disks: Sequence[str], memory: bool = False, key: str = "") -> str:
    """Make a snapshot of exactly these disks, and return its id. One that is there already is taken for it."""
    vm = desk.at_rest()
    there = next((row for row in raw.rows(vm, "regular") if row.description == description and _held(vm, row.id) == set(disks)), None)
    if there is not None:
        return str(there.id)
    new = str(raw.row(vm, "active").id)
    body = types.Snapshot(description=description, persist_memorystate=memory, disk_attachments=_only(disks))
    try:
        status = desk.ask(what, "c", (key or description,), "POST", "/snapshots", body, lambda now: raw.regular(now, new) is not None)
    except BackendFailed as error:
        raise _failed(desk, what, new, error.message) from error
    if status in ("failed", "aborted"):
        raise _failed(desk, what, new, f"{what}: the engine failed")
    desk.made.add(new)
    return new


def _only(disks: Sequence[str]) -> list[Any]:
    """Exactly these disks. One empty entry means none; an empty list crashes the engine, and no list means all."""
    return [types.DiskAttachment(disk=types.Disk(id=disk)) for disk in disks] or [types.DiskAttachment()]


def _held(vm: Any, snapshot_id: str) -> set[str]:
    return {found.disk.id for found in raw.snapshottable(vm) if raw.image_of(found.disk, snapshot_id)}


def _failed(desk: Desk, what: str, new: str, said: str) -> VmError:
    """What a failed creation leaves is taken away at once: the next one would make the damage permanent."""
    hint = "see the engine's events; run again"
    vm = desk.at_rest()
    if raw.regular(vm, new) is not None:
        from .remove import delete_row

        delete_row(desk, new)
        return BackendFailed(f"{said}; the snapshot that it left, whose images may not exist, was removed", "create_failed", hint)
    if damage(desk.engine, vm):
        return BackendFailed(f"{said}; it left disks whose images do not fit", "create_failed", "run again, this is repaired first")
    return BackendFailed(f"{said}; nothing of it is left", "create_failed", hint)


def probe(desk: Desk, args: Mapping[str, Any]) -> None:
    """Freeze the guest and thaw it. Raises Refused when its agent does not answer, or when this user may not ask it to."""
    service = desk.engine.system.vms_service().vm_service(desk.id)
    try:
        service.freeze_filesystems()
    except sdk.Error as error:
        raise Refused(
            f"VM {desk.name} cannot be frozen: {detail_of(error)}",
            "quiesce_impossible",
            "start qemu-guest-agent in the guest, or set quiesce: preferred; the user needs the permit to freeze",
        ) from error
    finally:
        with suppress(sdk.Error):  # also when the freeze was not answered
            service.thaw_filesystems()


STEPS = {"snapshot": snapshot, "probe": probe}
