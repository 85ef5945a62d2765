# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees: views with names, the diff, the result row, the matrix. No ids of images, no times: those are in info."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from . import hardware
from .model import CURRENT, EXCLUDED, Composition, Disk, Loss, Snapshot, Vm


def row(vm: Vm, shows: Composition) -> dict[str, Any]:
    """The result row: configuration, memory, and one source per disk."""
    disks = {vm.label(disk.id): shows.disks.get(disk.id, CURRENT) for disk in vm.disks if not disk.removable}
    disks.update({vm.label(disk): source for disk, source in shows.disks.items()})
    named = {name: source if source in (CURRENT, EXCLUDED) else vm.snapshot_name(source) for name, source in disks.items()}
    return {"config": vm.snapshot_name(shows.config), "memory": shows.memory, "disks": dict(sorted(named.items()))}


def one_line(vm: Vm, shows: Composition) -> str:
    """A composition in a sentence, for messages."""
    found = row(vm, shows)
    disks = ", ".join(f"{name} from {source}" if source not in (CURRENT, EXCLUDED) else f"{name} {source}" for name, source in found["disks"].items())
    return f"configuration {found['config']}{' with memory' if shows.memory else ''}, {disks or 'no disk'}"


def view(vm: Vm) -> dict[str, Any]:
    """The VM in names: the same whoever reads it and whenever, so that a foreseen state can be compared with a real one."""
    return {
        "name": vm.name,
        "id": vm.id,
        "power": vm.power,
        "disks": sorted(vm.label(disk.id) for disk in vm.disks if not disk.removable),
        "snapshots": [_snapshot(vm, snapshot) for snapshot in vm.snapshots],
        "preview": row(vm, vm.preview.shows) if vm.preview else None,
        "unfinished": vm.unfinished,
        "requests": sorted(vm.requests),
    }


def _snapshot(vm: Vm, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "name": snapshot.name,
        "description": snapshot.description,
        "memory": snapshot.memory,
        "disks": sorted(vm.label(disk) for disk in snapshot.images),
    }


def differences(expected: Vm, found: Vm) -> list[str]:
    """What is not as it was foreseen, in words; power is left out, for a VM may be started or stopped by others at any time."""
    wanted, got = view(expected), view(found)
    said = []
    for key in ("disks", "preview", "unfinished", "requests"):
        if wanted[key] != got[key]:
            said.append(f"{key}: expected {json.dumps(wanted[key])}, found {json.dumps(got[key])}")
    if expected.preview and found.preview:
        said += _other_flags(expected.preview.disks, found.preview.disks)
    wanted_snapshots, got_snapshots = _by_name(wanted["snapshots"]), _by_name(got["snapshots"])
    for name in sorted(set(wanted_snapshots) | set(got_snapshots)):
        if wanted_snapshots.get(name) != got_snapshots.get(name):
            said.append(f"snapshot {name}: expected {json.dumps(wanted_snapshots.get(name))}, found {json.dumps(got_snapshots.get(name))}")
    return said


def _other_flags(expected: Sequence[Disk], found: Sequence[Disk]) -> list[str]:
    """Disks of a preview that the hypervisor attached in another way; nothing where it attaches them as it is told."""
    of_id = {disk.id: disk for disk in found}
    pairs = [(disk, of_id[disk.id]) for disk in expected if disk.id in of_id]
    flags = [(disk.name, flag, getattr(disk, flag), getattr(other, flag)) for disk, other in pairs for flag in ("plugged", "read_only")]
    return [f"disk {name}: expected {flag} {wanted}, found {got}" for name, flag, wanted, got in flags if wanted != got]


