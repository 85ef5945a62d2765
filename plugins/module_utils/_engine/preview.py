# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_preview, snapshot_commit, snapshot_undo and snapshot_restore: decide."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import losses, session
from .changes import Change, Decision, Enter, Leave, Remember, destroyed
from .compose import Wish, compose
from .errors import Refused
from .model import Composition, Vm
from .render import one_line


@dataclass(frozen=True)
class PreviewRequest:
    wish: Wish
    if_running: str = "fail"
    if_previewing: str = "fail"
    allow_disk_removal: bool = False


@dataclass(frozen=True)
class RestoreRequest:
    wish: Wish
    if_running: str = "fail"
    if_previewing: str = "fail"
    allow_disk_removal: bool = False
    request_id: str = ""


@dataclass(frozen=True)
class LeaveRequest:
    """``wish`` guards that this very preview is meant; None takes whatever is open."""

    keep: bool
    wish: Wish | None = None
    expect_preview: bool = False
    allow_disk_removal: bool = False
    if_running: str = "fail"


def decide_preview(vm: Vm, request: PreviewRequest) -> Decision:
    shows, warnings = compose(vm, request.wish)
    action = session.action(vm, "preview", shows, request.if_previewing)
    loss = losses.of_commit(vm, shows)
    if action == "keep":
        said = ("the VM is exactly this already: no preview is needed",) if vm.preview is None else ()
        return Decision(loss=loss if vm.preview else Decision().loss, warnings=warnings + said, shows=shows)
    if destroyed(vm, shows):
        _check_removal(vm, shows, request.allow_disk_removal, "commit")
    # An open preview is undone first, which also ends the memory that was saved in it.
    changes = session.stops(vm, "undo" if action == "switch" else "preview", request.if_running) + _switch(vm, action) + (Enter(shows),)
    return Decision(changes, loss, warnings + _undone(vm, action), shows=shows)


def decide_restore(vm: Vm, request: RestoreRequest) -> Decision:
    if request.request_id and not vm.complete and vm.asked != request.request_id:
        return Decision(asks=request.request_id)
    if request.request_id and request.request_id in vm.requests:
        done = vm.requests[request.request_id]
        return Decision(warnings=(f"request {request.request_id} was carried out before{f': {one_line(vm, done)}' if done else ''}",), shows=done)
    shows, warnings = compose(vm, request.wish)
    action = session.action(vm, "restore", shows, request.if_previewing)
    if action == "keep":
        if not request.request_id or vm.can.notes_requests:
            return Decision((Remember(request.request_id, shows),) if request.request_id else (), warnings=warnings, shows=shows)
        said = f"there was nothing to do for request {request.request_id}, and the hypervisor keeps no note of that"
        return Decision(warnings=(*warnings, said), shows=shows)
    _check_removal(vm, shows, request.allow_disk_removal, "restore")
    leave = Leave(True, request.request_id)
    verb = {"leave": "commit", "switch": "undo"}.get(action, "restore")
    changes: tuple[Change, ...] = session.stops(vm, verb, request.if_running)
    changes += (leave,) if action == "leave" else (*_switch(vm, action), Enter(shows), leave)
    loss = losses.of_commit(vm, shows)
    losses.demand_unused(vm, loss.images, "restore")
    return Decision(changes, loss, warnings + _undone(vm, action), shows=shows)


def decide_leave(vm: Vm, request: LeaveRequest) -> Decision:
    verb = "commit" if request.keep else "undo"
    if vm.preview is None:
        return _without_preview(vm, request, verb)
    session.action(vm, verb, _guard(vm, request))
    shows = vm.preview.shows
    if request.keep:
        _check_removal(vm, shows, request.allow_disk_removal, "commit")
    changes: tuple[Change, ...] = (*session.stops(vm, verb, request.if_running), Leave(request.keep))
    loss = losses.of_commit(vm, shows) if request.keep else losses.of_undo(vm)
    losses.demand_unused(vm, loss.images, verb)
    return Decision(changes, loss, shows=shows)


def _guard(vm: Vm, request: LeaveRequest) -> Composition | None:
    """The composition that is meant; None for whatever is open."""
    if request.wish is None:
        return None
    wanted = compose(vm, request.wish)[0]
    shown = vm.preview.shows if vm.preview else vm.committed
    return replace(wanted, memory=shown.memory) if request.wish.memory is None and shown else wanted


def _without_preview(vm: Vm, request: LeaveRequest, verb: str) -> Decision:
    wanted = _guard(vm, request) if request.expect_preview and request.keep else None
    if wanted and not vm.complete:
        return Decision(shows=wanted)  # whether it was committed takes a closer look
    if request.expect_preview and not (request.keep and session.state(vm, wanted) == "committed"):
        raise Refused(f"VM {vm.name} is not in a preview, so there is nothing to {verb}", "no_preview", "open one first, or leave out expect_preview")
    return Decision()


def _check_removal(vm: Vm, shows: Composition, allowed: bool, verb: str) -> None:
    names = ", ".join(vm.label(disk) for disk in shows.excluded)
    if destroyed(vm, shows) and not allowed:
        raise Refused(
            f"VM {vm.name}: to {verb} this deletes disk {names}, with all that snapshots hold of it",
            "disk_removal",
            "set allow_disk_removal: true if that is meant; with config: current the disk would only be unplugged",
        )
    if shows.excluded and not allowed:
        raise Refused(
            f"VM {vm.name}: to {verb} this takes disk {names} off the VM",
            "disk_removal",
            "set allow_disk_removal: true if that is meant; the files of the disk are kept",
        )


def _switch(vm: Vm, action: str) -> tuple[Change, ...]:
    if action != "switch":
        return ()
    losses.demand_unused(vm, losses.of_undo(vm).images, "undo")
    return (Leave(False),)


def _undone(vm: Vm, action: str) -> tuple[str, ...]:
    if action != "switch" or vm.preview is None:
        return ()
    return (f"the open preview is undone and what was written in it is gone: {one_line(vm, vm.preview.shows)}",)
