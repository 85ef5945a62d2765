# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_remove: decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import select, session
from .changes import Decision, Remove, merges
from .errors import NotFound, Refused
from .losses import demand_unused, of_removal
from .model import Disk, Snapshot, Vm


@dataclass(frozen=True)
class Request:
    """``disks`` is None for the whole snapshot."""

    snapshot: str
    disks: Sequence[select.Selector] | None = None


def decide(vm: Vm, request: Request) -> Decision:
    """The removal; none when the snapshot, or each named disk of it, is absent."""
    try:
        snapshot = select.snapshot(vm, request.snapshot)
    except NotFound:
        return Decision()
    disks = _disks(vm, snapshot, request)
    if request.disks is not None and not disks:
        return Decision()
    session.action(vm, "remove", None)
    return removal(vm, snapshot, disks, request.disks is None)


def removal(vm: Vm, snapshot: Snapshot, disks: tuple[str, ...], whole: bool) -> Decision:
    """The removal of what is there, after every check; create uses it to replace a snapshot."""
    change = Remove(snapshot.id, disks, whole)
    merged = merges(vm, snapshot, disks)
    _check(vm, snapshot, merged)
    kept = [vm.label(disk) for disk in disks if disk not in merged]
    warnings: tuple[str, ...] = (f"the image of disk {', '.join(kept)} stays as a file, because something else is built on it or nothing is",) if kept else ()
    if snapshot.memory and not whole:
        names = ", ".join(vm.label(disk) for disk in disks)
        warnings += (f"the memory of snapshot {snapshot.name} stays without the disk {names} that belongs to it",)
    return Decision((change,), of_removal(vm, change, merged), warnings)


def _disks(vm: Vm, snapshot: Snapshot, request: Request) -> tuple[str, ...]:
    if request.disks is None:
        return tuple(sorted(snapshot.images))
    known: list[Disk] = list(vm.known_disks())
    picked = select.several(known, request.disks, vm.name).disks
    return tuple(sorted(disk.id for disk in picked if disk.id in snapshot.images))


def _check(vm: Vm, snapshot: Snapshot, merged: dict[str, tuple[str, str]]) -> None:
    if vm.power == "suspended" and merged:
        raise Refused(
            f"VM {vm.name} is suspended: its saved memory belongs to the images as they are",
            "vm_suspended",
            "start it, or discard the saved memory, then run again",
        )
    for disk, (below, above) in merged.items():
        lost = [image for image in vm.chain(above) if image in vm.images and vm.images[image].missing]
        if lost and not vm.can.merges_again:
            raise Refused(
                f"VM {vm.name}: disk {vm.label(disk)} of snapshot {snapshot.name} needs image {lost[0]}, which is not there",
                "missing_image",
                "bring the file back first",
            )
        demand_unused(vm, (below, above), "remove the snapshot")
