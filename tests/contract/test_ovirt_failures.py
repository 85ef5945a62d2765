# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails inside the engine, and the damage that it leaves: said truthfully, shown in ``health``, and repaired by the next run of the verb.

A twin without any failure tells how the VM must look in the end: rows, flags, the data of each disk and snapshot, and how much is on storage.
"""

from __future__ import annotations

import time
from contextlib import suppress
from http.client import HTTPException

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt import create as creating
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt import desk, jobs, leave
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt import engine as engines
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.connection import Ovirt
from ansible_collections.diskwise.vm.plugins.module_utils._engine import render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.engine import INTERVAL
from tests.contract.scenes import Killed, picture
from tests.contract.verbs import EXCLUDED, commit, create, failed, preview, remove, restore, run, undo
from tests.lab.patience import wait_until

DISKS = ("os", "data", "logs")
UNLOCK = "unlock_entity.sh"


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """At the emulator's speed nothing takes a second."""
    monkeypatch.setattr(jobs, "GRACE", 0.5)
    monkeypatch.setattr(desk, "QUIET_FOR", 0.3)


@pytest.fixture
def two(center):
    """two(first verbs..., **make_vm options) -> a machine and its twin: s1 holds all disks, s2 os and data, and each state has a token of its own."""

    def make(*verbs, snapshots=True, **options):
        machines = []
        for name in ("vm", "twin"):
            machine = center(*({"name": disk, "content": {"0": f"{disk} first"}} for disk in DISKS), name=name, **options)
            ids = machine.ids()
            for snapshot, held in (("s1", DISKS), ("s2", DISKS[:2])) if snapshots else ():
                machine.engine.snapshot(machine.id, snapshot, [ids[disk] for disk in held])
                for disk in DISKS:
                    machine.engine.write(ids[disk], "0", f"{disk} after {snapshot}")
            for verb in verbs:
                converge(machine.connect(), verb.decide, False)
            machines.append(machine)
        return machines

    return make


def fault(machine, kind, **where):
    machine.engine.fault(kind, vm=machine.id, **where)


def order(machine):
    """The disks as the engine handles them."""
    ids = machine.ids()
    return sorted(ids, key=ids.get)


def health(machine, **options):
    """What snapshot_info says: code -> problem."""
    return {problem.code: problem for problem in machine.connect(patient=False, **options).read().problems}


def same(machine, twin):
    assert picture(machine) == picture(twin)
    assert set(health(machine)) == set(health(twin))


def like(machine, twin, *verbs, foreseen=True):
    """The verb is run again, repairs what is damaged, and leads to where the twin is, for which nothing failed."""
    for verb in verbs:
        run(machine, verb, foreseen=foreseen)
        converge(twin.connect(), verb.decide, False)
    same(machine, twin)


def free(machine):
    """Nothing is locked."""
    state = machine.engine.state(machine.id)
    locked = [image for disk in state["disks"].values() for image in disk["images"] if image["status"] == "locked"]
    return not locked and state["status"] != "image_locked" and all(row["status"] != "locked" for row in state["snapshots"])


# 1: a volume is refused
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_refused_volume_tears_the_disks_before_it(two, number):
    machine, twin = two()
    before, contents = picture(machine), machine.contents()
    fault(machine, "create.volume.verb", number=number)
    error = failed(machine, create("new"), "create_failed")
    if number:
        assert "left disks whose images do not fit" in error.message
        torn = health(machine)["damaged_images"].subject
        assert set(torn.split(", ")) == set(order(machine)[:number])
    else:
        assert "nothing of it is left" in error.message
        assert picture(machine) == before
    done = run(machine, create("new"))
    assert any("finished what an interrupted run left" in said for said in done.decision.warnings) is bool(number)
    converge(twin.connect(), create("new").decide, False)
    same(machine, twin)
    assert machine.contents() == contents


def test_a_torn_vm_without_any_snapshot(two):
    machine, twin = two(snapshots=False)
    fault(machine, "create.volume.verb", number=2)
    failed(machine, create("new", disks=["os", "data", "logs"]), "create_failed")
    like(machine, twin, create("other"))


