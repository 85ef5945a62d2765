# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a change is done on an engine: as steps, worked out from the Vm alone. Nothing is called here.

No image ids stand in a step: they change whenever a snapshot is removed, so each step looks them up right before it uses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._engine.changes import Change, Create, Enter, Leave, Remember, Remove, Settle, Stop, abandoned, after_commit, destroyed, shown_disks
from ..._engine.model import Disk, Preview, Step, Vm
from .problems import never_ends

REPAIRED = ("bootable", "interface", "pass_discard")
"""What goes with a disk's image although it belongs to the configuration, and can be set right afterwards."""


def plan(vm: Vm, change: Change) -> tuple[Step, ...]:
    """The steps from ``vm`` to what the change leads to. Raises Refused for what the engine would not do."""
    if isinstance(change, Settle):
        return (Step("settle", vm.name, f"finish or take back interrupted work: {vm.unfinished}"),)
    if isinstance(change, Stop):
        return (Step("stop", vm.name, "ask the guest to shut down" if change.how == "shutdown" else "power the VM off", {"how": change.how}),)
    if isinstance(change, Create):
        return _create(vm, change)
    if isinstance(change, Enter):
        return _enter(vm, change)
    if isinstance(change, Leave):
        return _commit(vm, change) if change.keep else _undo(vm)
    if isinstance(change, Remember):
        return ()  # the engine keeps no notes for us; decided so, since it says that
    return _remove(vm, change)


def _names(vm: Vm, disks: Any) -> str:
    return ", ".join(vm.label(disk) for disk in disks)


def _create(vm: Vm, change: Create) -> tuple[Step, ...]:
    what = _names(vm, change.disks) or "the configuration only"
    args = {"name": change.name, "description": change.description, "disks": list(change.disks), "memory": change.memory}
    steps = [Step("snapshot", change.name, f"snapshot {what}{' with memory' if change.memory else ''}", args, meets=True)]
    if change.quiesce == "required":
        steps.insert(0, Step("probe", vm.name, "freeze and thaw the guest, to see that its agent answers"))
    return tuple(steps)


def _enter(vm: Vm, change: Enter) -> tuple[Step, ...]:
    shows = change.shows
    steps = [] if shows.config else _source(replace(vm, preview=Preview(shows, {})))
    says = [f"configuration {vm.snapshot_name(shows.config)}"] + [f"{vm.disk(d).name} from {vm.snapshot_name(s)}" for d, s in sorted(shows.sources.items())]
    says += [f"without {vm.disk(disk).name}" for disk in shows.excluded]
    return (*steps, Step("preview", vm.name, "preview " + ", ".join(says), {"shows": shows.as_dict()}))


def _source(vm: Vm) -> list[Step]:
    """A snapshot of the current configuration. It holds the disks that are unplugged or read-only, since others come back plugged and writable.

    A disk to leave out is unplugged while the snapshot is taken: so the preview has it unplugged, and nothing of it is ever deleted. It notes
    what a commit has to set right.
    """
    excluded = vm.preview.shows.excluded if vm.preview else ()
    held = [disk.id for disk in vm.disks if not disk.fixed and (not disk.plugged or disk.read_only or disk.id in excluded)]
    args = {"disks": held, "without": list(excluded), "flags": {disk: dict(flags) for disk, flags in _repairs(vm).items()}}
    source = Step("source", vm.name, "snapshot the configuration for the preview" + (f", with {_names(vm, held)}" if held else ""), args)
    if not excluded:
        return [source]
    return [
        Step("mark", vm.name, f"note that {_names(vm, excluded)} will be unplugged for a moment", {"disks": list(excluded)}),
        *(Step("unplug", vm.label(disk), "unplug it for the snapshot of the configuration", {"disk": disk}) for disk in excluded),
        source,
        *(Step("plug", vm.label(disk), "plug it in again", {"disk": disk}) for disk in excluded),
        Step("unmark", vm.name, "forget the note"),
    ]


