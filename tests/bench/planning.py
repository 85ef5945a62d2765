# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning alone: what the engine thinks before anything is asked of a hypervisor or done on it."""

from __future__ import annotations

import time

from ansible_collections.diskwise.vm.plugins.module_utils._backends.libvirt.plan import made_images, plan
from ansible_collections.diskwise.vm.plugins.module_utils._engine.compose import Wish
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Capabilities, Disk, Image, Snapshot, Vm
from ansible_collections.diskwise.vm.plugins.module_utils._engine.preview import PreviewRequest, decide_preview
from tests.bench.figure import Figure

SNAPSHOTS, DISKS, RUNS = 200, 26, 25


def plan_200x26_ms() -> Figure:
    wish = Wish(config="s10", disks=[{"disk": f"disk{disk}", "snapshot": f"s{SNAPSHOTS - 1 - disk}"} for disk in range(DISKS)])

    def think(vm: Vm) -> None:
        for change in decide_preview(vm, PreviewRequest(wish), Capabilities(longest_chain=SNAPSHOTS + 2)).changes:
            plan(vm, change)
            vm = change.expected(vm, made_images(vm, change))

    took = []
    for _run in range(RUNS):
        vm = largest()  # a new one each time: what it looks up for itself is a part of the work
        start = time.process_time()  # nothing is waited for, so other programs on the machine need not count
        think(vm)
        took.append(time.process_time() - start)
    return Figure(
        "plan_200x26_ms",
        took,
        (),
        goal=50,
        what=f"deciding, planning and foreseeing a preview of a VM with {SNAPSHOTS} snapshots of {DISKS} disks, each disk from another snapshot",
        against="",
    )


def largest() -> Vm:
    """Every snapshot holds every disk."""
    disks = tuple(Disk(f"sd{disk}", f"disk{disk}", f"sd{disk}", bootable=disk == 0) for disk in range(DISKS))
    path = "/images/{}.{}.qcow2".format
    images = {
        path(disk.id, number): Image(path(disk.id, number), disk.id, path(disk.id, number - 1) if number else None, 1)
        for disk in disks
        for number in range(SNAPSHOTS + 1)
    }
    snapshots = tuple(
        Snapshot(f"s{number}", f"s{number}", created=number, images={disk.id: path(disk.id, number) for disk in disks}, disks=disks, own=True)
        for number in range(SNAPSHOTS)
    )
    return Vm("id", "largest", disks=disks, snapshots=snapshots, leaf={disk.id: path(disk.id, SNAPSHOTS) for disk in disks}, images=images)
