# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk, which snapshot: names are looked up here, once, and nowhere guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Callable, Union

from .errors import Ambiguous, NotFound, Refused
from .model import CURRENT, RESERVED, Disk, Snapshot, Vm

Selector = Union[str, Mapping[str, Any]]
"""A string (an id, a name or a target), or a mapping of the keys below that must all match."""

_KEYS: dict[str, Callable[[Disk, Any], bool]] = {
    "id": lambda disk, value: disk.id == value,
    "name": lambda disk, value: fnmatchcase(disk.name, str(value)),
    "target": lambda disk, value: disk.target == value,
    "serial": lambda disk, value: bool(disk.serial) and disk.serial == value,
    "storage": lambda disk, value: fnmatchcase(disk.storage, str(value)),
    "bootable": lambda disk, value: disk.bootable is value,
    "all": lambda disk, value: value is True,
}
_FLAGS = ("bootable", "all")


def describe(disk: Disk) -> str:
    return disk.name if disk.name == disk.target else f"{disk.name} ({disk.target})"


@dataclass(frozen=True)
class Picked:
    """The disks that selectors matched. ``explicit`` holds the ids of those that were named one by one, not by a pattern or a class."""

    disks: tuple[Disk, ...]
    explicit: frozenset[str]


def check(selector: Selector) -> Selector:
    """Refuse a selector of the wrong shape. ``bootable`` and ``all`` are turned into real booleans."""
    if isinstance(selector, str):
        if selector:
            return selector
        raise Refused("an empty string selects no disk", "bad_selector", "name a disk by its id, name or target")
    if not isinstance(selector, Mapping) or not selector:
        raise Refused(f"{selector!r} does not select disks", "bad_selector", f"use a string, or a dictionary of {', '.join(_KEYS)}")
    unknown = sorted(set(map(str, selector)) - set(_KEYS))
    if unknown:
        raise Refused(f"unknown disk selector {', '.join(unknown)}", "bad_selector", f"known are {', '.join(_KEYS)}")
    checked: dict[str, Any] = {}
    for key, value in selector.items():
        if key in _FLAGS:
            flag = {"true": True, "yes": True, "false": False, "no": False}.get(str(value).lower())
            if flag is None:
                raise Refused(f"disk selector {key} wants true or false, not {value!r}", "bad_selector", f"write {key}: true")
            checked[key] = flag
        elif not isinstance(value, (str, int)) or isinstance(value, bool) or value == "":
            raise Refused(f"disk selector {key} wants a string, not {value!r}", "bad_selector", "put the value in quotes")
        else:
            checked[key] = str(value)
    return checked


def matching(disks: Iterable[Disk], selector: Selector, vm_name: str) -> tuple[Disk, ...]:
    """The disks that one selector matches, at least one. A plain string must mean exactly one."""
    pool = tuple(disks)
    selector = check(selector)
    if isinstance(selector, str):
        found = tuple(d for d in pool if d.id == selector) or tuple(d for d in pool if selector in (d.name, d.target))
        if len(found) > 1:
            listed = ", ".join(f"{d.name} (id {d.id}, target {d.target})" for d in found)
            raise Ambiguous(f"VM {vm_name}: {selector!r} means {len(found)} disks: {listed}", "ambiguous_disk", "name the disk by its id or target")
    else:
        wanted = selector
        found = tuple(d for d in pool if all(_KEYS[key](d, value) for key, value in wanted.items()))
    if not found:
        known = ", ".join(map(describe, pool)) or "none"
        raise NotFound(f"VM {vm_name} has no disk that matches {selector!r}", "unknown_disk", f"its disks are: {known}")
    return found


def one(disks: Iterable[Disk], selector: Selector, vm_name: str) -> Disk:
    """The one disk that the selector means."""
    found = matching(disks, selector, vm_name)
    if len(found) > 1:
        raise Ambiguous(
            f"VM {vm_name}: {selector!r} matches {len(found)} disks where one is meant",
            "ambiguous_disk",
            f"it matches {', '.join(map(describe, found))}",
        )
    return found[0]


def several(disks: Sequence[Disk], selectors: Iterable[Selector], vm_name: str, none_is_fine: bool = False) -> Picked:
    """All disks that any of the selectors matches, in the VM's order. ``none_is_fine``: a pattern or a class may match nothing."""
    found: dict[str, Disk] = {}
    explicit: set[str] = set()
    for selector in selectors:
        try:
            hits = matching(disks, selector, vm_name)
        except NotFound:
            if none_is_fine and not _is_explicit(selector):
                continue
            raise
        found.update((disk.id, disk) for disk in hits)
        if _is_explicit(selector):
            explicit.update(disk.id for disk in hits)
    return Picked(tuple(disk for disk in disks if disk.id in found), frozenset(explicit))


def _is_explicit(selector: Selector) -> bool:
    """Naming a disk that cannot take part is an error; catching it with a pattern or a class only skips it."""
    if isinstance(selector, str):
        return True
    if any(key in selector for key in ("id", "target", "serial", "bootable")):
        return True
    return "name" in selector and not any(char in str(selector["name"]) for char in "*?[")


def snapshot(vm: Vm, ref: str) -> Snapshot:
    """The snapshot of that id or name; a name that several have is never guessed."""
    if ref in RESERVED:
        raise Refused(f"VM {vm.name}: {ref!r} is not a snapshot", "reserved_name", f"{CURRENT!r} means as it is now; to leave a disk out use exclude: true")
    found = next((s for s in vm.snapshots if s.id == ref), None) or named(vm, ref)
    if found is None:
        known = ", ".join(s.name for s in vm.snapshots) or "none"
        raise NotFound(f"VM {vm.name} has no snapshot {ref!r}", "unknown_snapshot", f"its snapshots are: {known}")
    return found


def named(vm: Vm, name: str) -> Snapshot | None:
    """The one snapshot of that name, if there is any."""
    found = [s for s in vm.snapshots if s.name == name]
    if len(found) > 1:
        listed = ", ".join(f"{s.id} (created {s.created})" for s in found)
        raise Ambiguous(f"VM {vm.name} has {len(found)} snapshots named {name!r}", "ambiguous_snapshot", f"use an id: {listed}")
    return found[0] if found else None