def test_a_refused_volume_of_a_running_vm_heals_by_itself(two):
    machine, twin = two(running=True)
    before, contents = picture(machine), machine.contents()
    fault(machine, "create.volume.verb", number=1)
    error = failed(machine, create("new"), "create_failed")
    assert "nothing of it is left" in error.message
    assert (picture(machine), machine.contents()) == (before, contents)
    like(machine, twin, create("new"))


# 2: a volume is not made
@pytest.mark.parametrize("damage", [None, "none"])
@pytest.mark.parametrize("disk", DISKS)
def test_what_a_failed_volume_leaves_is_removed_at_once(two, disk, damage):
    machine, twin = two()
    before, contents = picture(machine), machine.contents()
    fault(machine, "create.volume.task", disk=disk, damage=damage)
    error = failed(machine, create("new"), "create_failed")
    assert "the snapshot that it left, whose images may not exist, was removed" in error.message
    assert (picture(machine), machine.contents()) == (before, contents)
    assert "create_failed" not in health(machine)
    like(machine, twin, create("new"))


def dies_before_removing(monkeypatch, machine, verb):
    def die(*_arguments):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(creating, "_failed", die)
        with pytest.raises(Killed):
            converge(machine.connect(), verb.decide, False)


def test_a_leftover_is_shown_and_the_same_verb_makes_it_anew(two, monkeypatch):
    machine, twin = two()
    fault(machine, "create.volume.task", disk="data")
    dies_before_removing(monkeypatch, machine, create("new"))
    problem = health(machine)["create_failed"]
    assert problem.subject == "new"
    assert "may not exist" in problem.says
    done = run(machine, create("new"))
    assert "whose creation failed" in done.before.unfinished
    converge(twin.connect(), create("new").decide, False)
    same(machine, twin)


def test_a_leftover_can_be_removed(two, monkeypatch):
    machine, twin = two()
    fault(machine, "create.volume.task", disk="data")
    dies_before_removing(monkeypatch, machine, create("new"))
    run(machine, remove("new"))
    same(machine, twin)


def test_older_leftovers_go_with_the_one_that_fails_on_them(two, monkeypatch):
    """A creation on top of a leftover fails as well. The oldest is deleted first."""
    machine, twin = two()
    fault(machine, "create.volume.task", disk="data")
    dies_before_removing(monkeypatch, machine, create("first"))
    error = failed(machine, create("second"), "create_failed")
    assert "first" in error.message
    same(machine, twin)
    like(machine, twin, create("second"))


def test_a_leftover_of_somebody_else_is_not_touched(two):
    """Nothing tells it from a good one but that work on top of it fails, and that is said."""
    machine, twin = two()
    fault(machine, "create.volume.task", disk="data")
    machine.foreign_snapshot("theirs")
    error = failed(machine, create("new"), "create_failed")
    assert "theirs" in machine.snapshots()
    assert "new" not in machine.snapshots()
    assert "theirs" in error.hint
    run(machine, remove("theirs"))
    same(machine, twin)


def test_a_failed_volume_of_a_running_vm_is_reverted(two):
    machine, twin = two(running=True)
    before = picture(machine)
    fault(machine, "create.volume.task", disk="os")
    error = failed(machine, create("new"), "create_failed")
    assert "nothing of it is left" in error.message
    assert picture(machine) == before
    like(machine, twin, create("new"))


# 3: the live snapshot fails
@pytest.mark.parametrize("again", [create("new", disks=["os"]), create("all"), create("rest", disks=["data", "logs"])], ids=["same", "all", "rest"])
@pytest.mark.parametrize("kind", ["create.live.verb", "create.live.job"])
@pytest.mark.parametrize("snapshots", [True, False])
def test_a_failed_live_snapshot_leaves_the_other_disks_without_their_label(two, kind, snapshots, again):
    machine, twin = two(running=True, snapshots=snapshots)
    contents = machine.contents()
    fault(machine, kind)
    error = failed(machine, create("new", disks=["os"]), "create_failed")
    assert "left disks whose images do not fit" in error.message
    assert health(machine)["damaged_images"].subject == "data, logs"
    assert machine.contents() == contents
    like(machine, twin, again)


def test_dead_labels_survive_a_stop_and_are_repaired_then(two):
    machine, twin = two(running=True, snapshots=False)
    fault(machine, "create.live.job")
    failed(machine, create("new", disks=["os"]), "create_failed")
    machine.stop()
    twin.stop()
    like(machine, twin, create("all"))


