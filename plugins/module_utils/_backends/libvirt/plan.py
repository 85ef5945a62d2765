# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a change is done on libvirt: as steps, worked out from the Vm alone. Nothing is called here.

Each changing verb notes what it is about to do in the record, makes what is new, settles it with one atomic call, and clears up.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ..._engine.changes import Change, Create, Enter, Leave, Remember, Remove, Settle, Stop, abandoned, merges, reduced
from ..._engine.errors import Refused
from ..._engine.model import Step, Vm
from .storage import OVERLAY_FORMAT, folder_of


def made_images(vm: Vm, change: Change) -> Mapping[str, str]:
    """Target -> path of the overlay that the change puts on top. The name follows from what is done, so a resumed run knows its own files."""
    if isinstance(change, Create):
        return {disk: _overlay(vm, disk, "snap", vm.leaf[disk], change.name) for disk in change.disks}
    if isinstance(change, Enter):
        key = json.dumps(change.shows.as_dict(), sort_keys=True)
        return {disk: _overlay(vm, disk, "preview", vm.snapshot(source).images[disk], key) for disk, source in change.shows.sources.items()}
    return {}


def memory_file(vm: Vm, name: str) -> str:
    """Beside the image of the first disk that can take part in snapshots. Raises Refused when there is none."""
    first = next((vm.leaf[disk.id] for disk in vm.disks if disk.id in vm.leaf and not disk.fixed), None)
    if first is None:
        raise Refused(
            f"VM {vm.name} has no disk that is a file, so there is no place for its memory", "no_place_for_memory", "leave memory out, or add such a disk"
        )
    return f"{folder_of(first)}/{_file_name(vm.name)}.memory-{_digest(vm.id, 'memory', name, first)}.save"


def _overlay(vm: Vm, disk: str, kind: str, base: str, key: str) -> str:
    return f"{folder_of(base)}/{_file_name(vm.name)}.{_file_name(disk)}.{kind}-{_digest(vm.id, kind, disk, base, vm.leaf.get(disk, ''), key)}.{OVERLAY_FORMAT}"


