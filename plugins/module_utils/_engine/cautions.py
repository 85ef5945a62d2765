# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about a composition: it is allowed, and may not be what is meant."""

from __future__ import annotations

from collections.abc import Sequence

from .changes import shown_disks
from .model import Composition, Disk, Snapshot, Vm


def foreign_disks(vm: Vm, shows: Composition) -> tuple[str, ...]:
    """Names of the disks whose state is not of the moment of the composition's memory."""
    disks = [disk.id for disk in vm.disks if not disk.fixed and disk.id not in shows.disks] + list(shows.disks)
    return tuple(vm.label(disk) for disk in disks if shows.disks.get(disk) != shows.config)


def cautions(vm: Vm, shows: Composition, config: Snapshot | None) -> tuple[str, ...]:
    """What the user should know of the VM that the composition shows, although it is allowed."""
    found = []
    if shows.memory and foreign_disks(vm, shows):
        found.append(f"the memory of {vm.snapshot_name(shows.config)} does not belong to the state of disk {', '.join(foreign_disks(vm, shows))}")
    shown = tuple(disk for disk in shown_disks(vm, shows) if disk.plugged)
    boots, boots_now = ([disk.id for disk in disks if disk.bootable] for disks in (shown, vm.disks))
    if not shown:
        found.append("the previewed VM has no disk")
    elif not boots and boots_now:
        found.append("the previewed VM has no bootable disk")
    elif len(boots) > max(1, len(boots_now)):
        found.append(f"the previewed VM has {len(boots)} bootable disks: {', '.join(map(vm.label, boots))}")
    found += _changed_flags(vm, shown)
    if config:
        attached = {disk.id for disk in (*vm.disks, *shown)}
        absent = [disk.name for disk in config.disks if disk.id not in attached and not disk.fixed]
        if absent:
            found.append(f"disk {', '.join(absent)} of configuration {config.name} is not attached now and stays away; name it to bring it back")
    return tuple(found)


def _changed_flags(vm: Vm, shown: Sequence[Disk]) -> list[str]:
    """Disks that another configuration shows to the guest in another way than now."""
    now = {disk.id: disk for disk in vm.disks}
    pairs = [(now[disk.id], disk) for disk in shown if disk.id in now]
    plugged = [vm.label(disk.id) for before, disk in pairs if not before.plugged]
    writable = [vm.label(disk.id) for before, disk in pairs if before.read_only and not disk.read_only]
    said = [f"disk {', '.join(plugged)} is unplugged now and comes back plugged in"] if plugged else []
    return said + ([f"disk {', '.join(writable)} is read-only now and comes back writable"] if writable else [])
