# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter snapshot_matrix: what the composer page shows, as plain text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.diskwise.vm.plugins.module_utils._engine.compose import compose, wish
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import CURRENT, Composition, Disk, Image, Snapshot, Vm
from ansible_collections.diskwise.vm.plugins.module_utils._engine.render import row
from ansible_collections.diskwise.vm.plugins.module_utils._report import read

UNITS = ("B", "K", "M", "G", "T", "P")


def snapshot_matrix(
    vm: Any,
    snapshot: str = "",
    config: str = "",
    memory: bool = False,
    disks: Sequence[Mapping[str, Any]] = (),
    allow_partial_memory: bool = False,
) -> str:
    """The matrix of the VM with what its preview shows, or what a preview with these options would show."""
    try:
        found = read(vm["report"])
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"snapshot_matrix: this is not the vm value of diskwise.vm.snapshot_info of this release: {error}") from error
    options = {"snapshot": snapshot, "config": config, "memory": memory, "disks": list(disks), "allow_partial_memory": allow_partial_memory}
    if not (snapshot or config or memory or disks):
        return _matrix(found, found.preview.shows if found.preview else Composition())
    try:
        return _matrix(found, compose(found, wish(options))[0])
    except VmError as error:
        raise AnsibleFilterError(f"snapshot_matrix: {error.message} ({error.reason}): {error.hint}") from error


def _matrix(vm: Vm, shows: Composition) -> str:
    disks = _columns(vm, shows)
    lines = [["", "", "", *(_plain(vm.label(disk.id)) for disk in disks)]]
    lines.append(["snapshot", "config", "memory", *(_of_disk(vm, disk) for disk in disks)])
    for number, snapshot in reversed(list(enumerate(vm.snapshots, 1))):
        lines.append([f"#{number} {_plain(snapshot.name)}", *_of_snapshot(shows, snapshot), *(_held(vm, shows, snapshot, disk.id) for disk in disks)])
    now = ["before the preview" if vm.preview else "current state", _taken("x", shows.config is None), " - "]
    lines.insert(2, now + [_now(vm, shows, disk.id) for disk in disks])
    if vm.preview:
        made = vm.preview.images
        lines.insert(2, ["preview", "", "", *(f" {_size(vm.images.get(made[disk.id])) if disk.id in made else '-'} " for disk in disks)])
    result = row(vm, shows)
    sources = [_source(vm, shows.config), *(_source(vm, shows.disks.get(disk.id), result["disks"].get(vm.label(disk.id), "-")) for disk in disks)]
    lines.append([f"= {'shown' if vm.preview else 'result'}", sources[0], "resumed" if shows.memory else "off", *sources[1:]])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [f"{_plain(vm.name)}: {'in preview' if vm.preview else vm.power}, {len(vm.snapshots)} snapshots"]
    return "\n".join(text + ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines])


def _columns(vm: Vm, shows: Composition) -> list[Disk]:
    known = {disk.id for disk in vm.disks if not disk.removable} | set(shows.disks) | {disk for s in vm.snapshots for disk in s.images}
    return sorted(map(vm.disk, known), key=lambda disk: (len(disk.target), disk.target, disk.name, disk.id))


def _of_disk(vm: Vm, disk: Disk) -> str:
    depth = len(vm.chain((vm.preview.images if vm.preview else {}).get(disk.id) or vm.leaf.get(disk.id)))
    return ", ".join(filter(None, (_plain(disk.target), f"chain {depth}" if depth else "")))


def _of_snapshot(shows: Composition, snapshot: Snapshot) -> list[str]:
    chosen = shows.config == snapshot.id
    config = "!" if snapshot.unusable or not snapshot.has_config else "x"
    return [_taken(config, chosen), _taken("x", chosen and shows.memory) if snapshot.memory else " - "]


def _held(vm: Vm, shows: Composition, snapshot: Snapshot, disk: str) -> str:
    if disk not in snapshot.images:
        return " - "
    missing = any(image in vm.images and vm.images[image].missing for image in vm.chain(snapshot.images[disk]))
    return _taken(_size(vm.images.get(snapshot.images[disk])) + ("!" if missing or snapshot.unusable else ""), shows.disks.get(disk) == snapshot.id)


def _now(vm: Vm, shows: Composition, disk: str) -> str:
    if all(found.id != disk for found in vm.disks):
        return " - "
    return _taken(_size(vm.images.get(vm.leaf.get(disk, ""))), disk not in shows.disks)


def _taken(text: str, taken: bool) -> str:
    return f"[{text}]" if taken else f" {text} "


def _size(image: Image | None) -> str:
    """Short, as ``ls -h`` writes it; ``x`` for an image whose size nobody knows."""
    if image is None or image.size is None:
        return "x"
    value, unit = float(image.size), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f}{UNITS[unit]}" if unit and value < 10 else f"{value:.0f}{UNITS[unit]}"


def _source(vm: Vm, source: str | None, otherwise: str = CURRENT) -> str:
    """A snapshot by its number, as in the rows."""
    number = next((number for number, snapshot in enumerate(vm.snapshots, 1) if snapshot.id == source), None)
    return f"#{number}" if number else otherwise


def _plain(text: str) -> str:
    """On a terminal, a name is only a name."""
    return "".join(char if char.isprintable() else "?" for char in text)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"snapshot_matrix": snapshot_matrix}
