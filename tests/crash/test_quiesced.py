# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of a frozen guest: its overlays are made beforehand, and its guest must never stay frozen, whoever dies or interferes."""

from __future__ import annotations

import random
import time
from pathlib import Path
from xml.etree import ElementTree

import libvirt
import pytest

from tests.crash.controller import Foreign, Kill, Trouble, play
from tests.crash.stage import LOCK, POOL, header_chain, running_chains, sources
from tests.crash.tally import tally
from tests.crash.test_foreign import THEIRS
from tests.lab import linux as guests
from tests.lab import vm as vms
from tests.lab.daemon import Daemon
from tests.lab.fixtures import close
from tests.lab.patience import wait_until

SNAPSHOT = {"vm": "linux", "snapshot": "new", "quiesce": "required"}
FREEZING = "virDomain.snapshotCreateXML"
MOMENTS = 5
"""How many moments within the call that freezes the guest."""
LONGEST = 0.2


class Box:
    """One running Linux after another, each in the same state."""

    def __init__(self, daemon: Daemon, saved: guests.Saved, folder: Path) -> None:
        self.daemon, self.saved, self.folder = daemon, saved, folder
        self.vm: guests.LinuxVm | None = None

    def restore(self) -> guests.LinuxVm:
        self.clear()
        self.vm = self.saved.restore(libvirt.open(self.daemon.uri), self.folder)
        return self.vm

    def reconnect(self) -> None:
        assert wait_until(lambda: self.daemon.pid is None), "libvirtd does not die"
        self.daemon.restart()
        close(self.vm.conn)
        self.vm.conn = libvirt.open(self.daemon.uri)

    def clear(self) -> None:
        if self.vm:
            vms.remove_all(self.vm.conn, self.folder)
            close(self.vm.conn)
            self.vm = None
        for file in self.folder.iterdir():
            file.unlink()


@pytest.fixture
def box(daemon: Daemon, linux_saved: guests.Saved, folder: Path) -> Box:
    return Box(daemon, linux_saved, folder)


def counters(vm: guests.LinuxVm, inactive: bool = False) -> list[int]:
    """The rounds on the guest's disks. A cluster that QEMU is just adding to an image may be read before it is filled."""
    images = vm.images(inactive)
    for _attempt in range(50):
        try:
            return [guests.counter(images[disk.target]) for disk in vm.disks]
        except guests.GuestError:
            time.sleep(0.02)
    return [guests.counter(images[disk.target]) for disk in vm.disks]


def wrong_with(vm: guests.LinuxVm, frozen: str | None, stale: bool = False) -> list[str]:
    """The guest must run, its disks be where libvirt and the images say, and its snapshots be of one instant.

    ``stale``: libvirtd may have died between QEMU's switch and its own, so what it says of the running VM may be old until that is powered off.
    """
    wrong = []
    if not wait_until(lambda: not guests.frozen(vm.dom), 5):
        wrong.append("the guest is frozen")
    before = counters(vm, True)
    if not wait_until(lambda: min(counters(vm, True)) > max(before)):
        wrong.append("the guest does not go on")
    running = running_chains(vm.dom.XMLDesc(0))
    inactive = sources(ElementTree.fromstring(vm.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)))
    for target, path in inactive.items():
        if running[target] != header_chain(path) and not stale:
            wrong.append(f"disk {target} runs on {running[target]}, the images say {header_chain(path)}")
    for snapshot in vm.dom.listAllSnapshots():
        images = sources(ElementTree.fromstring(snapshot.getXMLDesc()).find("domain"))
        rounds = [guests.counter(images[disk.target]) for disk in vm.disks]
        if rounds != sorted(rounds, reverse=True) or rounds[-1] < rounds[0] - 1:
            wrong.append(f"snapshot {snapshot.getName()} is of several instants: {rounds}")
        if snapshot.getName() == frozen and any(guests.recovering(images[disk.target]) for disk in vm.disks):
            wrong.append(f"snapshot {snapshot.getName()} was not taken while the guest was frozen")
    wrong += [f"left behind: {secret.usageID()}" for secret in vm.conn.listAllSecrets() if secret.usageID().startswith(LOCK)]
    wrong += [f"left behind: {pool.name()}" for pool in vm.conn.listAllStoragePools() if pool.name().startswith(POOL) and not stale]
    rounds = counters(vm, True)
    vm.destroy()
    if min(counters(vm)) < min(rounds):
        wrong.append(f"what the guest wrote is lost: it had reached {rounds}, the disks are at {counters(vm)}")
    return wrong


