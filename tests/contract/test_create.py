# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_create, on every backend."""

from __future__ import annotations

import pytest

from tests.contract.verbs import create, preview, refused, run, shown_by

POWER = pytest.mark.parametrize("power", ["down", "up"])


@pytest.fixture
def machine(make, power):
    machine = make()
    machine.write_all(1, 10)
    if power == "up":
        machine.start()
    return machine


@POWER
def test_snapshot_of_some_disks_freezes_these_and_leaves_the_others_alone(machine):
    then, files = machine.contents(), machine.files()
    done = run(machine, create("s1", disks=["os", "logs"], description="two of three"))
    assert machine.contents() == then
    assert len(machine.files() - files) == 2
    machine.write_all(1, 20)
    machine.write_all(2, 30)
    assert machine.snapshot_contents() == {"s1": {disk: then[disk] for disk in ("os", "logs")}}
    assert done.after.snapshots[0].description == "two of three"
    machine.stop()
    now = machine.contents()
    assert shown_by(machine, "s1") == {disk: then[disk] for disk in ("os", "logs")}
    assert machine.contents() == now


@POWER
def test_without_disks_every_disk_is_in_the_snapshot(machine):
    run(machine, create("s1"))
    assert machine.snapshots() == {"s1": ["data", "logs", "os"]}


@POWER
def test_excluded_disks_are_left_out_and_reported(machine):
    done = run(machine, create("s1", exclude=[{"name": "l*"}, "data"]))
    assert machine.snapshots() == {"s1": ["os"]}
    assert sorted(done.decision.skipped) == [("data", "excluded"), ("logs", "excluded")]


@POWER
def test_empty_list_of_disks_is_a_snapshot_of_the_configuration_alone(machine):
    files, then = machine.files(), machine.state()
    run(machine, create("golden", disks=[]))
    assert machine.snapshots() == {"golden": []}
    assert machine.files() == files
    assert machine.contents() == then[2]


@POWER
def test_bootable_and_glob_selectors(machine):
    run(machine, create("s1", disks=[{"bootable": True}]))
    run(machine, create("s2", disks=[{"name": "*o*"}]))
    assert machine.snapshots() == {"s1": ["os"], "s2": ["logs", "os"]}


@POWER
def test_name_that_exists_with_other_disks_is_refused_by_default(machine):
    run(machine, create("s1", disks=["os"]))
    machine.write("os", 2, 3)
    error = refused(machine, create("s1", disks=["os", "data"]), "snapshot_differs")
    assert "holds disks os, not data, os" in error.message


@POWER
def test_name_that_exists_with_other_disks_is_kept(machine):
    run(machine, create("s1", disks=["os"]))
    then = machine.state()
    done = run(machine, create("s1", disks=["data"], on_conflict="keep"), changed=False)
    assert machine.state() == then
    assert "kept" in done.decision.warnings[0]


@POWER
def test_name_that_exists_with_other_disks_is_replaced(machine):
    run(machine, create("s0"))
    machine.write_all(2, 20)
    run(machine, create("s1", disks=["os"]))
    machine.write_all(2, 30)
    oldest, now = machine.snapshot_contents()["s0"], machine.contents()
    run(machine, create("s1", disks=["os", "data"], on_conflict="replace"))
    machine.write_all(2, 40)
    assert machine.snapshot_contents() == {"s0": oldest, "s1": {disk: now[disk] for disk in ("os", "data")}}


def test_same_name_and_disks_stay_unchanged_whatever_was_written_since(make):
    machine = make("os", "data")
    run(machine, create("s1"))
    machine.write_all(1, 50)
    machine.start()
    machine.write_all(2, 60)
    assert not run(machine, create("s1"), changed=False).steps


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("current", "reserved_name"),
        ("excluded", "reserved_name"),
        ("", "bad_name"),
        ("  ", "bad_name"),
        (" s", "bad_name"),
        ("../../etc/passwd", "bad_name"),
        (".hidden", "bad_name"),
        ("x" * 256, "bad_name"),
        ("bell\a", "bad_character"),
        ("two\nlines", "bad_character"),
        ("half of a pair \ud800", "bad_character"),
    ],
)
def test_bad_names_are_refused(make, name, reason):
    refused(make("os"), create(name), reason)


@pytest.mark.parametrize("description", ["a\x1bb", "two\nlines", "\0"])
def test_control_character_in_the_description_is_refused(make, description):
    refused(make("os"), create("s1", description=description), "bad_character")


@pytest.mark.parametrize(
    ("disks", "reason"),
    [
        (["nothing"], "unknown_disk"),
        ([{"nmae": "os"}], "bad_selector"),
        ([{"name": "zz*"}], "unknown_disk"),
        ([""], "bad_selector"),
        ([7], "bad_selector"),
        ([{"bootable": "perhaps"}], "bad_selector"),
    ],
)
def test_selectors_that_select_nothing_are_refused(make, disks, reason):
    refused(make(), create("s1", disks=disks), reason)


def test_memory_of_a_vm_that_is_down_is_refused(make):
    refused(make(), create("s1", memory=True), "memory_needs_running")


def test_memory_without_some_disk_needs_permission(make):
    machine = make()
    machine.start()
    refused(machine, create("s1", disks=["os"], memory=True), "partial_memory")
    done = run(machine, create("s1", disks=["os"], memory=True, allow_partial_memory=True))
    assert machine.info()["snapshots"][0]["memory"]
    assert machine.snapshots() == {"s1": ["os"]}
    assert done.after.power == "up"


def test_memory_flag_that_differs_is_a_conflict(make):
    machine = make("os")
    machine.start()
    run(machine, create("s1"))
    refused(machine, create("s1", memory=True), "snapshot_differs")


def test_suspended_vm_is_refused(make):
    machine = make()
    machine.start()
    machine.suspend()
    refused(machine, create("s1"), "vm_suspended")


def test_while_a_preview_is_open_nothing_can_be_created(make):
    machine = make()
    run(machine, create("s1"))
    run(machine, preview("s1"))
    assert "os from s1" in refused(machine, create("s2"), "in_preview").message