def _file_name(vm_name: str) -> str:
    """A VM's name as a part of a file name: only characters that mean nothing to any shell, path or URI."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", vm_name)[:80]


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def plan(vm: Vm, change: Change) -> tuple[Step, ...]:
    """The steps from ``vm`` to what the change leads to."""
    if isinstance(change, Settle):
        return (Step("settle", vm.name, f"finish or take back interrupted work: {vm.unfinished}"),)
    if isinstance(change, Stop):
        return (Step("stop", vm.name, "ask the guest to shut down" if change.how == "shutdown" else "power the VM off", {"how": change.how}),)
    if isinstance(change, Remember):
        says = "note the request as carried out"
        return (Step("remember", change.request_id, says, {"request_id": change.request_id, "shows": change.shows.as_dict()}),)
    if isinstance(change, Create):
        return _create(vm, change)
    if isinstance(change, Enter):
        return _enter(vm, change)
    if isinstance(change, Leave):
        return _commit(vm, change) if change.keep else _undo(vm)
    return _remove(vm, change)


def _create(vm: Vm, change: Create) -> tuple[Step, ...]:
    memory = memory_file(vm, change.name) if change.memory else None
    overlays = made_images(vm, change)
    note = {"name": change.name, "description": change.description, "memory": memory, "quiesce": change.quiesce}
    disks = {disk: [vm.leaf[disk], overlays[disk]] for disk in change.disks}
    what = ", ".join(vm.disk(disk).name for disk in change.disks) or "the configuration only"
    steps = [Step("note-create", change.name, "note which snapshot is being made", {"snapshot": note, "disks": disks})]
    if change.quiesce != "never":  # what takes long is not done while the guest is frozen
        steps.append(Step("prepare", change.name, f"new image for {what}"))
    says = f"snapshot {what}{' with memory' if memory else ''}"
    return (*steps, Step("snapshot", change.name, says, {"quiesce": change.quiesce}, meets=True), Step("clear", vm.name, "note that it is done"))


def _enter(vm: Vm, change: Enter) -> tuple[Step, ...]:
    shows, overlays = change.shows, made_images(vm, change)
    bases = {disk: vm.snapshot(source).images[disk] for disk, source in shows.sources.items()}
    steps = [
        Step(
            "note-preview",
            vm.name,
            "note which preview is being opened",
            {"shows": shows.as_dict(), "overlays": {d: [bases[d], overlays[d]] for d in overlays}},
        )
    ]
    steps += [
        Step("overlay", vm.disk(disk).name, f"new image on top of snapshot {vm.snapshot_name(shows.disks[disk])}", {"path": path, "base": bases[disk]})
        for disk, path in sorted(overlays.items())
    ]
    says = [f"configuration {vm.snapshot_name(shows.config)}"] + [f"{vm.disk(d).name} from {vm.snapshot_name(s)}" for d, s in sorted(shows.sources.items())]
    says += [f"without {vm.disk(disk).name}" for disk in shows.excluded]
    steps.append(Step("show", vm.name, "define the VM with " + ", ".join(says), {"shows": shows.as_dict()}))
    if shows.memory:
        steps.append(Step("memory", vm.name, f"load the memory of snapshot {vm.snapshot_name(shows.config)}, so that the next start resumes it"))
    return tuple(steps)


def _undo(vm: Vm) -> tuple[Step, ...]:
    made = sorted(vm.preview.images.items()) if vm.preview else []
    steps = [Step("return", vm.name, "define the VM as it was before the preview", {"delete": [path for _disk, path in made]})]
    steps += [Step("delete", vm.disk(disk).name, "delete the image of the preview", {"path": path}) for disk, path in made]
    return (*steps, Step("clear", vm.name, "note that it is done"))


def _commit(vm: Vm, change: Leave) -> tuple[Step, ...]:
    if vm.preview is None:
        return ()
    shows, made = vm.preview.shows, vm.preview.images
    gone = abandoned(vm, shows)
    deleted = [(disk, image) for disk, images in sorted(gone.items()) for image in images]
    paths = {image for _disk, image in deleted}
    snapshots: dict[str, dict[str, Any]] = {}
    dropped = []
    for snapshot in vm.snapshots:
        if reduced(snapshot, paths, shows.config) is None:
            dropped.append(snapshot)
            continue
        images: dict[str, str | None] = {disk: None for disk, image in snapshot.images.items() if image in paths}
        overlays = {disk: made[disk] for disk, source in shows.sources.items() if source == snapshot.id}
        if images or overlays:
            snapshots[snapshot.id] = {"images": images, "overlays": overlays}
    steps = [
        Step(
            "keep",
            vm.name,
            "make the preview the current state",
            {
                "snapshots": snapshots,
                "drop": [snapshot.id for snapshot in dropped],
                "delete": sorted(paths),
                "request_id": change.request_id,
            },
        )
    ]
    steps += _snapshot_steps(vm, snapshots, [snapshot.id for snapshot in dropped])
    if shows.config:
        steps.append(Step("current", vm.snapshot_name(shows.config), "let the next snapshot follow this one", {"snapshot": shows.config}))
    steps += [Step("delete", vm.disk(disk).name, "delete an image that the commit abandons", {"path": path}) for disk, path in deleted]
    return (*steps, Step("clear", vm.name, "note that it is done"))


def _remove(vm: Vm, change: Remove) -> tuple[Step, ...]:
    snapshot = vm.snapshot(change.snapshot)
    merged = merges(vm, snapshot, change.disks)
    moved = {above: below for below, above in merged.values()}
    snapshots: dict[str, dict[str, Any]] = {}
    for other in vm.snapshots:
        images: dict[str, str | None] = {disk: moved[image] for disk, image in other.images.items() if image in moved}
        if other.id == change.snapshot:
            images = {} if change.whole else dict.fromkeys(change.disks)
        if images:
            snapshots[other.id] = {"images": images, "overlays": {}}
    drop = [change.snapshot] if change.whole else []
    note = {"snapshot": {"name": change.snapshot}, "disks": list(change.disks), "whole": change.whole, "merges": {d: list(pair) for d, pair in merged.items()}}
    steps = [Step("note-remove", snapshot.name, "note which snapshot is being removed", note)]
    if merged:
        names = ", ".join(vm.disk(disk).name for disk in sorted(merged))
        steps.append(Step("merge", names, "merge each image above the snapshot's into it", {"merges": note["merges"]}))
    steps.append(Step("settle-remove", vm.name, "define the VM on the merged images", {"snapshots": snapshots, "drop": drop, "delete": sorted(moved)}))
    steps += _snapshot_steps(vm, snapshots, drop)
    steps += [Step("delete", vm.disk(disk).name, "delete the image that was merged", {"path": above}) for disk, (_below, above) in sorted(merged.items())]
    return (*steps, Step("clear", vm.name, "note that it is done"))


def _snapshot_steps(vm: Vm, snapshots: Mapping[str, Mapping[str, Any]], drop: list[str]) -> list[Step]:
    steps = []
    for name, changes in snapshots.items():
        lost = [vm.disk(disk).name for disk, image in changes["images"].items() if image is None]
        says = f"let it hold {', '.join(lost)} no more" if lost else "note its images' new places"
        steps.append(Step("redefine", vm.snapshot_name(name), says, {"snapshot": name}))
    return steps + [Step("drop", vm.snapshot_name(name), "forget the snapshot, and delete its memory", {"snapshot": name}) for name in drop]