def effects_of(box: Box) -> list[str]:
    vm = box.restore()
    run = play(box.daemon.uri, "create", SNAPSHOT)
    assert run.changed, str(run)
    assert run.result["snapshot"]["quiesced"] is True
    files = sorted(file.name for file in box.folder.iterdir())
    assert wrong_with(vm, "new") == []
    assert FREEZING in run.effects
    box.files = files
    return run.effects


def moments(effects: list[str]) -> list[tuple[int, str, float]]:
    random_moments = random.Random("quiesced")
    found = [(number, when, 0.0) for number in range(1, len(effects) + 1) for when in ("before", "after")]
    freezing = effects.index(FREEZING) + 1
    return found + [(freezing, "during", random_moments.uniform(0, LONGEST)) for _moment in range(MOMENTS)]


def test_the_module_is_killed(box: Box) -> None:
    effects = effects_of(box)
    wrong = []
    for number, when, delay in moments(effects):
        vm = box.restore()
        trouble = Trouble(number, when, Kill(), delay)
        killed = play(box.daemon.uri, "create", SNAPSHOT, trouble)
        tally["kills of the module"] += 1
        again = play(box.daemon.uri, "create", SNAPSHOT)
        third = play(box.daemon.uri, "create", SNAPSHOT)
        found = [] if killed.killed else [f"it was to be killed, but: {killed}"]
        found += [f"{what}: {run}" for what, run in (("again", again), ("the third run", third)) if run.failed]
        if third.changed:
            found.append("the third run changed something")
        if not found and sorted(file.name for file in box.folder.iterdir()) != box.files:
            found.append(f"files: {sorted(file.name for file in box.folder.iterdir())}, not {box.files}")
        found += wrong_with(vm, "new")
        wrong += [f"killed {trouble} ({effects[number - 1]}): {line}" for line in found]
    assert not wrong, "\n".join(wrong)


def test_libvirtd_is_killed(box: Box) -> None:
    effects = effects_of(box)
    freezing = effects.index(FREEZING) + 1
    wrong = []
    for number, when, delay in [moment for moment in moments(effects) if moment[0] == freezing or moment[1] == "before"]:
        vm = box.restore()
        trouble = Trouble(number, when, Kill(box.daemon.pid), delay)
        play(box.daemon.uri, "create", SNAPSHOT, trouble)
        tally["kills of libvirtd"] += 1
        box.reconnect()
        again = play(box.daemon.uri, "create", SNAPSHOT)
        found = [f"again: {again}"] if again.failed else []
        found += wrong_with(vm, None, stale=True)
        wrong += [f"libvirtd killed {trouble} ({effects[number - 1]}): {line}" for line in found]
    assert not wrong, "\n".join(wrong)


def take_snapshot(conn: libvirt.virConnect) -> None:
    conn.lookupByName("linux").snapshotCreateXML(f"<domainsnapshot><name>{THEIRS}</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)


def test_another_snapshot_is_taken_in_between(box: Box) -> None:
    """The overlays name images that the disks have left by then."""
    effects = effects_of(box)
    wrong = []
    for number, effect in enumerate(effects, 1):
        vm = box.restore()
        run = play(box.daemon.uri, "create", SNAPSHOT, Trouble(number, "before", Foreign(box.daemon.uri, take_snapshot)))
        tally["interferences"] += 1
        found = [] if run.outcome in ("done", "changed_meanwhile", "not_as_planned") else [str(run)]
        if THEIRS not in vm.snapshots():
            found.append("their snapshot is gone")
        again = play(box.daemon.uri, "create", SNAPSHOT)
        found += [f"again: {again}"] if again.failed else []
        found += wrong_with(vm, None)
        wrong += [f"before effect {number} ({effect}), {run.outcome}: {line}" for line in found]
    assert not wrong, "\n".join(wrong)
