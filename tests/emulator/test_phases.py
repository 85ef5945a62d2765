# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen in the middle of operations, and who gets in whose way (§4.2, §13)."""

from __future__ import annotations

import threading

from tests.emulator.client import Client, Reply
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator


def disk_states(rest: Client, vm: Machine) -> set[str]:
    return {rest.get(f"/disks/{disk}").xml.findtext("status") or "" for disk in vm.disks.values()}


def test_create(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.hold()
    x = rest.create(vm.id, "s", [vm.disks["os"]], correlation_id="c").id
    assert rest.rows(vm.id) == [("active", "Active VM", "ok"), ("regular", "s", "locked")]
    assert rest.get(f"/disks/{vm.disks['os']}").xml.findtext("status") == "locked"
    assert rest.get(f"/disks/{vm.disks['db']}").xml.findtext("status") == "ok"
    assert rest.snapshot_disks(vm.id, x)["os"][1] == "ok"
    assert rest.jobs("c") == ["started"]
    assert rest.events("c") == [45]
    engine.settle()
    assert rest.rows(vm.id)[1][2] == "ok"
    assert disk_states(rest, vm) == {"ok"}
    job = rest.get("/jobs?search=correlation_id%3Dc").xml.find("job")
    assert job is not None
    steps = rest.get(f"/jobs/{job.get('id')}/steps").xml.findall("step")
    assert [(step.findtext("type"), step.findtext("number")) for step in steps] == [
        ("validating", "0"),
        ("executing", "1"),
        ("finalizing", "2"),
        ("unknown", "0"),
    ]
    assert {step.findtext("status") for step in steps} == {"finished"}


def test_an_answer_shows_its_own_moment(rest: Client, engine: Emulator, vm: Machine) -> None:
    """Also where the tasks are over sooner than the waiting client is woken up."""
    engine.speed(1e7)
    for _time in range(20):
        assert rest.create(vm.id, disks=[]).xml.findtext("snapshot_status") == "locked"
        engine.settle()


def test_preview_and_its_last_moment(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.hold()
    rest.preview(vm.id, s1, correlation_id="p")
    assert rest.status(vm.id) == "image_locked"
    assert {row[0]: row[2] for row in rest.rows(vm.id)} == {"active": "ok", "preview": "locked", "regular": "ok"}
    assert disk_states(rest, vm) == {"ok"}
    assert rest.undo(vm.id).detail == "[Cannot revert to Snapshot because the VM is in Image Locked status.]"
    assert rest.commit(vm.id).detail == "[Cannot revert to Snapshot. VM's Snapshot does not exist.]"
    assert rest.preview(vm.id, s1).detail == "[Cannot preview Snapshot. At least one of the VMs is not down.]"
    assert rest.create(vm.id).detail == "[Cannot create Snapshot because the VM is in Image Locked status.]"
    assert rest.post(f"/vms/{vm.id}/start").detail == "[Cannot run VM: VM is locked. Please try again in a few minutes.]"
    assert "performing an operation on a Snapshot" in rest.delete(f"/vms/{vm.id}/snapshots/{s1}").detail
    engine.step()
    assert rest.status(vm.id) == "down"
    assert rest.jobs("p") == ["started"]
    assert "performing an operation on a Snapshot" in rest.create(vm.id).detail
    x = rest.row(vm.id, "preview")
    assert rest.undo(vm.id).status == 202
    engine.settle()
    assert rest.active(vm.id) == x
    assert rest.jobs("p") == ["finished"]


def test_commit_looks_finished(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    rest.preview(vm.id, s1)
    engine.settle()
    engine.hold()
    rest.commit(vm.id, correlation_id="c")
    assert {row[2] for row in rest.rows(vm.id)} == {"ok"}
    assert rest.status(vm.id) == "image_locked"
    assert rest.commit(vm.id).status == rest.undo(vm.id).status == 400
    assert rest.create(vm.id).detail == "[Cannot create Snapshot because the VM is in Image Locked status.]"
    engine.step()
    assert rest.status(vm.id) == "down"
    assert disk_states(rest, vm) == {"ok"}
    assert rest.jobs("c") == ["started"]
    engine.step()
    assert rest.jobs("c") == ["finished"]


def test_commit_of_a_source_without_images_leaves_the_vm_down(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    now = engine.snapshot(vm.id, "now", [])
    picks = {vm.disks[alias]: image for alias, image in rest.images(vm.id).items()} | {vm.disks["os"]: rest.snapshot_disks(vm.id, s1)["os"][0]}
    rest.preview(vm.id, now, picks)
    engine.settle()
    engine.hold()
    rest.commit(vm.id, correlation_id="c")
    assert (rest.status(vm.id), rest.jobs("c")) == ("down", ["started"])


def test_undo_locks_active(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    rest.preview(vm.id, s1)
    engine.settle()
    engine.hold()
    rest.undo(vm.id)
    assert rest.status(vm.id) == "down"
    assert rest.rows(vm.id)[-1] == ("active", "Active VM", "locked")
    assert rest.undo(vm.id).status == 400
    for reply in (rest.create(vm.id), rest.preview(vm.id, s1), rest.delete(f"/vms/{vm.id}/snapshots/{s1}"), rest.post(f"/vms/{vm.id}/start")):
        assert reply.status == 409
        assert "performing an operation on a Snapshot" in reply.detail


def test_no_tasks_still_leave_a_job(rest: Client, engine: Emulator, vm: Machine) -> None:
    now = engine.snapshot(vm.id, "now", [])
    picks = {vm.disks[alias]: image for alias, image in rest.images(vm.id).items()}
    engine.hold()
    previewed = rest.preview(vm.id, now, picks, correlation_id="p")
    assert (previewed.status, rest.jobs("p"), rest.events("p")) == (200, ["finished"], [46])
    undone = rest.undo(vm.id, correlation_id="u")
    assert (undone.status, rest.jobs("u")) == (200, ["started"])
    assert rest.rows(vm.id)[-1] == ("active", "Active VM", "ok")


def test_two_previews_have_one_winner(engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.speed(10)
    replies: list[Reply] = []

    def preview() -> None:
        replies.append(Client(engine).preview(vm.id, s1))

    threads = [threading.Thread(target=preview) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status for reply in replies) == [202, 409, 409, 409]
    assert {reply.detail for reply in replies if reply.status == 409} <= {
        "[Cannot preview Snapshot. Related operation is currently in progress. Please try again later.]",
        "[Cannot preview Snapshot. At least one of the VMs is not down.]",
    }
    engine.settle()


def test_the_job_shows_before_the_rows(engine: Emulator, rest: Client, vm: Machine) -> None:
    engine.speed(0.5)  # a poll of a busy machine must fit between the two
    thread = threading.Thread(target=lambda: Client(engine).create(vm.id, correlation_id="slow"))
    thread.start()
    seen = set()
    while thread.is_alive():
        job = rest.jobs("slow")
        seen.add((bool(job), len(rest.rows(vm.id))))
    thread.join()
    engine.settle()
    assert {(False, 1), (True, 1)} <= seen
    assert (False, 2) not in seen


def test_remove(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1", [vm.disks["os"]])
    s2 = engine.snapshot(vm.id, "s2", [vm.disks["os"]])
    s3 = engine.snapshot(vm.id, "s3", [vm.disks["db"]])
    engine.hold()
    assert rest.delete(f"/vms/{vm.id}/snapshots/{s1}").xml.findtext("status") == "complete"
    assert {row[1]: row[2] for row in rest.rows(vm.id)} == {"Active VM": "ok", "s1": "locked", "s2": "ok", "s3": "ok"}
    assert rest.snapshot_disks(vm.id, s2)["os"][1] == "locked"
    assert rest.get(f"/disks/{vm.disks['db']}").xml.findtext("status") == "ok"
    assert rest.delete(f"/vms/{vm.id}/snapshots/{s2}").status == 409
    assert rest.delete(f"/vms/{vm.id}/snapshots/{s3}").status == 200
    for reply in (rest.create(vm.id, disks=[vm.disks["data"]]), rest.preview(vm.id, s2), rest.post(f"/vms/{vm.id}/start")):
        assert reply.status == 409
    assert rest.put(f"/vms/{vm.id}", "<vm><comment>fine</comment></vm>").status == 200
    engine.settle()
    assert [row[1] for row in rest.rows(vm.id)] == ["Active VM", "s2"]


def test_commit_of_a_running_vm(rest: Client, engine: Emulator, vm: Machine) -> None:
    rest.preview(vm.id, engine.snapshot(vm.id, "s1"))
    engine.settle()
    rest.post(f"/vms/{vm.id}/start")
    engine.settle()
    engine.hold()
    assert rest.commit(vm.id).status == 202
    seen = [rest.status(vm.id)]
    while engine.step():
        seen.append(rest.status(vm.id))
    assert seen == ["image_locked", "down", "up"]


def test_power(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "power", ("os",))
    engine.hold()
    rest.post(f"/vms/{made.id}/start")
    assert rest.status(made.id) == "wait_for_launch"
    engine.step()
    assert rest.status(made.id) == "powering_up"
    engine.step()
    up = rest.get(f"/vms/{made.id}").xml
    assert up.findtext("status") == "up"
    assert up.find("start_time") is not None
    rest.post(f"/vms/{made.id}/shutdown")
    assert rest.status(made.id) == "powering_down"
    engine.settle()
    down = rest.get(f"/vms/{made.id}").xml
    assert (down.findtext("status"), down.find("start_time")) == ("down", None)
    assert rest.post(f"/vms/{made.id}/stop").status == 200


def test_stateless_run(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "free", ("os",), stateless=True)
    x, before = rest.active(made.id), rest.images(made.id)
    rest.post(f"/vms/{made.id}/start")
    engine.settle()
    assert rest.row(made.id, "stateless") == x
    engine.write(made.disks["os"], "0", "gone soon")
    rest.put(f"/vms/{made.id}", "<vm><description>gone soon</description></vm>")
    assert "running as Stateless" in rest.create(made.id).detail
    rest.post(f"/vms/{made.id}/stop")
    engine.settle()
    assert (rest.active(made.id), rest.images(made.id)) == (x, before)
    assert engine.disk_content(made.disks["os"]) == {"0": "os 0"}
    found = rest.get(f"/vms/{made.id}").xml
    assert (found.findtext("description"), rest.rows(made.id)[-1][0]) == ("", "active")
    date = rest.get(f"/vms/{made.id}/snapshots/{x}").xml.findtext("date") or ""
    assert date > (found.findtext("start_time") or found.findtext("creation_time") or "")


def test_freeze_is_the_probe_for_an_agent(rest: Client, engine: Emulator) -> None:
    made = engine.make_vm("probe", ["os"], running=True)
    refused = rest.post(f"/vms/{made}/freezefilesystems")
    assert (refused.status, refused.detail) == (400, "[Guest agent non responsive]")
    engine.agent(made, True)
    for verb, code in (("freeze", 10767), ("thaw", 10768)):
        reply = rest.post(f"/vms/{made}/{verb}filesystems", correlation_id=verb)
        assert (reply.status, rest.events(verb)) == (200, [code])
