# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_remove, on every backend."""

from __future__ import annotations

import pytest

from tests.contract.verbs import create, preview, refused, remove, restore, run, shown_by

POWER = pytest.mark.parametrize("power", ["down", "up"])


@pytest.fixture
def machine(make, power):
    """Three snapshots of both disks; slot 1 tells of which state a disk is, and each state has a slot of its own."""
    machine = make("os", "data", pool=True)
    if power == "up":
        machine.start()
    for number, name in enumerate(["s1", "s2", "s3"], start=1):
        machine.write_all(1, 10 * number)
        machine.write_all(1 + number, 10 * number)
        run(machine, create(name))
    machine.write_all(1, 90)
    machine.write_all(5, 90)
    return machine


@POWER
@pytest.mark.parametrize("name", ["s1", "s2", "s3"])
def test_every_other_snapshot_and_the_current_state_keep_their_content(machine, name, power):
    held, now, files = machine.snapshot_contents(), machine.contents(), machine.files()
    done = run(machine, remove(name))
    del held[name]
    assert machine.snapshot_contents() == held
    assert machine.contents() == now
    assert len(files) - len(machine.files()) == 2
    assert done.decision.loss.snapshots_removed == (name,)
    assert machine.view()["power"] == power
    machine.stop()
    assert machine.contents() == now
    for other in held:
        assert shown_by(machine, other) == held[other]


@POWER
@pytest.mark.parametrize("name", ["s1", "s2", "s3"])
def test_one_disk_is_taken_out(machine, name):
    held, now, files = machine.snapshot_contents(), machine.contents(), machine.files()
    run(machine, remove(name, ["data"]))
    del held[name]["data"]
    assert machine.snapshot_contents() == held
    assert machine.contents() == now
    assert len(files) - len(machine.files()) == 1
    machine.stop()
    assert shown_by(machine, name) == held[name]


@POWER
def test_all_of_them_leave_one_image_for_each_disk(machine):
    now = machine.contents()
    for name in ("s2", "s1", "s3"):
        run(machine, remove(name))
    assert machine.contents() == now
    assert len(machine.files()) == 2
    machine.write_all(6, 60)
    machine.stop()
    machine.start()
    assert machine.slot("os", 6) == 61


@POWER
def test_last_disk_that_is_taken_out_leaves_the_configuration(machine):
    run(machine, remove("s2", ["os"]))
    run(machine, remove("s2", [{"all": True}]))
    assert machine.snapshots() == {"s1": ["data", "os"], "s2": [], "s3": ["data", "os"]}
    assert [snapshot["parent"] for snapshot in machine.info()["snapshots"]] == [None, "s1", "s2"]
    run(machine, remove("s2"))
    assert list(machine.snapshots()) == ["s1", "s3"]


@POWER
def test_what_is_absent_stays_absent(machine):
    before = machine.state()
    run(machine, remove("nothing"), changed=False)
    run(machine, remove("s1", ["os"]))
    run(machine, remove("s1", ["os"]), changed=False)
    assert machine.contents() == before[2]


@POWER
def test_unknown_disk_is_refused(machine):
    refused(machine, remove("s1", ["nothing"]), "unknown_disk")


@POWER
def test_configuration_alone(machine):
    run(machine, create("golden", disks=[]))
    before = machine.snapshot_contents()
    run(machine, remove("golden"))
    assert machine.snapshot_contents() == {name: before[name] for name in ("s1", "s2", "s3")}


@POWER
def test_removal_then_restore_of_what_is_left(machine):
    held = machine.snapshot_contents()
    run(machine, remove("s2"))
    run(machine, restore("s1", if_running="poweroff"))
    assert machine.contents() == held["s1"]
    assert list(machine.snapshots()) == ["s1"]


def test_snapshots_of_different_disks(make):
    machine = make()
    for number, (name, disks) in enumerate([("a", ["os"]), ("b", ["data", "os"]), ("c", ["logs"]), ("d", ["logs", "os"])], start=1):
        machine.write_all(1, 10 * number)
        run(machine, create(name, disks=disks))
    machine.write_all(1, 90)
    held, now = machine.snapshot_contents(), machine.contents()
    for name in ("b", "c", "a"):
        run(machine, remove(name))
        del held[name]
        assert machine.snapshot_contents() == held
        assert machine.contents() == now
    assert shown_by(machine, "d") == held["d"]


def test_suspended_vm_is_refused(make):
    machine = make("os")
    run(machine, create("s1"))
    machine.start()
    machine.suspend()
    refused(machine, remove("s1"), "vm_suspended")


def test_while_a_preview_is_open_nothing_can_be_removed(make):
    machine = make("os")
    run(machine, create("s1"))
    run(machine, create("s2"))
    run(machine, preview("s1"))
    refused(machine, remove("s2"), "in_preview")
    refused(machine, remove("s2", ["os"]), "in_preview")
