# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_commit and snapshot_restore, on every backend."""

from __future__ import annotations

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import Interrupted
from tests.contract.verbs import EXCLUDED, commit, create, preview, refused, remove, restore, run, shown_by, undo


@pytest.fixture
def machine(make):
    """s1: os and data; s2: os; s3: os and data; golden: the configuration alone; s4: logs."""
    machine = make(pool=True)
    for number, (name, disks) in enumerate([("s1", ["os", "data"]), ("s2", ["os"]), ("s3", ["os", "data"]), ("golden", []), ("s4", ["logs"])], start=1):
        machine.write_all(1, 10 * number)
        run(machine, create(name, disks=disks))
    machine.write_all(1, 90)
    return machine


def test_newer_snapshots_lose_the_disk_and_go_when_nothing_is_left_of_them(machine):
    held, now, files = machine.snapshot_contents(), machine.contents(), machine.files()
    run(machine, preview(disks={"os": "s1"}))
    machine.write("os", 4, 44)
    shown = machine.contents()
    done = run(machine, commit())
    assert machine.contents() == shown
    assert {disk: shown[disk] for disk in ("data", "logs")} == {disk: now[disk] for disk in ("data", "logs")}
    assert machine.snapshots() == {"s1": ["data", "os"], "s3": ["data"], "golden": [], "s4": ["logs"]}
    loss = done.decision.loss
    assert loss.snapshots_removed == ("s2",)
    assert loss.snapshots_reduced == {"s3": ("os",)}
    assert len(loss.images) == 3
    assert loss.backup_impact
    assert len(files) - len(machine.files()) == 2
    left = machine.snapshot_contents()
    assert left == {"s1": held["s1"], "s3": {"data": held["s3"]["data"]}, "golden": {}, "s4": held["s4"]}
    for snapshot in left:
        if left[snapshot]:
            assert shown_by(machine, snapshot) == left[snapshot]


def test_commit_of_the_newest_snapshot_loses_only_what_was_written_since(machine):
    held, names = machine.snapshot_contents(), machine.snapshots()
    run(machine, preview("s4"))
    done = run(machine, commit())
    assert machine.snapshots() == names
    assert machine.snapshot_contents() == held
    assert machine.contents()["logs"] == held["s4"]["logs"]
    assert len(done.decision.loss.images) == 1


def test_after_a_commit_the_next_snapshot_follows_and_all_go_on(machine):
    run(machine, restore("s1"))
    machine.write_all(6, 60)
    then = machine.contents()
    run(machine, create("s5"))
    machine.start()
    machine.write_all(6, 70)
    run(machine, create("s6", disks=["os"]))
    machine.stop()
    run(machine, restore("s5"))
    assert machine.contents() == then
    assert "s6" not in machine.snapshots()


def test_same_preview_after_its_commit_is_not_needed(machine):
    run(machine, preview("s3"))
    run(machine, commit())
    done = run(machine, preview("s3"), changed=False)
    assert "exactly this already" in done.decision.warnings[-1]
    run(machine, restore("s3"), changed=False)


def test_restore_restores_again_what_was_changed_since(machine):
    held = machine.snapshot_contents()
    run(machine, restore("s3"))
    machine.write("os", 7, 77)
    run(machine, restore("s3"))
    assert machine.slot("os", 7) == 0
    assert machine.contents()["os"] == held["s3"]["os"]


def test_restore_keeps_the_disks_that_are_not_named(machine):
    now, held = machine.contents(), machine.snapshot_contents()
    run(machine, restore(disks={"data": "s3"}))
    assert machine.contents() == {"os": now["os"], "data": held["s3"]["data"], "logs": now["logs"]}


def test_restore_commits_the_same_preview_that_is_open(machine):
    run(machine, preview("s3"))
    machine.write("os", 7, 77)
    assert converge(machine.connect(), restore("s3").decide, False).changed
    assert machine.view()["preview"] is None
    assert machine.slot("os", 7) == 77  # so it is no more what s3 is, and the next restore would restore it


