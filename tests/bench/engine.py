# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine on a real libvirt, without Ansible around it."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import libvirt

from ansible_collections.diskwise.vm.plugins.module_utils._backends.libvirt.connection import Libvirt, LibvirtVm
from ansible_collections.diskwise.vm.plugins.module_utils._engine import create, preview
from ansible_collections.diskwise.vm.plugins.module_utils._engine.compose import Wish
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide, converge
from tests.bench.figure import Figure, seconds
from tests.bench.tasks import laboratory
from tests.lab import content, linux
from tests.lab import vm as vms
from tests.lab.daemon import Daemon

GIB = 1 << 30
WRITTEN = 2 * GIB
COPIES, PREVIEWS = 3, 9
FREEZES = 5
DISKS = 8
VERBOSE_AGENT = r"""
agent=$(cat /run/agent.pid)
again="$(tr '\0' ' ' <"/proc/$agent/cmdline") --verbose"
(sleep 1; kill "$agent"; sleep 1; $again) >/dev/null 2>&1 &
"""
"""Starts the agent again with its own arguments and one more; without it, it logs errors only."""


def preview_commit_vs_copy() -> Figure:
    """The previews run between the copies. Each finds a disk that was written to since the commit before."""
    shown = preview.PreviewRequest(Wish(disks=[{"disk": "data", "snapshot": "full"}]))
    ours, copies = [], []
    with laboratory() as (daemon, conn, folder):
        machine = vms.make(conn, folder, "vm", ("os", vms.Disk("data", size=WRITTEN + GIB), "logs"), boot=None, pool=True)
        full = machine.image("data")
        for start in range(0, WRITTEN, GIB):  # qemu-io takes less than 2 GiB at once
            content.write(full, start, 0xD1, GIB)
        change(engine(daemon, "vm"), lambda vm, can: create.decide(vm, create.Request("full", disks=["data"]), can))
        copy = folder / "copy"

        def preview_and_commit() -> None:
            change(engine(daemon, "vm"), lambda vm, can: preview.decide_preview(vm, shown, can))
            change(engine(daemon, "vm"), lambda vm, can: preview.decide_leave(vm, preview.LeaveRequest(True), can))

        def convert() -> None:
            subprocess.run(["qemu-img", "convert", "-O", "qcow2", full, copy], check=True)

        for _copy in range(COPIES):
            for _preview in range(PREVIEWS // COPIES):
                content.write(machine.image("data"), 0, 0xD2, 1 << 16)
                ours.append(seconds(preview_and_commit))
            copies.append(seconds(convert))
            copy.unlink()
    return Figure(
        "preview_commit_vs_copy",
        ours,
        copies,
        goal=0.02,
        what=f"preview and commit of one disk with {WRITTEN // GIB} GiB of data, without Ansible",
        against="`qemu-img convert` of that disk",
    )


def freeze_vs_virsh() -> Figure:
    """By the log of the guest agent, in turns. Each snapshot is taken of the same saved guest, restored with fresh disks."""
    built = linux.build()
    names = [*linux.DISKS, *(f"more{number}" for number in range(DISKS - len(linux.DISKS)))]
    required = create.Request("frozen", quiesce="required")
    ours: list[float] = []
    virsh: list[float] = []
    with laboratory() as (daemon, conn, folder):
        saved = save(conn, folder, built, names)

        def with_engine(guest: linux.LinuxVm) -> None:
            change(engine(daemon, guest.name), lambda vm, can: create.decide(vm, required, can))

        def with_virsh(guest: linux.LinuxVm) -> None:
            subprocess.run(
                ["virsh", "--quiet", "--connect", daemon.uri, "snapshot-create-as", guest.name, "frozen", "--quiesce", "--disk-only"],
                check=True,
                stdout=subprocess.DEVNULL,
            )

        for number in range(2 * FREEZES):
            took, way = ((ours, with_engine), (virsh, with_virsh))[number % 2]
            place = folder / f"{number}"
            place.mkdir(mode=0o711)
            guest = saved.restore(conn, place)
            way(guest)
            took.append(frozen(guest))
            guest.undefine()
    return Figure(
        "freeze_vs_virsh",
        ours,
        virsh,
        goal=0.2,
        what=f"how long a Linux guest's file systems are frozen while {DISKS} disks are snapshotted with `quiesce: required`",
        against="the same with `virsh snapshot-create-as --quiesce --disk-only`",
    )


def save(conn: libvirt.virConnect, folder: Path, built: linux.Build, names: list[str]) -> linux.Saved:
    """A booted guest with these disks. It mounts the first three and keeps writing to them."""
    images = {name: built.disk(name if name in linux.DISKS else "data") for name in names}
    guest = linux.make(conn, folder, "linux", built, images)
    guest.start()
    guest.run(VERBOSE_AGENT)
    time.sleep(3)
    linux.wait_agent(guest.dom)
    defined = guest.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    memory = folder / "linux.mem"
    guest.dom.save(str(memory))
    running = conn.saveImageGetXMLDesc(str(memory), 0)
    guest.undefine()
    return linux.Saved(guest, memory, running, defined)


def frozen(guest: linux.LinuxVm) -> float:
    """Seconds by the guest's clock: the agent stops logging before it freezes the first file system, and goes on after it has thawed the last."""
    log = guest.run("cat /run/agent.log")
    times = [float(stamp) for stamp in re.findall(r"^(\d+\.\d+): .*(?:disabling logging|logging re-enabled) due to filesystem", log, re.MULTILINE)]
    if len(times) != 2:
        raise RuntimeError(f"the agent's log does not show one freeze and one thaw:\n{log}")
    return times[1] - times[0]


def engine(daemon: Daemon, name: str) -> LibvirtVm:
    """As a task does it: a connection of its own."""
    found = Libvirt(daemon.uri, 600, 1).find([name])[0]
    if not isinstance(found, LibvirtVm):
        raise found
    return found


def change(backend: LibvirtVm, decide: Decide) -> None:
    if not converge(backend, decide, False).changed:
        raise RuntimeError("there was nothing to do, so nothing was measured")