def test_failed_memory_leaves_two_locked_disks_that_are_named(two):
    machine, twin = two(running=True, snapshots=False)
    fault(machine, "create.live.job")
    error = failed(machine, create("new", memory=True), "create_failed")
    assert "vm_snapshot_memory" in error.hint
    like(machine, twin, create("new", memory=True))


def test_a_live_snapshot_that_is_said_to_have_failed_is_removed(two):
    machine, twin = two(running=True)
    contents = machine.contents()
    fault(machine, "create.live.job_after")
    error = failed(machine, create("new"), "create_failed")
    assert "was removed" in error.message
    assert machine.contents() == contents
    like(machine, twin, create("new"))


# 4: the VM dies
def test_a_vm_that_dies_has_its_snapshot(two):
    machine, _twin = two(running=True)
    fault(machine, "create.vmdown")
    done = converge(machine.connect(), create("new").decide, False)
    assert done.after.power == "down"
    assert machine.snapshot_contents()["new"] == machine.contents()


def test_a_vm_that_dies_has_no_memory_in_its_snapshot(two):
    machine, _twin = two(running=True)
    fault(machine, "create.vmdown")
    error = failed(machine, create("new", memory=True), "not_as_planned")
    assert '"memory": true' in error.message
    assert [each["memory"] for each in error.state_after["snapshots"]] == [False] * 3
    assert failed(machine, create("new", memory=True), "snapshot_differs")


# 5: a preview fails
@pytest.mark.parametrize("kind", ["preview.verb", "preview.task"])
@pytest.mark.parametrize("wish", [preview(disks={"os": "s1"}), preview("s1", disks={"logs": "current"}), preview(disks={"os": "s1", "logs": EXCLUDED})])
def test_a_failed_preview_damages_the_disks_that_it_keeps(two, kind, wish):
    machine, twin = two()
    contents, held = machine.contents(), machine.snapshot_contents()
    fault(machine, kind, disk="os")
    error = failed(machine, wish, "preview_failed")
    assert error.done or not wish.decide(machine.read()).shows.excluded
    assert "logs" in health(machine)["damaged_images"].subject
    assert (machine.contents(), machine.snapshot_contents()) == (contents, held)
    like(machine, twin, wish)
    like(machine, twin, undo())
    assert (machine.contents(), machine.snapshot_contents()) == (contents, held)


@pytest.mark.parametrize("then", [create("new"), create("new", disks=["os"]), restore("s1"), preview(config="s2")])
def test_another_verb_after_a_failed_preview(two, then):
    machine, twin = two()
    fault(machine, "preview.task", disk="os")
    failed(machine, preview("s1", disks={"data": "current"}), "preview_failed")
    like(machine, twin, then)
    for each in (machine, twin):
        converge(each.connect(), undo().decide, False)
    like(machine, twin, create("later"))


def test_the_last_snapshot_does_not_go_before_the_damage_is_repaired(two):
    machine, twin = two(snapshots=False)
    for each in (machine, twin):
        converge(each.connect(), create("only").decide, False)
    fault(machine, "preview.task", disk="os")
    failed(machine, preview(disks={"os": "only"}), "preview_failed")
    like(machine, twin, remove("only"), create("new"))


def test_a_preview_whose_end_was_lost_is_locked_for_good(two, monkeypatch):
    machine, _twin = two()
    monkeypatch.setattr(desk, "HUNG_AFTER", 0.5)
    fault(machine, "preview.end")
    error = raised_by(machine, preview("s1"), 0.5)
    assert error.reason == "locked_for_good"
    assert f"{UNLOCK} -t vm vm" in error.hint
    problem = health(machine)["locked_for_good"]
    assert problem.blocks
    assert f"{UNLOCK} -t vm vm" in problem.hint


# 6: the first deletion, or a later one, is refused
@pytest.mark.parametrize(("kind", "verb", "other"), [("commit", commit(), undo()), ("undo", undo(), commit())])
def test_a_refused_deletion_changes_nothing(two, kind, verb, other):
    machine, twin = two(preview("s1"))
    before = picture(machine)
    fault(machine, f"{kind}.verb")
    error = failed(machine, verb, f"{kind}_failed")
    assert f"only to {kind}" in error.hint
    assert picture(machine) == before
    like(machine, twin, verb)


