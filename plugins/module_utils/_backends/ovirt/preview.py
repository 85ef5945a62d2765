# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a preview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._engine.errors import BackendFailed, Interrupted, Refused
from ..._engine.model import EXCLUDED, Composition
from ..._engine.render import row as row_of
from . import jobs, raw, source
from .create import make
from .desk import Desk
from .problems import stuck
from .read import Closer, read
from .remove import delete_row
from .sdk import types


def mark(desk: Desk, args: Mapping[str, Any]) -> None:
    make(desk, f"noting what is unplugged of VM {desk.name}", source.text(source.UNPLUGGING, disks=args["disks"]), ())


def unmark(desk: Desk, args: Mapping[str, Any]) -> None:
    for found in source.of_kind(source.own(desk.at_rest()), source.UNPLUGGING):
        delete_row(desk, found.id)


def unplug(desk: Desk, args: Mapping[str, Any]) -> None:
    set_flags(desk, args["disk"], active=False)


def plug(desk: Desk, args: Mapping[str, Any]) -> None:
    set_flags(desk, args["disk"], active=True)


def set_flags(desk: Desk, disk: str, **flags: Any) -> None:
    """Change how a disk is attached; nothing when it is so already. The engine locks the disk for a moment, so it is waited for."""
    found = next((each for each in raw.attachments(desk.at_rest()) if each.disk.id == disk), None)
    if found is None or _has(found, flags):
        return
    body = types.DiskAttachment(**{name: value for name, value in flags.items() if name not in ("alias", "interface")})
    if "interface" in flags:
        body.interface = types.DiskInterface(flags["interface"])
    if "alias" in flags:
        body.disk = types.Disk(alias=flags["alias"])

    def done(vm: Any) -> bool:
        now = next((each for each in raw.attachments(vm) if each.disk.id == disk), None)
        return now is not None and _has(now, flags)

    desk.send(f"changing disk {found.disk.alias} of VM {desk.name}", "a", (disk,), "PUT", f"/diskattachments/{disk}", body, done)
    desk.at_rest()


def _has(attachment: Any, flags: Mapping[str, Any]) -> bool:
    return all(str(attachment.disk.alias if name == "alias" else getattr(attachment, name)) == str(value) for name, value in flags.items())


def make_source(desk: Desk, args: Mapping[str, Any]) -> None:
    note = {key: args[key] for key in ("without", "flags") if args[key]}
    made = make(desk, f"taking the configuration of VM {desk.name}", source.text(source.SOURCE, **note), args["disks"])
    desk.source = (made, frozenset(args["disks"]))


def preview(desk: Desk, args: Mapping[str, Any]) -> None:
    """Every disk is listed, for what is not is deleted by a commit: those to keep with the image that they have right now."""
    shows = Composition.from_dict(args["shows"])

    def body() -> Any:
        vm = desk.at_rest()
        if raw.row(vm, "preview") is not None:
            raise jobs.Done
        origin = shows.config or _source(desk, vm)
        disks = [_choice(desk, found.disk, shows) for found in raw.snapshottable(vm) if not (shows.config and shows.disks.get(found.disk.id) == EXCLUDED)]
        return types.Action(snapshot=types.Snapshot(id=origin), restore_memory=shows.memory, disks=disks)

    what = f"opening a preview of VM {desk.name}"
    hint = "see the engine's events; run again, and what it left is repaired first"
    try:
        status = _open(desk, what, body)
    except jobs.Done:
        return _demand_the_same(desk, shows)
    except BackendFailed as error:
        desk.at_rest()
        raise BackendFailed(error.message, "preview_failed" if error.reason == "backend_failed" else error.reason, error.hint or hint) from error
    if status != "finished" and raw.row(desk.at_rest(), "preview") is None:
        raise BackendFailed(f"{what}: the engine failed; the disks are as before", "preview_failed", hint)


def _source(desk: Desk, vm: Any) -> str | None:
    """Raises Interrupted when somebody is taking it away: disks that it does not hold any more would come back plugged in and writable."""
    if desk.source is None:
        return next((found.id for found in reversed(source.of_kind(source.own(vm), source.SOURCE))), None)
    made, disks = desk.source
    if raw.regular(vm, made) is None or set(raw.held(vm, made)) != disks:
        raise Interrupted(
            f"VM {desk.name}: somebody removed the snapshot that the preview was to be made with", "changed_meanwhile", "look at the VM, then run again"
        )
    return made


def _demand_the_same(desk: Desk, shows: Composition) -> None:
    """One is open that was not when this was decided. Another one than ours is somebody else's: it must not be taken for ours that went wrong, and undone."""
    vm = desk.at_rest()
    row = raw.row(vm, "preview")
    if row is None:
        raise Interrupted(f"VM {desk.name}: somebody opened a preview and left it meanwhile", "changed_meanwhile", "look at the VM, then run again")
    found = read(vm, Closer({row.id: tuple(desk.engine.snapshot(desk.id, row.id).disks or ())}), {})
    if found.preview is None or row_of(found, found.preview.shows) != row_of(found, shows):
        raise Refused(
            f"VM {desk.name}: somebody else opened another preview meanwhile", "other_preview", "it is left as it is: commit or undo it first, then run again"
        )


def _open(desk: Desk, what: str, body: Any) -> str:
    named, answer = desk.send(what, "v", (), "POST", "/previewsnapshot", body, lambda now: raw.row(now, "preview") is not None)
    try:
        return desk.wait(what, named, answer)
    except Interrupted as error:
        vm = desk.look()
        if raw.is_locked(vm) and jobs.failed_by_events(desk.engine, named):
            problem = stuck(vm)
            raise Interrupted(f"VM {desk.name}: {problem.says}", problem.code, problem.hint) from error
        raise


def _choice(desk: Desk, disk: Any, shows: Composition) -> Any:
    taken = shows.sources.get(disk.id)
    image = raw.image_of(disk, taken) if taken else disk.image_id
    if image is None:
        raise Interrupted(
            f"VM {desk.name}: disk {disk.alias} is not in the snapshot any more", "changed_meanwhile", "somebody removed it; look at the VM, then run again"
        )
    return types.Disk(id=disk.id, image_id=image)


STEPS = {"mark": mark, "unmark": unmark, "unplug": unplug, "plug": plug, "source": make_source, "preview": preview}
