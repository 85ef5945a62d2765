# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_preview and snapshot_undo, on every backend."""

from __future__ import annotations

import pytest

from tests.contract.verbs import EXCLUDED, check, commit, composition, create, preview, refused, remove, restore, run, undo


@pytest.fixture
def machine(make):
    """s1 holds os and data, s2 all three, s3 data; slot 1 tells which state a disk is of."""
    machine = make()
    machine.write_all(1, 10)
    run(machine, create("s1", disks=["os", "data"]))
    machine.write_all(1, 20)
    run(machine, create("s2"))
    machine.write_all(1, 30)
    run(machine, create("s3", disks=["data"]))
    machine.write_all(1, 40)
    return machine


def test_disks_of_several_snapshots_and_one_as_it_is(machine):
    held, now, before, files = machine.snapshot_contents(), machine.contents(), machine.state(), machine.files()
    done = run(machine, preview(disks={"os": "s1", "data": "s2"}))
    assert machine.contents() == {"os": held["s1"]["os"], "data": held["s2"]["data"], "logs": now["logs"]}
    assert machine.view()["preview"] == {"config": "current", "memory": False, "disks": {"data": "s2", "logs": "current", "os": "s1"}}
    assert machine.info()["composition"]["disks"]["os"] == "s1"
    assert len(machine.files() - files) == 2
    assert done.decision.loss.snapshots_reduced == {"s2": ("os",)}
    machine.write("os", 2, 99)
    machine.write("data", 2, 99)
    assert machine.snapshot_contents() == held
    undone = run(machine, undo())
    assert machine.state() == before
    assert machine.files() == files
    assert "what was written during the preview is gone" in undone.decision.loss.says


def test_short_form_takes_configuration_and_every_disk_the_snapshot_holds(machine):
    held, now = machine.snapshot_contents(), machine.contents()
    run(machine, preview("s1"))
    assert machine.contents() == {**held["s1"], "logs": now["logs"]}
    assert machine.view()["preview"]["config"] == "s1"


def test_config_and_disks_override_the_short_form(machine):
    held, now = machine.snapshot_contents(), machine.contents()
    run(machine, preview("s2", config="current", disks={"data": "s3", "logs": "current"}))
    assert machine.contents() == {"os": held["s2"]["os"], "data": held["s3"]["data"], "logs": now["logs"]}
    assert machine.view()["preview"] == {"config": "current", "memory": False, "disks": {"data": "s3", "logs": "current", "os": "s2"}}


def test_configuration_alone(machine):
    now, files = machine.contents(), machine.files()
    run(machine, preview(config="s1"))
    assert machine.contents() == now
    assert machine.files() == files
    run(machine, undo())


def test_the_vm_runs_in_the_preview_and_undo_forgets_all_but_what_kept_disks_took(machine):
    before = machine.snapshot_contents()
    run(machine, preview(disks={"os": "s1"}))
    machine.start()
    machine.write_all(3, 70)
    machine.stop()
    done = run(machine, undo())
    assert machine.slot("os", 3) == 0
    assert (machine.slot("data", 3), machine.slot("logs", 3)) == (70, 71)
    assert machine.snapshot_contents() == before
    assert "what was written to disk data, logs stays: the preview showed it as it is" in done.decision.loss.says


def test_open_preview_must_be_closed_before_another(machine):
    run(machine, preview(disks={"os": "s1"}))
    error = refused(machine, preview(disks={"os": "s2"}), "in_preview")
    assert "os from s1" in error.message
    assert "os from s2" in error.message


def test_open_preview_is_undone_for_another_if_allowed(machine):
    before, files, held = machine.state(), machine.files(), machine.snapshot_contents()
    run(machine, preview(disks={"os": "s1"}))
    machine.write("os", 2, 99)
    done = run(machine, preview(disks={"os": "s2", "data": "s3"}, if_previewing="undo"))
    assert "the open preview is undone" in done.decision.warnings[-1]
    assert machine.contents()["os"] == held["s2"]["os"]
    run(machine, undo())
    assert machine.state() == before
    assert machine.files() == files


def test_snapshots_stay_as_they_are_while_a_preview_is_open(machine):
    run(machine, preview("s2"))
    refused(machine, create("s4"), "in_preview")
    refused(machine, remove("s1"), "in_preview")


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        (preview("nothing"), "unknown_snapshot"),
        (preview(disks={"os": "nothing"}), "unknown_snapshot"),
        (preview(disks={"nothing": "s1"}), "unknown_disk"),
        (preview(disks={"os": "s3"}), "disk_not_in_snapshot"),
        (preview(disks={"os": "current"}), "nothing_to_preview"),
        (preview(), "nothing_to_preview"),
        (preview("current"), "reserved_name"),
        (preview("s1", memory=True), "no_memory"),
        (preview(disks={"os": "s1"}, memory=True), "memory_without_config"),
        (restore("nothing"), "unknown_snapshot"),
        (commit(expect_preview=True), "no_preview"),
        (undo(expect_preview=True), "no_preview"),
    ],
)
def test_what_makes_no_sense_is_refused(machine, verb, reason):
    refused(machine, verb, reason)


def test_disk_that_is_named_in_two_ways_is_refused(machine):
    refused(machine, preview("s1", disks={"os": "s1", machine.other_name("os"): "s2"}), "bad_disk_choice")


@pytest.mark.parametrize("verb", [preview("s1"), restore("s1")])
def test_running_vm_is_refused(machine, verb):
    machine.start()
    refused(machine, verb, "vm_running")


@pytest.mark.parametrize("verb", [undo(), commit()])
def test_running_preview_is_refused(machine, verb):
    run(machine, preview("s1"))
    machine.start()
    refused(machine, verb, "vm_running")