def test_a_later_refused_deletion_of_an_undo(two):
    machine, twin = two(preview("s1"))
    fault(machine, "undo.verb.later")
    error = failed(machine, undo(), "undo_failed")
    assert "only to undo" in error.hint
    error = failed(machine, undo(), "snapshot_locked")
    assert f"{UNLOCK} -t snapshot {active(machine)}" in error.hint
    converge(twin.connect(), undo().decide, False)
    machine.engine.unlock("snapshot", active(machine))
    assert machine.contents() == {disk: {"0": f"{disk} after s2"} for disk in DISKS}
    like(machine, twin, create("new"))


def test_a_later_refused_deletion_of_a_commit(two):
    machine, twin = two(preview("s1"))
    fault(machine, "commit.verb.later")
    failed(machine, commit(), "commit_failed")
    done = converge(machine.connect(), commit().decide, False)
    assert done.changed
    converge(twin.connect(), commit().decide, False)
    assert machine.contents() == twin.contents() == {disk: {"0": f"{disk} first"} for disk in DISKS}
    like(machine, twin, create("new"))


# 7: a deletion fails
def test_a_failed_deletion_of_a_commit_is_garbage(two):
    machine, twin = two(preview("s1"))
    fault(machine, "commit.task")
    done = converge(machine.connect(), commit().decide, False)
    assert done.after.preview is None
    assert machine.contents() == {disk: {"0": f"{disk} first"} for disk in DISKS}
    run(machine, preview("s1"), changed=False)
    for verb in (create("new"), preview("new"), undo()):
        run(machine, verb)
    assert twin.snapshot_contents()["s1"] == machine.snapshot_contents()["s1"]


def raised_by(machine, verb, timeout):
    """What becomes of the verb for somebody who does not wait for long."""
    (impatient,) = Ovirt(machine.login, timeout, INTERVAL).find([machine.id])
    with pytest.raises(VmError) as raised:
        converge(impatient, verb.decide, False)
    return raised.value


def active(machine):
    return next(row["id"] for row in machine.engine.state(machine.id)["snapshots"] if row["kind"] == "active")


def test_a_failed_deletion_of_an_undo_locks_the_current_state(two):
    machine, twin = two()
    contents = machine.contents()
    for each in (machine, twin):
        converge(each.connect(), preview("s1").decide, False)
    fault(machine, "undo.task")
    error = failed(machine, undo(), "snapshot_locked")
    command = f"{UNLOCK} -t snapshot {active(machine)}"
    assert command in error.hint
    assert command in health(machine)["snapshot_locked"].hint
    for verb in (create("new"), preview("s1"), remove("s1")):
        assert command in failed(machine, verb, "snapshot_locked").hint
    assert not converge(machine.connect(), undo().decide, False).changed
    machine.engine.unlock("snapshot", active(machine))
    assert machine.contents() == contents
    converge(twin.connect(), undo().decide, False)
    assert {**picture(machine), "volumes": 0} == {**picture(twin), "volumes": 0}  # what the engine could not delete stays on storage
    run(machine, remove("s1"))
    assert machine.contents() == contents


# The hang
def test_a_commit_that_hangs_is_recognised(two, monkeypatch):
    machine, _twin = two()
    monkeypatch.setattr(leave, "HANGS_AFTER", 0.5)
    monkeypatch.setattr(desk, "HUNG_AFTER", 0.5)
    shown = {"config": "s1", "disks": {"os": "s1", "logs": EXCLUDED}, "allow_disk_removal": True}
    removal = shown.pop("allow_disk_removal")
    wish = preview_removing(shown, removal)
    converge(machine.connect(), wish.decide, False)
    fault(machine, "commit.hang")
    error = failed(machine, commit(allow_disk_removal=True), "engine_hung")
    for said in (error.hint, health(machine)["engine_hung"].hint):
        assert "taskcleaner.sh -r" in said
        assert f"{UNLOCK} -t vm vm" in said
    for verb in (create("new"), preview(disks={"os": "s1"}), remove("s2")):
        assert "taskcleaner.sh -r" in failed(machine, verb, "engine_hung").hint
    machine.engine.clean_tasks()
    machine.engine.unlock("vm", machine.name)
    run(machine, create("new", disks=["os"]))
    assert machine.contents()["os"] == {"0": "os first"}
    assert machine.contents()["data"] == {"0": "data after s2"}
    machine.start()


