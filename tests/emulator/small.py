# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that exist at once, without tasks: the small data centre, and what tests ask for."""

from __future__ import annotations

from typing import Any

from tests.emulator.model.disks import DiskPlan, new_disk
from tests.emulator.model.engine import Engine
from tests.emulator.model.rows import Attachment, Disk, Settings, Vm, VmStatus
from tests.emulator.model.vms import new_nic, new_vm

GIB = 1 << 30


def fill(engine: Engine) -> None:
    """A server with a system disk, a data disk and a log disk, and a little in each."""
    vm = make_vm(
        engine,
        "app01",
        [
            {"name": "app01-os", "size": 20 * GIB, "content": {"boot": "os 1"}},
            {"name": "app01-data", "size": 100 * GIB, "content": {"0": "data 1"}},
            {"name": "app01-logs", "size": 10 * GIB, "content": {"0": "log 1"}},
        ],
        memory=4 * GIB,
    )
    vm.agent = True


def make_vm(
    engine: Engine,
    name: str,
    disks: list[str | dict[str, Any]],
    memory: int = GIB,
    nics: int = 1,
    running: bool = False,
    agent: bool = False,
    **settings: Any,
) -> Vm:
    """The first disk is bootable unless one says so itself."""
    vm = new_vm(engine, Settings(name, memory=memory, memory_guaranteed=memory, memory_max=memory * 4, **settings))
    wanted: list[dict[str, Any]] = [{"name": disk} if isinstance(disk, str) else dict(disk) for disk in disks]
    if wanted and not any(disk.get("bootable") for disk in wanted):
        wanted[0].setdefault("bootable", True)
    for disk in wanted:
        attach_disk(engine, vm, disk)
    for number in range(nics):
        new_nic(engine, vm, f"nic{number + 1}")
    vm.agent = agent
    if running:
        vm.status, vm.started = VmStatus.UP, engine.stamp()
    return vm


def attach_disk(engine: Engine, vm: Vm, wanted: dict[str, Any]) -> Disk:
    """``wanted``: name and, if they differ from the usual, size, format, shareable, lun, content and the flags of the attachment."""
    plan_keys, content = ("size", "format", "shareable", "lun", "domain_id", "description"), wanted.pop("content", {})
    plan = DiskPlan(wanted.pop("name"), **{key: wanted.pop(key) for key in plan_keys if key in wanted})
    disk = new_disk(engine, plan, engine.tables.active(vm).id)
    vm.attachments[disk.id] = Attachment(disk.id, **wanted)
    image = engine.tables.images.current(disk.id)
    for block, token in content.items():
        if image:
            engine.storage.write(image.id, block, token)
    return disk