def test_restore_leaves_another_open_preview_alone_unless_allowed(machine):
    held = machine.snapshot_contents()
    run(machine, preview("s1"))
    refused(machine, restore("s3"), "in_preview")
    run(machine, restore("s3", if_previewing="undo"))
    assert machine.contents()["os"] == held["s3"]["os"]


def test_restore_of_a_running_vm_powers_it_off_if_allowed(machine):
    machine.start()
    refused(machine, restore("s3"), "vm_running")
    held = machine.snapshot_contents()
    run(machine, restore("s3", if_running="poweroff"))
    assert machine.view()["power"] == "down"
    assert machine.contents()["data"] == held["s3"]["data"]


def test_restore_without_a_disk_needs_permission(machine):
    refused(machine, restore(disks={"logs": EXCLUDED}), "disk_removal")
    files = machine.files()
    run(machine, restore(disks={"logs": EXCLUDED}, allow_disk_removal=True))
    assert machine.files() == files
    assert machine.disks() == ["data", "os"]


def test_request_that_was_carried_out_is_not_carried_out_again(machine):
    run(machine, restore("s3", request_id="ticket 17"))
    machine.write("os", 7, 77)
    run(machine, restore("s3", request_id="ticket 17"), changed=False)
    assert machine.slot("os", 7) == 77
    run(machine, restore("s3", request_id="ticket 18"))
    assert machine.slot("os", 7) == 0
    run(machine, restore("s1", request_id="ticket 17"), changed=False)


def test_request_ids_outlive_other_work(machine):
    run(machine, restore("s3", request_id="first"))
    run(machine, create("s9"))
    run(machine, remove("s9"))
    run(machine, preview("s1"))
    run(machine, undo())
    run(machine, restore("s3", request_id="first"), changed=False)


def test_suspended_vm_is_not_restored(machine):
    machine.start()
    machine.suspend()
    refused(machine, restore("s1"), "vm_suspended")
    refused(machine, preview("s1"), "vm_suspended")


def test_commit_of_the_configuration_alone_keeps_every_disk_and_snapshot(machine):
    held, now = machine.snapshot_contents(), machine.contents()
    run(machine, restore(config="golden"))
    assert machine.contents() == now
    assert machine.snapshot_contents() == held


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.75, 1])
def test_restore_that_was_interrupted_is_finished_by_the_next_run(machine, share):
    """Whatever step it stops before: the VM reads as where it leads, and the next run gets there."""
    held, verb = machine.snapshot_contents(), restore("s1", request_id="ticket 1")
    backend = machine.connect()
    steps = converge(machine.connect(), verb.decide, True).steps
    stop = round(share * (len(steps) - 1))
    left_to_do = not machine.read().can.breaks_newer or stop <= [step.verb for step in steps].index("commit")
    apply = backend.apply

    def until(step):
        if step.as_dict() == steps[stop].as_dict():
            raise Interrupted("the network is gone", "timeout", "run again")
        apply(step)

    backend.apply = until
    with pytest.raises(Interrupted) as raised:
        converge(backend, verb.decide, False)
    assert [step.verb for step in raised.value.done] == [step.verb for step in steps[:stop]]
    assert [step.verb for step in (*raised.value.done, *raised.value.left)] == [step.verb for step in steps]
    again = converge(machine.connect(), verb.decide, False)
    assert again.changed or not left_to_do, "the engine may have done the rest itself"
    run(machine, verb, changed=False)
    assert {disk: machine.contents()[disk] for disk in ("os", "data")} == held["s1"]
    expected = {"s1": ["data", "os"], "golden": [], "s4": ["logs"]}
    if machine.read().can.breaks_newer:
        del expected["golden"]  # it is newer than the configuration that was kept
    assert machine.snapshots() == expected
    assert machine.view()["unfinished"] == ""