def preview_removing(shown, removal):
    from ansible_collections.diskwise.vm.plugins.module_utils._engine import preview as previewing
    from tests.contract.verbs import Verb, composition

    request = previewing.PreviewRequest(composition(**shown), allow_disk_removal=removal)
    return Verb("preview", lambda vm: previewing.decide_preview(vm, request))


# 8: a merge fails
@pytest.mark.parametrize("point", ["prepare", "merge", "finalize", "delete"])
@pytest.mark.parametrize("disk", DISKS)
def test_a_failed_merge_locks_nothing(two, point, disk):
    machine, twin = two()
    contents, held = machine.contents(), machine.snapshot_contents()
    fault(machine, f"remove.{point}", disk=disk)
    error = failed(machine, remove("s1"), "merge_failed")
    assert disk in error.message
    assert machine.snapshots() == {"s1": [disk], "s2": ["data", "os"]}
    assert free(machine)
    assert (machine.contents(), machine.snapshot_contents()["s2"]) == (contents, held["s2"])
    assert machine.snapshot_contents()["s1"][disk] == held["s1"][disk]
    like(machine, twin, remove("s1"))
    assert (machine.contents(), machine.snapshot_contents()["s2"]) == (contents, held["s2"])


@pytest.mark.parametrize("point", ["merge", "delete"])
def test_a_failed_live_merge(two, point):
    machine, twin = two(running=True)
    contents = machine.contents()
    fault(machine, f"remove.{point}", disk="data")
    error = failed(machine, remove("s1"), "merge_failed")
    assert "data" in error.message
    assert "illegal_image" in health(machine)
    assert machine.contents() == contents
    like(machine, twin, remove("s1"))
    assert machine.contents() == contents


def test_a_lock_that_leaked_is_named(two):
    """Somebody else removed a snapshot as a whole, and one of its disks failed."""
    machine, _twin = two()
    ids, contents = machine.ids(), machine.contents()
    fault(machine, "remove.merge", disk="logs")
    vm = machine._raw()
    s1 = next(row.id for row in vm.snapshots if row.description == "s1")
    machine._desk().ask("somebody's removal", "x", (), "DELETE", f"/snapshots/{s1}", None, lambda now: False)
    problem = health(machine)["disk_locked"]
    assert set(problem.subject.split(", ")) == {"os", "data"}
    assert f"{UNLOCK} -t disk {ids['os']}" in problem.hint
    error = failed(machine, create("new"), "disk_locked")
    assert f"{UNLOCK} -t disk {ids['data']}" in error.hint
    for disk in ("os", "data"):
        machine.engine.unlock("disk", ids[disk])
    run(machine, remove("s1"))
    run(machine, create("new"))
    assert machine.contents() == contents


# 9: the engine dies and comes back
def at_each_look(machine, *actions):
    """The tasks stand still. At each look at a job, the next of these happens."""
    machine.engine.hold()
    for number, action in enumerate(actions):
        machine.engine.fault("then", method="GET", path="^/jobs", nth=number + 1, action=action)


@pytest.mark.parametrize(
    ("first", "verb"),
    [
        ((), create("new")),
        ((), preview(disks={"os": "s1"})),
        ((preview("s1"),), commit()),
        ((preview("s1"),), undo()),
        ((), restore("s1")),
    ],
    ids=["create", "preview", "commit", "undo", "restore"],
)
def test_the_engine_restarts_while_tasks_run(two, first, verb):
    machine, twin = two(*first)
    at_each_look(machine, {"do": "restart", "downtime": 0}, {"do": "release"})
    done = converge(machine.connect(), verb.decide, False)
    assert done.changed
    assert machine.engine.faults() == []
    assert not converge(machine.connect(), verb.decide, False).changed
    converge(twin.connect(), verb.decide, False)
    same(machine, twin)


