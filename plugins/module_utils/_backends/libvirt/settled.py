# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state that finishing or taking back interrupted work leads to: what settle.py does, shown before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from ..._engine.changes import Remove
from ..._engine.model import Composition, Image, Preview, Snapshot, Vm
from . import xml
from .raw import Raw

UNFINISHED = {
    "creating": "snapshot {name} was being created",
    "entering": "a preview was being opened",
    "removing": "snapshot {name} was being removed",
    "tail": "the files and snapshots of a {verb} were being cleaned up",
    "open": "the memory of the preview was being restored",
}


def settled(vm: Vm, raw: Raw) -> Vm:
    """The state that finishing or taking back interrupted work leads to."""
    work = raw.record.work
    if not work:
        return vm
    phase = raw.record.phase
    unfinished = UNFINISHED[phase].format(name=work.get("snapshot", {}).get("name"), verb=work.get("verb"))
    if phase == "open":
        shows = Composition.from_dict(work["shows"])
        preview = Preview(shows, {target: path for target, (_base, _kind, path) in work["overlays"].items()})
        if work.get("memory") == "pending":
            return replace(vm, preview=preview, power="suspended", unfinished=unfinished)
        return replace(vm, preview=preview)
    if phase == "creating":
        vm = _settled_create(vm, raw)
    elif phase == "removing":
        known = {snapshot.id for snapshot in vm.snapshots}
        if work["snapshot"]["name"] in known:
            vm = Remove(work["snapshot"]["name"], tuple(work["disks"]), work["whole"]).expected(vm, {})
    elif phase == "tail":
        vm = _settled_tail(vm, work)
    return replace(vm, unfinished=unfinished)


def _settled_create(vm: Vm, raw: Raw) -> Vm:
    work = raw.record.work or {}
    note, disks = work["snapshot"], work["disks"]
    if note["name"] in raw.snapshots or not switched(work, raw.domain):
        return vm
    made = Snapshot(
        note["name"],
        note["name"],
        note["description"],
        created=int(note["created"]),
        memory=False,
        images={target: base for target, (base, _kind, _path) in disks.items()},
        disks=vm.disks,
        own=True,
    )
    images = {**vm.images, **{base: Image(base, target) for target, (base, _kind, _path) in disks.items()}}
    images.update({path: Image(path, target, base) for target, (base, _kind, path) in disks.items()})
    return replace(vm, snapshots=(*vm.snapshots, made), images=images)


def switched(work: Mapping[str, Any], domain: ElementTree.Element) -> bool:
    """Whether the domain already sits on the overlays of a snapshot that libvirt did not get to note."""
    now = xml.sources(domain)
    return bool(work["disks"]) and all(target in now and now[target].path == path for target, (_base, _kind, path) in work["disks"].items())


def _settled_tail(vm: Vm, work: Mapping[str, Any]) -> Vm:
    snapshots = []
    for snapshot in vm.snapshots:
        if snapshot.id in work["drop"]:
            continue
        changes = work["snapshots"].get(snapshot.id, {}).get("images", {})
        images = {**snapshot.images, **{target: source[0] for target, source in changes.items() if source}}
        snapshots.append(replace(snapshot, images={t: path for t, path in images.items() if changes.get(t, True)}))
    gone = set(work["delete"])
    images = {path: image for path, image in vm.images.items() if path not in gone}
    for target, (base, _kind, path) in work.get("overlays", {}).items():
        images[path] = Image(path, target, base)
    return replace(vm, snapshots=tuple(snapshots), images=images)
