# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole Ansible tasks, as a user runs them: timed by a callback plugin, from the start of the task to its result."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libvirt
import yaml

from tests.bench.figure import Figure
from tests.docs.playing import environment, run
from tests.lab import vm as vms
from tests.lab.daemon import Daemon
from tests.tools.stage import CHECKOUT

Task = Mapping[str, Any]
LINK = CHECKOUT / ".build" / "link"

PAIRS = 11
FLEET = 50


def create_vs_noop() -> Figure:
    """Pairs of tasks in one play. Each has a VM of its own, so that none finds the snapshots of another; the first pair is for the caches."""
    tasks: list[Task] = []
    with laboratory() as (daemon, conn, folder):
        for number in range(PAIRS + 1):
            machine = vms.make(conn, folder, f"vm{number}", ("os", "data", "logs"), boot="halt", pool=number == 0)
            machine.start()
            tasks += [task("ping", "ansible.builtin.ping"), task("create", "diskwise.vm.snapshot_create", vm=machine.name, snapshot="s", disks=["os"])]
        took = play(tasks, folder, daemon.uri)
    return Figure(
        "create_vs_noop",
        took["create"][1:],
        took["ping"][1:],
        goal=1.5,
        what="a task that takes a snapshot of one of three disks of a running VM",
        against="a task that does nothing (`ansible.builtin.ping`) over the same connection",
    )


def fleet_vs_loop() -> Figure:
    """In the order one, loop, loop, one: the chains of the VMs get longer with each."""
    names = [f"vm{number}" for number in range(FLEET)]
    one = [task("one", "diskwise.vm.snapshot_create", vm=names, snapshot=f"one{number}", disks=["os"]) for number in range(2)]
    loop = [{**task("loop", "diskwise.vm.snapshot_create", vm="{{ item }}", snapshot=f"loop{number}", disks=["os"]), "loop": names} for number in range(2)]
    with laboratory() as (daemon, conn, folder):
        for number, name in enumerate(names):
            vms.make(conn, folder, name, ("os", "data", "logs"), boot=None, pool=number == 0)
        took = play([one[0], loop[0], loop[1], one[1]], folder, daemon.uri)
    return Figure(
        "fleet_vs_loop",
        took["one"],
        took["loop"],
        goal=0.2,
        what=f"one task that takes a snapshot of one disk of each of {FLEET} VMs that are down",
        against=f"a task in a loop over the same {FLEET} VMs",
    )


@contextmanager
def laboratory() -> Iterator[tuple[Daemon, libvirt.virConnect, Path]]:
    """A private libvirt and a folder for images."""
    with Daemon() as daemon:
        folder = daemon.folder / "images"
        folder.mkdir()
        folder.chmod(0o711)
        conn = libvirt.open(daemon.uri)
        try:
            yield daemon, conn, folder
        finally:
            conn.close()


def task(name: str, module: str, **options: Any) -> Task:
    return {"name": name, module: options}


def play(tasks: Sequence[Task], folder: Path, uri: str = "", collections: Sequence[Path] = ()) -> dict[str, list[float]]:
    """Seconds by the name of the task. They are of this machine: no fork, no SSH."""
    playbook, inventory, clock = folder / "playbook.yml", folder / "inventory.yml", folder / "clock.jsonl"
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]))
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}))
    played = run(
        "ansible-playbook",
        "--inventory",
        str(inventory),
        str(playbook),
        environment=environment(
            ANSIBLE_CALLBACK_PLUGINS=str(Path(__file__).parent / "callback"),
            ANSIBLE_CALLBACKS_ENABLED="clock",
            DISKWISE_CLOCK=str(clock),
            **({"LIBVIRT_DEFAULT_URI": uri} if uri else {}),
            **({"ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, [LINK, *collections]))} if collections else {}),
        ),
        cwd=folder,
    )
    if played.returncode:
        raise RuntimeError(played.stdout[-4000:])
    took: dict[str, list[float]] = {}
    for name, seconds in map(json.loads, clock.read_text().splitlines()):
        took.setdefault(name, []).append(seconds)
    return took