def test_running_vm_is_powered_off_if_allowed(machine):
    held = machine.snapshot_contents()
    machine.start()
    run(machine, preview("s1", if_running="poweroff"))
    assert machine.view()["power"] == "down"
    assert machine.contents()["os"] == held["s1"]["os"]
    machine.start()
    run(machine, undo(if_running="poweroff"))
    assert machine.view()["power"] == "down"
    assert machine.view()["preview"] is None


def test_without_a_preview_commit_and_undo_change_nothing(machine):
    before = machine.state()
    run(machine, commit(), changed=False)
    run(machine, undo(), changed=False)
    assert machine.state() == before


@pytest.mark.parametrize("verb", [commit, undo])
def test_guard_insists_on_the_preview_that_is_meant(machine, verb):
    run(machine, preview(config="s1", disks={"os": "s1", "data": "s3"}))
    error = refused(machine, verb(composition("s1")), "other_preview")
    assert "data from s3" in error.message
    assert "data from s1" in error.message
    refused(machine, verb(composition(disks={"os": "s1", "data": "s3"})), "other_preview")
    check(machine, verb(composition(config="s1", disks={"os": "s1", "data": "s3"}), expect_preview=True))
    check(machine, verb(composition("s1", disks={"data": "s3"})))


def test_commit_that_must_find_a_preview_is_content_with_its_own_work(machine):
    run(machine, preview("s1"))
    run(machine, commit(composition("s1", memory=None), expect_preview=True))


def test_excluded_disk_is_detached_and_nothing_of_it_is_lost(machine):
    before, files = machine.state(), machine.files()
    done = run(machine, preview(disks={"os": "s1", "data": EXCLUDED}))
    assert machine.disks() == ["logs", "os"]
    assert machine.view()["preview"]["disks"] == {"data": "excluded", "logs": "current", "os": "s1"}
    assert done.decision.loss.disks == ("data",)
    assert files <= machine.files()
    run(machine, undo())
    assert machine.state() == before


def test_commit_without_a_disk_needs_permission_and_leaves_its_files(machine):
    left, held = machine.left_behind("data"), machine.snapshot_contents()
    files = machine.files()
    run(machine, preview(disks={"data": EXCLUDED}))
    refused(machine, commit(), "disk_removal")
    done = run(machine, commit(allow_disk_removal=True))
    assert done.decision.loss.left_behind == (left,)
    assert machine.files() == files
    assert machine.snapshot_contents() == held
    assert machine.disks() == ["logs", "os"]


def test_disk_that_was_removed_comes_back_from_a_snapshot(machine):
    held = machine.snapshot_contents()
    run(machine, preview(disks={"data": EXCLUDED}))
    run(machine, commit(allow_disk_removal=True))
    if machine.read().can.unplugs:
        machine.plug("data")  # it never left, and its content goes on from where it was
    before, files = machine.state(), machine.files()
    run(machine, preview(disks={"data": "s2"}))
    assert machine.contents()["data"] == held["s2"]["data"]
    run(machine, undo())
    assert machine.state() == before
    assert machine.files() == files
    run(machine, restore(disks={"data": "s3"}))
    assert machine.contents()["data"] == held["s3"]["data"]
    assert machine.snapshot_contents() == held


def test_excluding_what_is_gone_already_changes_nothing(machine):
    run(machine, preview(disks={"data": EXCLUDED}))
    run(machine, commit(allow_disk_removal=True))
    machine.write_all(6, 60)
    before = machine.state()
    run(machine, restore(disks={"data": EXCLUDED}), changed=False)
    run(machine, preview(disks={"data": EXCLUDED}), changed=False)
    assert machine.state() == before


def test_disk_that_was_added_later_stays_with_an_older_configuration(machine):
    machine.attach("extra")
    machine.write("extra", 5, 55)
    now, before, held = machine.contents(), machine.state(), machine.snapshot_contents()
    run(machine, preview("s2"))
    assert machine.contents() == {**held["s2"], "extra": now["extra"]}
    run(machine, undo())
    assert machine.state() == before
    run(machine, restore("s2"))
    assert machine.contents() == {**held["s2"], "extra": now["extra"]}


def test_memory_of_a_vm_with_other_disks_is_refused(make):
    machine = make("os", "data")
    machine.start()
    run(machine, create("m1", memory=True))
    machine.stop()
    machine.attach("extra")
    # An engine's snapshot does not tell which disks the VM had besides: to it, the new one is just not of that moment.
    refused(machine, preview("m1", memory=True), "partial_memory" if machine.read().can.unplugs else "memory_other_disks")


def test_memory_with_disks_of_another_moment_needs_permission(make):
    machine = make("os", "data")
    machine.start()
    run(machine, create("m1", memory=True))
    run(machine, create("m2", memory=True))
    machine.stop()
    refused(machine, preview("m1", memory=True, disks={"data": "m2"}), "partial_memory")
    refused(machine, preview("m1", memory=True, disks={"data": EXCLUDED}), "memory_with_exclude")
    done = run(machine, preview("m1", memory=True, disks={"data": "m2"}, allow_partial_memory=True))
    assert machine.view()["power"] == "suspended"
    assert any("does not belong to the state of disk data" in warning for warning in done.decision.warnings)
    run(machine, undo())
    assert machine.view()["power"] == "down"


def test_snapshot_of_another_client_is_a_source(machine):
    machine.foreign_snapshot("theirs")
    machine.write_all(1, 60)
    held = machine.snapshot_contents()
    run(machine, preview(disks={"os": "theirs", "data": "s1"}))
    assert machine.contents()["os"] == held["theirs"]["os"]
    run(machine, commit())
    assert machine.slot("os", 1) == 42
