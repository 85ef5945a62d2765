# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory on libvirt, with a guest that notices when its disks are not of its memory's moment, and writes all the time."""

from __future__ import annotations

import pytest

from tests.contract.verbs import commit, create, preview, refused, remove, restore, run, undo
from tests.lab import guest


@pytest.fixture
def machine(lab):
    """The guest runs; snapshot m holds its memory and disks, and it has gone on since."""
    machine = lab(boot="tape", size="1M")
    machine.start()
    machine.vm.wait_rounds(3)
    run(machine, create("m", memory=True))
    machine.vm.wait_rounds(3)
    return machine


def resumed(machine, images):
    """Start it, let it play, and pull the plug; returns where it found disks of another moment, and how often it booted."""
    log = guest.size(machine.vm.serial)
    boots = len(guest.boots(machine.vm.serial))
    moment = max(guest.counters(*images))
    machine.start()
    machine.vm.wait_rounds(4)
    now = machine.vm.counters()
    machine.stop()
    assert min(now) > moment
    return guest.stale(machine.vm.serial, log), len(guest.boots(machine.vm.serial)) - boots


def test_how_much_the_memory_takes_up_is_known(lab):
    machine = lab("os", pool=True, boot="halt")
    machine.start()
    run(machine, create("memory", memory=True))
    run(machine, create("disks"))
    with_memory, without = machine.info()["snapshots"]
    assert with_memory["memory_size"] > 1 << 16
    assert without["memory_size"] is None


def held(machine):
    """The images of the snapshot with the memory, in the order of the disks."""
    images = machine.info()["snapshots"][0]["images"]
    return [images[disk]["id"] for disk in ("os", "data", "logs")]


def test_preview_with_memory_resumes_that_very_moment(machine):
    images, frozen = held(machine), machine.snapshot_contents()
    machine.stop()
    before, files = machine.state(), machine.files()
    done = run(machine, preview("m", memory=True))
    assert done.after.power == "suspended"
    assert machine.view()["preview"]["memory"]
    assert resumed(machine, images) == ([], 0)
    assert machine.snapshot_contents() == frozen
    run(machine, undo())
    assert machine.state() == before
    assert machine.files() == files
    assert machine.view()["power"] == "down"


def test_undo_of_a_preview_with_memory_that_was_never_started(machine):
    machine.stop()
    before, files = machine.state(), machine.files()
    run(machine, preview("m", memory=True))
    run(machine, undo())
    assert (machine.state(), machine.files(), machine.view()["power"]) == (before, files, "down")


def test_memory_can_be_resumed_again_and_again(machine):
    images = held(machine)
    machine.stop()
    for _time in range(2):
        run(machine, preview("m", memory=True))
        assert resumed(machine, images) == ([], 0)
        run(machine, undo())


def test_committed_memory_is_resumed_by_the_next_start(machine):
    images = held(machine)
    run(machine, preview("m", memory=True, if_running="poweroff"))
    done = run(machine, commit())
    assert done.after.power == "suspended"
    assert machine.snapshots() == {"m": ["data", "logs", "os"]}
    assert resumed(machine, images) == ([], 0)


def test_restore_with_memory(machine):
    images = held(machine)
    run(machine, restore("m", memory=True, if_running="poweroff"))
    assert resumed(machine, images) == ([], 0)


def test_same_snapshot_without_its_memory_boots(machine):
    machine.stop()
    run(machine, preview("m"))
    assert machine.view()["power"] == "down"
    machine.start()
    assert guest.boots(machine.vm.serial)[-1] == guest.counters(*held(machine))


def test_memory_with_a_disk_of_another_moment_is_noticed_by_the_guest(machine):
    machine.stop()
    refused(machine, preview("m", memory=True, disks={"data": "current"}), "partial_memory")
    done = run(machine, preview("m", memory=True, disks={"data": "current"}, allow_partial_memory=True))
    assert any("disk data" in warning for warning in done.decision.warnings)
    machine.start()
    log = machine.vm.serial
    guest.wait_for(log, guest.STALE)
    machine.stop()
    assert {line[0] for line in guest.stale(log)} == {1}


def test_memory_file_goes_with_its_snapshot(machine):
    files = machine.files()
    assert sum(".memory-" in name for name in files) == 1
    run(machine, remove("m"))
    assert not any(".memory-" in name for name in machine.files())
    machine.vm.wait_rounds(2)
