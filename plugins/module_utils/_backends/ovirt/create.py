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
from .jobs import Done
from .leftovers import creations, leftovers
from .sdk import sdk, types


def snapshot(desk: Desk, args: Mapping[str, Any]) -> None:
    """The engine swaps ids: the new snapshot takes the id of the current state. So it is known beforehand, and found again."""
    description = args["name"] + (f"\n{args['description']}" if args["description"] else "")
    make(desk, f"creating snapshot {args['name']}", description, args["disks"], args["memory"], args["name"])


def make(desk: Desk, what: str, description: str, disks: Sequence[str], memory: bool = False, key: str = "") -> str:
    """Make a snapshot of exactly these disks, and return its id. One that is there already is taken for it."""
    new = ""

    def body() -> Any:
        nonlocal new
        vm = desk.at_rest()
        there = _there(vm, description, disks)
        if there:
            raise Done(there)
        new = str(raw.row(vm, "active").id)
        return types.Snapshot(description=description, persist_memorystate=memory, disk_attachments=_only(disks))

    def happened(now: Any) -> bool:
        row = raw.regular(now, new)
        return row is not None and row.description == description

    try:
        named, answer = desk.send(what, "c", (key or description,), "POST", "/snapshots", body, happened)
    except Done as done:
        return str(done)
    except BackendFailed as error:
        if error.reason != "backend_failed":
            raise
        # What was refused made no snapshot. One with that id is somebody else's.
        raise _failed(desk, what, "", error.message, memory) from error
    foreseen, new = new, str(answer.id) if answer is not None else new
    if desk.wait(what, named, answer) in ("failed", "aborted"):
        ours = raw.regular(desk.at_rest(), new)
        raise _failed(desk, what, new if ours is not None and ours.description == description else "", f"{what}: the engine failed", memory)
    if new != foreseen:  # somebody else made one just before
        first = _there(desk.at_rest(), description, disks)
        if first and first != new:
            from .remove import drop_whole

            drop_whole(desk, new)
            return first
    desk.made.add(new)
    return new


def _there(vm: Any, description: str, disks: Sequence[str]) -> str:
    """Id of the oldest snapshot that is like this; empty when there is none."""
    return next((str(row.id) for row in raw.rows(vm, "regular") if row.description == description and set(raw.held(vm, row.id)) == set(disks)), "")


def _only(disks: Sequence[str]) -> list[Any]:
    """Exactly these disks. One empty entry means none; an empty list crashes the engine, and no list means all."""
    return [types.DiskAttachment(disk=types.Disk(id=disk)) for disk in disks] or [types.DiskAttachment()]


def _failed(desk: Desk, what: str, new: str, said: str, memory: bool) -> VmError:
    """What a failed creation leaves is taken away at once: the next one would make the damage permanent."""
    hint = "see the engine's events; run again"
    if memory:
        hint += f"; disks {desk.name}_snapshot_memory and {desk.name}_snapshot_metadata, which nothing needs, may be left locked"
    vm = desk.at_rest()
    if raw.regular(vm, new) is not None:
        return _left(desk, vm, new, said, hint)
    if damage(desk.engine, vm):
        return BackendFailed(f"{said}; it left disks whose images do not fit", "create_failed", "run again, this is repaired first")
    return BackendFailed(f"{said}; nothing of it is left", "create_failed", hint)


def _left(desk: Desk, vm: Any, new: str, said: str, hint: str) -> VmError:
    """The snapshot is there, over images that may not be: it goes, and those of ours below it that failed before, the oldest first."""
    from .remove import delete_row

    older = [each for each in leftovers(desk, vm, creations(desk)) if each != new]
    names = {row.id: raw.named(row)[0] for row in raw.rows(vm, "regular")}
    for each in (*older, new):
        delete_row(desk, each)
    said += "; the snapshot that it left, whose images may not exist, was removed"
    if older:
        said += f", and with it {', '.join(names[each] for each in older)}, whose creation had failed before"
    below = [name for each, name in names.items() if each not in (*older, new)]
    if below and not older:
        hint += f"; if it fails again, the creation of snapshot {below[-1]} may have failed as well: see the events of that time, and remove it"
    return BackendFailed(said, "create_failed", hint)


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
