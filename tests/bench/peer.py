# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same work by ovirt.ovirt.ovirt_snapshot and by ours, against the same engine emulator: how many requests, and how long."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure
from tests.bench.tasks import Task, play, task
from tests.emulator.control import Emulator
from tests.tools.stage import CHECKOUT

PEER = CHECKOUT / ".build" / "peer"
PACKAGE = "ansible==14.5.0"
"""PyPI's package of many collections: the only place without Galaxy where ovirt.ovirt is."""

DISKS = [f"disk{number}" for number in range(1, 9)]
WANTED = DISKS[4]
FLEET = 200
SPEED = 20
"""Times as fast as a real engine: a snapshot takes about half a second."""


def requests_create_vs_peer() -> Figure:
    """The first play makes the payloads; counted are the requests that reach the engine, logins included."""
    with center() as engine:
        engine.make_vm("app01", DISKS)
        ours = requests(engine, [ours_task("ours", engine, "app01")])
        other = requests(engine, [peer_task("peer", engine, "app01")])
    return Figure(
        "requests_create_vs_peer",
        [ours],
        [other],
        goal=0.4,
        what="HTTP requests of a task that takes a snapshot of one of 8 disks, by its name",
        against="those of `ovirt.ovirt.ovirt_snapshot` for the same",
        unit="requests",
    )


def requests_unchanged_vs_peer() -> Figure:
    with center() as engine:
        engine.make_vm("app01", DISKS)
        for one in (ours_task("ours", engine, "app01"), peer_task("peer", engine, "app01")):
            requests(engine, [one])
        ours = requests(engine, [ours_task("ours", engine, "app01")])
        other = requests(engine, [peer_task("peer", engine, "app01")])
    return Figure(
        "requests_unchanged_vs_peer",
        [ours],
        [other],
        goal=0.4,
        what="HTTP requests of that task when it is run again, and changes nothing",
        against="those of `ovirt_snapshot`, which makes a second snapshot",
        unit="requests",
    )


def fleet_200_vs_peer() -> Figure:
    names = [f"vm{number:03}" for number in range(FLEET)]
    with center() as engine, tempfile.TemporaryDirectory() as folder:
        for name in names:
            engine.make_vm(name, ["os", "data", "logs"])
        ours = played([ours_task("ours", engine, names, disk="os")], Path(folder), engine)["ours"]
        loop = {**peer_task("peer", engine, "{{ item }}", disk="os"), "loop": names}
        other = played([loop], Path(folder), engine)["peer"]
    return Figure(
        "fleet_200_vs_peer",
        ours,
        other,
        goal=0.05,
        what=f"one task that takes a snapshot of one of three disks of each of {FLEET} VMs, on an engine {SPEED} times as fast as a real one",
        against=f"`ovirt_snapshot` in a loop over the same {FLEET} VMs",
    )


@contextmanager
def center() -> Iterator[Emulator]:
    with Emulator() as engine:
        engine.reset()
        engine.speed(SPEED)
        yield engine


def ours_task(name: str, engine: Emulator, vm: str | Sequence[str], disk: str = WANTED) -> Task:
    return task(name, "diskwise.vm.snapshot_create", auth=auth(engine), vm=vm, snapshot="ours", disks=[disk])


def peer_task(name: str, engine: Emulator, vm: str, disk: str = WANTED) -> Task:
    return task(name, "ovirt.ovirt.ovirt_snapshot", auth=auth(engine), vm_name=vm, description="peer", use_memory=False, disks=[{"name": disk}])


def auth(engine: Emulator) -> dict[str, Any]:
    return {"url": engine.url, "username": engine.username, "password": engine.password, "ca_file": str(engine.ca)}


def requests(engine: Emulator, tasks: Sequence[Task]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        engine.clear_log()
        played(tasks, Path(folder), engine)
        return float(len(engine.log()))


def played(tasks: Sequence[Task], folder: Path, engine: Emulator) -> dict[str, list[float]]:
    return play(tasks, folder, collections=[peer()])


@cache
def peer() -> Path:
    """A folder of collections that has ovirt.ovirt alone, out of a wheel: unpacked, not installed."""
    if not (PEER / "ansible_collections" / "ovirt" / "ovirt" / "MANIFEST.json").exists():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE], check=True)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                wheel.extractall(PEER, [name for name in wheel.namelist() if name.startswith("ansible_collections/ovirt/ovirt/")])
    return PEER