@pytest.mark.parametrize("verb", [create("new"), preview(disks={"os": "s1"}), restore("s1")], ids=["create", "preview", "restore"])
def test_an_engine_that_is_away_for_a_while_is_waited_for(two, verb):
    machine, twin = two()
    machine.engine.speed(10)
    at_each_look(machine, {"do": "restart", "downtime": 40}, {"do": "release"})
    began = time.monotonic()
    assert converge(machine.connect(), verb.decide, False).changed
    assert time.monotonic() - began >= 4
    converge(twin.connect(), verb.decide, False)
    same(machine, twin)


def test_an_engine_that_does_not_come_back(two, monkeypatch):
    machine, _twin = two()
    machine.engine.speed(1)
    monkeypatch.setattr(engines, "RESTART_SECONDS", 1)
    at_each_look(machine, {"do": "restart", "downtime": 8})
    error = failed(machine, create("new"), "cannot_connect")
    assert [step.verb for step in error.left] == ["snapshot"]

    def released():
        with suppress(OSError, HTTPException):
            machine.engine.release()
            return True

    assert wait_until(released)
    assert wait_until(lambda: free(machine))
    assert not converge(machine.connect(), create("new").decide, False).changed


def test_a_restart_breaks_a_merge(two):
    machine, twin = two()
    at_each_look(machine, {"do": "step"}, {"do": "restart", "downtime": 0}, {"do": "release"})
    failed(machine, remove("s1"), "merge_failed")
    assert free(machine)
    converge(machine.connect(), remove("s1").decide, False)
    converge(twin.connect(), remove("s1").decide, False)
    same(machine, twin)


# 10, 11: hosts that are away or silent
@pytest.mark.parametrize("verb", [create("new"), preview("s1"), remove("s1")])
def test_a_host_that_is_away_is_waited_for(two, verb):
    machine, twin = two()
    machine.engine.fault("host.down", seconds=200)
    like(machine, twin, verb)


def test_an_engine_that_stands_still(two):
    machine, twin = two()
    machine.engine.speed(50)
    machine.engine.fault("engine.stall", seconds=100)
    error = raised_by(machine, create("new"), 0.5)
    assert error.reason == "timeout"
    assert "also when the whole engine stands still" in error.hint
    assert [step.verb for step in error.left] == ["snapshot"]
    machine.engine.settle()
    machine.engine.speed(1000)
    assert not converge(machine.connect(), create("new").decide, False).changed
    converge(twin.connect(), create("new").decide, False)
    same(machine, twin)


def test_domains_of_unknown_status_pass(two):
    machine, _twin = two()
    machine.engine.fault("domain.unknown")
    error = raised_by(machine, preview("s1", disks={"os": "current"}), 0.3)
    assert error.reason == "engine_busy"
    assert "status is Unknown" in error.message
    machine.engine.clear_faults()
    run(machine, preview("s1", disks={"os": "current"}))


# 12, 13: requests
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_login_that_ends_in_the_middle(two, method):
    machine, twin = two()
    machine.engine.fault("unauthorized", method=method, path="^/vms/" if method == "POST" else "^/(jobs|vms)", nth=1 if method == "POST" else 3)
    done = converge(machine.connect(), create("new").decide, False)
    assert done.changed
    assert machine.engine.faults() == []
    converge(twin.connect(), create("new").decide, False)
    same(machine, twin)


def test_reads_that_stumble_while_a_snapshot_goes(two):
    machine, twin = two()
    machine.engine.fault("read.500html", path="follow=", nth=2, times=2)
    like(machine, twin, remove("s1"), foreseen=False)
    assert machine.engine.faults() == []


@pytest.mark.parametrize("code", [None, "BEING_TAKEN"])
def test_somebody_else_is_at_work_for_a_while(two, code):
    machine, twin = two()
    machine.engine.fault("busy", method="POST", path="/snapshots$", times=3, code=code)
    converge(machine.connect(), create("new").decide, False)
    converge(twin.connect(), create("new").decide, False)
    same(machine, twin)


def test_a_view_of_the_damage_is_only_read(two):
    machine, _twin = two()
    fault(machine, "preview.task", disk="os")
    failed(machine, preview(disks={"os": "s1"}), "preview_failed")
    with machine.only_reads():
        shown = render.info(machine.connect(patient=False).read())
    assert {"damaged_images"} <= {problem["code"] for problem in shown["health"]}