def _undo(vm: Vm) -> tuple[Step, ...]:
    # What the preview left out was plugged in; one who was at work at the same time may have unplugged it just before.
    plugged = list(vm.preview.shows.excluded) if vm.preview and not vm.preview.shows.config else []
    steps = [Step("undo", vm.name, "undo the preview", {"plugged": plugged})]
    return tuple(steps + _drop_source(vm))


def _drop_source(vm: Vm) -> list[Step]:
    if vm.preview and vm.preview.shows.config is None:
        return [Step("drop-source", vm.name, "remove the snapshot that the preview was made with")]
    left = any(problem.code == "left_over" for problem in vm.problems)
    return [Step("drop-source", vm.name, "remove what an interrupted run left")] if left else []


def _commit(vm: Vm, change: Leave) -> tuple[Step, ...]:
    if vm.preview is None:
        return ()
    shows = vm.preview.shows
    deleted = _names(vm, destroyed(vm, shows))
    args = {"shows": replace(shows, disks=shows.sources).as_dict(), "request_id": change.request_id, "deletes": list(destroyed(vm, shows))}
    steps = [Step("commit", vm.name, "commit the preview" + (f", which deletes {deleted}" if deleted else ""), args)]
    for disk, flags in _repairs(vm).items():
        says = ", ".join(f"{name.replace('_', ' ')} {value if name == 'alias' else str(value).lower()}" for name, value in flags.items())
        steps.append(Step("repair", vm.label(disk), f"set {says}, as it was to be", {"disk": disk, "flags": dict(flags)}))
    steps += _drop_source(vm)  # the last that knows the configuration, in case of a death
    gone = {image for images in abandoned(vm, shows).values() for image in images}
    newer = False  # those the engine removes itself, unless they hold a disk that it deletes
    for snapshot_id, left in after_commit(vm, shows, gone).items():
        if left is None and (not newer or deleted):
            steps.append(Step("drop", vm.snapshot_name(snapshot_id), "remove the snapshot, of which nothing is left", {"snapshot": snapshot_id}))
        newer = newer or snapshot_id == shows.config
    return tuple(steps)


def _repairs(vm: Vm) -> dict[str, Mapping[str, Any]]:
    """Disk id -> flags that came with a disk's image and differ from those of the configuration that is kept."""
    if vm.preview is None:
        return {}
    shows = vm.preview.shows
    config = {disk.id: disk for disk in (vm.snapshot(shows.config).disks if shows.config else vm.disks)}
    found: dict[str, Mapping[str, Any]] = {}
    for disk in shown_disks(vm, shows):
        wanted = config.get(disk.id, disk)
        comes = _of_image(vm, disk)
        differs = {name: getattr(wanted, name) for name in REPAIRED if getattr(wanted, name) != getattr(comes, name) and getattr(wanted, name) != ""}
        if comes.alias not in ("", disk.name):
            differs["alias"] = disk.name
        if differs and not disk.fixed:
            found[disk.id] = differs
    # First what takes a flag away: an engine has no two disks that are bootable by a change of ours.
    return dict(sorted(found.items(), key=lambda pair: bool(pair[1].get("bootable"))))


def _of_image(vm: Vm, disk: Disk) -> Disk:
    """The disk with the flags that come with its image."""
    source = vm.preview.shows.sources.get(disk.id) if vm.preview else None
    known = vm.snapshot(source).disks if source else vm.disks
    return next((found for found in known if found.id == disk.id), disk)


def _remove(vm: Vm, change: Remove) -> tuple[Step, ...]:
    snapshot = vm.snapshot(change.snapshot)
    unplugged = [disk for disk in change.disks if not vm.disk(disk).plugged]
    if vm.power == "up" and unplugged:
        raise never_ends(vm.name, snapshot.name, _names(vm, unplugged))
    steps = []
    if change.disks:
        # Disk by disk: when one fails, a removal of the whole snapshot leaves those that went well locked for good.
        says = f"merge {_names(vm, change.disks)} of the snapshot into what is built on it"
        steps.append(Step("merge", snapshot.name, says, {"snapshot": change.snapshot, "disks": list(change.disks)}))
    if change.whole:
        steps.append(Step("remove", snapshot.name, "remove the snapshot, which holds no disk any more", {"snapshot": change.snapshot}))
    return tuple(steps)
