# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit or undo the open preview, and clear up after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._engine.errors import BackendFailed, Interrupted, Refused, VmError
from . import raw, source
from .desk import Desk
from .faults import NO_PREVIEW
from .preview import set_flags
from .problems import stuck
from .remove import delete_row, drop_whole
from .sdk import types

SAFE = ("down", "suspended")
"""The engine also commits and undoes under a running guest, whose volumes it then deletes."""

HANGS_AFTER = 300.0
"""Seconds after which a commit that deletes a disk is taken for the hang that engines are known for."""


def commit(desk: Desk, args: Mapping[str, Any]) -> None:
    key = (args["shows"], args["request_id"])
    _leave(desk, "commit", "m", key, "/commitsnapshot", hangs=bool(args["deletes"]))
    if args["request_id"]:
        desk.done[args["request_id"]] = None


def undo(desk: Desk, args: Mapping[str, Any]) -> None:
    _leave(desk, "undo", "u", (), "/undosnapshot")
    marked = [disk for found in source.of_kind(source.own(desk.at_rest()), source.UNPLUGGING) for disk in found.note.get("disks", ())]
    for disk in dict.fromkeys([*args["plugged"], *marked]):
        set_flags(desk, disk, active=True)


def _leave(desk: Desk, verb: str, mark: str, key: tuple[Any, ...], path: str, hangs: bool = False) -> None:
    vm = desk.at_rest()
    if raw.row(vm, "preview") is None:
        return
    what = f"the {verb} of the preview of VM {desk.name}"
    shown = raw.row(vm, "active").id  # another one in each preview

    def body() -> Any:
        now = desk.at_rest()
        if raw.row(now, "preview") is not None and raw.row(now, "active").id != shown:
            raise Interrupted(f"{what}: another one was opened meanwhile", "changed_meanwhile", "look at the VM, then run again")
        if str(now.status) not in SAFE:
            raise Refused(f"VM {desk.name} is {now.status} and must be down to {verb}", "vm_running", "shut it down, or set if_running: shutdown or poweroff")
        return types.Action()

    try:
        desk.ask(what, mark, key, "POST", path, body, lambda now: raw.row(now, "preview") is None, limit=HANGS_AFTER if hangs else None)
    except Interrupted as error:
        vm = desk.look()
        if hangs and str(vm.status) == "image_locked" and raw.row(vm, "preview") is None:
            problem = stuck(vm)
            raise Interrupted(f"VM {desk.name}: {problem.says}", problem.code, problem.hint) from error
        raise
    except VmError as error:
        # The engine says so when there is no preview, and also while one is being opened or left: the rows tell.
        shown = raw.row(desk.at_rest(), "preview") is not None
        if error.reason == "backend_failed" and shown:
            raise _still_open(error.message, verb) from error
        if NO_PREVIEW not in error.message or shown:
            raise
    vm = desk.at_rest()
    if raw.row(vm, "preview") is not None:
        raise _still_open(f"{what}: the engine failed", verb)
    if raw.is_locked(vm):
        problem = stuck(vm)
        raise BackendFailed(f"VM {desk.name}: {problem.says}", problem.code, problem.hint)


def _still_open(said: str, verb: str) -> VmError:
    said, hint = f"{said}; the preview is still open", f"run again, only to {verb}: never the other way now"
    return BackendFailed(said, "commit_failed", hint) if verb == "commit" else BackendFailed(said, "undo_failed", hint)


def drop_source(desk: Desk, args: Mapping[str, Any]) -> None:
    """Remove the snapshot that gave the preview the current configuration, and whatever else of ours is left."""
    for found in source.own(desk.at_rest()):
        drop_whole(desk, found.id)


def drop(desk: Desk, args: Mapping[str, Any]) -> None:
    """Remove a snapshot that the commit left empty. It is kept if it holds a disk against all expectation."""
    vm = desk.at_rest()
    if raw.regular(vm, args["snapshot"]) is None:
        return
    held = [disk for disk in desk.engine.snapshot(desk.id, args["snapshot"]).disks or () if str(disk.status) != "illegal"]
    if not held:
        delete_row(desk, args["snapshot"])


def repair(desk: Desk, args: Mapping[str, Any]) -> None:
    set_flags(desk, args["disk"], **args["flags"])


STEPS = {"commit": commit, "undo": undo, "drop-source": drop_source, "drop": drop, "repair": repair}