def _by_name(snapshots: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Two may have one name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for snapshot in snapshots:
        found.setdefault(snapshot["name"], []).append(snapshot)
    return found


def loss_view(loss: Loss) -> dict[str, Any]:
    return {
        "images": len(loss.images),
        "bytes": loss.size,
        "disks": list(loss.disks),
        "left_behind": list(loss.left_behind),
        "snapshots_removed": list(loss.snapshots_removed),
        "snapshots_reduced": {name: list(disks) for name, disks in loss.snapshots_reduced.items()},
        "without_config": list(loss.without_config),
        "backup_impact": loss.backup_impact,
        "says": list(loss.says),
    }


def info(vm: Vm) -> dict[str, Any]:
    """Everything about the VM, with ids, images and sizes."""
    made_by = {image: snapshot.name for snapshot in vm.snapshots for image in snapshot.images.values()}
    return {
        **view(vm),
        "disks": [
            {
                "id": disk.id,
                "name": disk.name,
                "target": disk.target,
                "serial": disk.serial,
                "storage": disk.storage,
                "bootable": disk.bootable,
                "size": disk.size,
                "fixed": disk.fixed,
                "plugged": disk.plugged,
                "read_only": disk.read_only,
                "image": vm.leaf.get(disk.id),
            }
            for disk in vm.disks
        ],
        "snapshots": [_snapshot_info(vm, snapshot) for snapshot in vm.snapshots],
        "chains": {
            vm.label(disk.id): [_image(vm, image, made_by.get(image, "")) for image in reversed(vm.chain(vm.leaf[disk.id]))]
            for disk in vm.disks
            if disk.id in vm.leaf
        },
        "composition": row(vm, vm.preview.shows) if vm.preview else row(vm, Composition()),
        "matrix": matrix(vm),
        "tree": tree(vm),
        "health": [
            {"code": problem.code, "subject": problem.subject, "says": problem.says, "hint": problem.hint, "blocks": problem.blocks} for problem in vm.problems
        ],
        "agent": vm.agent,
        "hardware": hardware.view(vm.hardware),
        "fingerprint": fingerprint(vm),
    }


def _snapshot_info(vm: Vm, snapshot: Snapshot) -> dict[str, Any]:
    return {
        **_snapshot(vm, snapshot),
        "id": snapshot.id,
        "created": snapshot.created,
        "quiesced": snapshot.quiesced,
        "config": snapshot.has_config,
        "hardware": hardware.view(snapshot.hardware),
        "memory_size": snapshot.memory_size,
        "status": snapshot.unusable or "ok",
        "own": snapshot.own,
        "parent": vm.snapshot_name(snapshot.parent) if snapshot.parent else None,
        "images": {vm.label(disk): _image(vm, image, snapshot.name) for disk, image in sorted(snapshot.images.items())},
    }


def _image(vm: Vm, image_id: str, snapshot: str) -> dict[str, Any]:
    image = vm.images.get(image_id)
    return {
        "id": image_id,
        "snapshot": snapshot or None,
        "size": image.size if image else None,
        "missing": bool(image and image.missing),
        "used_by": list(image.users) if image else [],
    }


def fingerprint(vm: Vm) -> str:
    """Changes whenever disks, snapshots, chains or the preview change; not with sizes or power."""
    state = {
        "view": {key: value for key, value in view(vm).items() if key != "power"},
        "leaf": dict(sorted(vm.leaf.items())),
        "snapshots": [[snapshot.id, dict(sorted(snapshot.images.items()))] for snapshot in vm.snapshots],
    }
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]


def matrix(vm: Vm, shows: Composition | None = None) -> str:
    """Snapshots (and the current state) x configuration, memory and disks as text.

    ``x`` marks what a snapshot holds, ``[x]`` what the composition takes; the last line is the result row.
    """
    shows = shows or (vm.preview.shows if vm.preview else Composition())
    known = {disk.id for disk in vm.disks if not disk.removable} | set(shows.disks) | {disk for s in vm.snapshots for disk in s.images}
    disks = sorted(known, key=lambda disk: (len(vm.disk(disk).target), vm.disk(disk).target, vm.disk(disk).name, disk))
    head = ["snapshot", "config", "memory"] + [vm.label(disk) for disk in disks]

    def cell(held: bool, taken: bool) -> str:
        return "[x]" if taken and held else " x " if held else " - "

    lines = [head]
    for snapshot in vm.snapshots:
        chosen = shows.config == snapshot.id
        cells = [cell(snapshot.has_config, chosen), cell(snapshot.memory, chosen and shows.memory)]
        lines.append([snapshot.name] + cells + [cell(disk in snapshot.images, shows.disks.get(disk) == snapshot.id) for disk in disks])
    attached = {disk.id for disk in vm.disks}
    cells = [cell(True, shows.config is None), " - "] + [cell(disk in attached, disk not in shows.disks) for disk in disks]
    lines.append([CURRENT, *cells])
    result = row(vm, shows)
    shown = [result["disks"].get(vm.label(disk), "-") for disk in disks]
    lines.append([f"= {'preview' if vm.preview else 'result'}", result["config"], "yes" if shows.memory else "no", *shown])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines)


def tree(vm: Vm) -> str:
    """The snapshots by parent, as indented text, each with its disks."""
    ids = {snapshot.id for snapshot in vm.snapshots}
    children: dict[str | None, list[Snapshot]] = {}
    for snapshot in vm.snapshots:
        children.setdefault(snapshot.parent if snapshot.parent in ids else None, []).append(snapshot)
    lines: list[str] = []
    stack = [(0, snapshot) for snapshot in reversed(children.get(None, []))]
    while stack:
        depth, snapshot = stack.pop()
        held = ", ".join(sorted(vm.label(disk) for disk in snapshot.images)) or "configuration only"
        lines.append(f"{'  ' * depth}{snapshot.name} ({held}{', memory' if snapshot.memory else ''})")
        stack += [(depth + 1, child) for child in reversed(children.get(snapshot.id, []))]
    return "\n".join(lines)
