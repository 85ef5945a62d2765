# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failing operations: answers, rows, jobs, events and contents, and how the damage is mended (§15.1, §15.2)."""

from __future__ import annotations

import pytest

from tests.emulator.client import Client
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator

DAMAGED = "The following disk IDs are associated with a damaged snapshot and may require manual inspection:\n ${diskIds}]"


def order(vm: Machine) -> list[str]:
    """In which the engine handles the disks."""
    return sorted(vm.disks, key=lambda alias: vm.disks[alias])


def shown_by_active(rest: Client, vm: Machine) -> dict[str, str]:
    return {alias: image for alias, (image, _status) in rest.snapshot_disks(vm.id, rest.active(vm.id)).items()}


def starts(rest: Client, engine: Emulator, vm: Machine) -> bool:
    assert rest.post(f"/vms/{vm.id}/start").status == 200
    engine.settle()
    up = rest.status(vm.id) == "up"
    if up:
        rest.post(f"/vms/{vm.id}/stop")
        engine.settle()
    return up


def remove(rest: Client, engine: Emulator, vm: Machine, snapshot: str, cid: str) -> list[int]:
    assert rest.delete(f"/vms/{vm.id}/snapshots/{snapshot}", correlation_id=cid).status == 200
    engine.settle()
    return rest.events(cid)


# Create
def test_a_refused_volume_tears_the_disks_before_it(rest: Client, engine: Emulator, vm: Machine) -> None:
    x, before, volumes = rest.active(vm.id), rest.images(vm.id), engine.volumes(vm.id)
    first, second, third = order(vm)
    engine.fault("create.volume.verb", disk=third)
    engine.hold()
    reply = rest.create(vm.id, correlation_id="torn")
    assert (reply.status, reply.detail) == (400, "[]")
    assert rest.get(f"/disks/{vm.disks[first]}").xml.findtext("status") == "locked"
    assert (rest.jobs("torn"), rest.events("torn")) == (["started"], [117])
    engine.settle()
    assert rest.jobs("torn") == ["failed"]
    assert rest.events("torn") == [117, 69, 69, 69, 69, 69]
    assert [row[0] for row in rest.rows(vm.id)] == ["active"]
    after = rest.images(vm.id)
    assert rest.active(vm.id) == x
    assert {alias for alias in after if after[alias] != before[alias]} == {first, second}
    assert shown_by_active(rest, vm) == before
    images = rest.get(f"/disks/{vm.disks[first]}/disksnapshots?include_active=true").xml.findall("disk_snapshot")
    assert [image.find("snapshot").get("id") for image in images if image.find("snapshot") is not None] == [x]  # type: ignore[union-attr]
    assert engine.volumes(vm.id) == volumes
    assert not starts(rest, engine, vm)
    # The repair: a snapshot of the configuration only, removed again.
    repair = rest.create(vm.id, disks=[]).id
    engine.settle()
    assert 356 in remove(rest, engine, vm, repair, "repair")
    assert rest.images(vm.id) == shown_by_active(rest, vm) == before
    assert engine.volumes(vm.id) == volumes
    assert starts(rest, engine, vm)


def test_a_full_create_makes_a_torn_vm_worse(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.fault("create.volume.verb", disk=order(vm)[2])
    rest.create(vm.id)
    engine.settle()
    worse = rest.create(vm.id, correlation_id="worse").id
    engine.settle()
    assert rest.jobs("worse") == ["failed"]
    assert "illegal" in {status for _image, status in rest.snapshot_disks(vm.id, worse).values()}


def test_a_refused_volume_of_a_running_vm_heals(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "up", running=True)
    before, volumes = rest.images(made.id), engine.volumes(made.id)
    engine.fault("create.volume.verb", disk=order(made)[1])
    assert rest.create(made.id, correlation_id="c").detail == "[]"
    engine.settle()
    assert rest.images(made.id) == shown_by_active(rest, made) == before
    assert (engine.volumes(made.id), rest.status(made.id), rest.jobs("c")) == (volumes, "up", ["failed"])


def test_a_failed_volume_task_leaves_an_ok_snapshot_over_nothing(rest: Client, engine: Emulator, vm: Machine) -> None:
    before, volumes = rest.images(vm.id), engine.volumes(vm.id)
    engine.fault("create.volume.task", disk="db")
    x = rest.create(vm.id, correlation_id="c").id
    engine.settle()
    assert (rest.jobs("c"), rest.events("c")) == (["failed"], [45, 10774, 69])
    assert rest.rows(vm.id)[1] == ("regular", "s", "ok")
    assert {status for _image, status in rest.snapshot_disks(vm.id, x).values()} == {"ok"}
    assert rest.images(vm.id)["db"] not in engine.volumes(vm.id)
    assert not starts(rest, engine, vm)
    second = rest.create(vm.id, correlation_id="next").id
    engine.settle()
    assert rest.jobs("next") == ["failed"]
    assert remove(rest, engine, vm, x, "d1")[-1] == remove(rest, engine, vm, second, "d2")[-1] == 356
    assert (rest.images(vm.id), engine.volumes(vm.id)) == (before, volumes)
    assert starts(rest, engine, vm)


def test_a_volume_task_that_fails_after_its_work(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.fault("create.volume.task", disk="db", damage="none")
    rest.create(vm.id, correlation_id="c")
    engine.settle()
    assert rest.events("c") == [45, 10774, 69]
    assert starts(rest, engine, vm)


def test_a_failed_volume_task_of_a_running_vm(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "up", running=True)
    x, before, volumes = rest.active(made.id), rest.images(made.id), engine.volumes(made.id)
    engine.fault("create.volume.task", disk="os")
    rest.create(made.id, correlation_id="c", disks=[made.disks["os"]])
    engine.settle()
    assert (rest.jobs("c"), rest.events("c")) == (["failed"], [45, 69])
    assert (rest.active(made.id), shown_by_active(rest, made), engine.volumes(made.id)) == (x, before, volumes)


@pytest.mark.parametrize(("kind", "events"), [("create.live.verb", [45, 170, 69]), ("create.live.job", [45, 69])])
def test_a_live_snapshot_that_fails_leaves_dead_labels(rest: Client, engine: Emulator, kind: str, events: list[int]) -> None:
    made = machine(engine, "up", running=True)
    x, before, volumes = rest.active(made.id), rest.images(made.id), engine.volumes(made.id)
    engine.fault(kind)
    assert rest.create(made.id, "live", [made.disks["os"]], correlation_id="c").status == 201
    engine.settle()
    assert (rest.jobs("c"), rest.events("c")) == (["failed"], events)
    assert (rest.active(made.id), rest.images(made.id), engine.volumes(made.id)) == (x, before, volumes)
    assert shown_by_active(rest, made) == {"os": before["os"]}
    rest.create(made.id, "repair", [])
    engine.settle()
    assert shown_by_active(rest, made) == before


def test_failed_memory_leaks_two_disks(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "up", running=True)
    engine.fault("create.live.job")
    rest.create(made.id, memory=True)
    engine.settle()
    leaked = rest.get("/disks?search=name%3Dup_snapshot_*").xml.findall("disk")
    assert sorted((disk.findtext("alias"), disk.findtext("status")) for disk in leaked) == [
        ("up_snapshot_memory", "locked"),
        ("up_snapshot_metadata", "locked"),
    ]


def test_a_live_job_that_fails_after_the_switch(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "up", running=True)
    engine.fault("create.live.job_after")
    x = rest.create(made.id, correlation_id="c").id
    engine.settle()
    assert (rest.jobs("c"), rest.events("c")) == (["failed"], [45, 10774, 69])
    assert remove(rest, engine, made, x, "d")[-1] == 356


@pytest.mark.parametrize(("memory", "events"), [(False, [45, 68]), (True, [45, 173, 68])])
def test_a_vm_that_dies_in_a_live_create(rest: Client, engine: Emulator, memory: bool, events: list[int]) -> None:
    made = machine(engine, "up", running=True)
    engine.fault("create.vmdown")
    x = rest.create(made.id, memory=memory, correlation_id="c").id
    engine.settle()
    assert (rest.jobs("c"), rest.events("c"), rest.status(made.id)) == (["finished"], events, "down")
    assert rest.get(f"/vms/{made.id}/snapshots/{x}").xml.findtext("persist_memorystate") == "false"


# Preview
@pytest.mark.parametrize(("kind", "status", "events"), [("preview.verb", 400, [115]), ("preview.task", 202, [46, 99])])
def test_a_failed_preview_damages_kept_disks(rest: Client, engine: Emulator, vm: Machine, kind: str, status: int, events: list[int]) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    x, before, volumes = rest.active(vm.id), rest.images(vm.id), engine.volumes(vm.id)
    picks = {vm.disks[alias]: image for alias, image in before.items()} | {vm.disks["os"]: rest.snapshot_disks(vm.id, s1)["os"][0]}
    engine.fault(kind, disk="os")
    reply = rest.preview(vm.id, s1, picks, correlation_id="p")
    assert reply.status == status
    if status == 400:
        assert (reply.xml.tag, reply.detail) == ("action", "[Error creating a new volume]")
    engine.settle()
    assert (rest.jobs("p"), rest.events("p")) == (["failed"], events)
    assert (rest.active(vm.id), rest.images(vm.id), engine.volumes(vm.id), rest.status(vm.id)) == (x, before, volumes, "down")
    assert shown_by_active(rest, vm) == {"os": before["os"]}
    refused = rest.preview(vm.id, s1)
    assert refused.status == 409
    assert refused.detail.startswith("[$diskids ")
    assert refused.detail.endswith(DAMAGED)
    assert starts(rest, engine, vm)
    rest.create(vm.id, "repair", [])
    engine.settle()
    assert shown_by_active(rest, vm) == before
    assert rest.preview(vm.id, s1).status == 202


def test_a_full_create_makes_dead_labels_permanent(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    picks = {vm.disks[alias]: image for alias, image in rest.images(vm.id).items()} | {vm.disks["os"]: rest.snapshot_disks(vm.id, s1)["os"][0]}
    engine.fault("preview.task")
    rest.preview(vm.id, s1, picks)
    engine.settle()
    x = rest.create(vm.id).id
    engine.settle()
    assert {alias: status for alias, (_image, status) in rest.snapshot_disks(vm.id, x).items()} == {"os": "ok", "db": "illegal", "data": "illegal"}
    assert rest.preview(vm.id, s1).status == 409


def test_a_preview_that_ends_just_after_an_outage_is_stuck(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.fault("preview.end")
    rest.preview(vm.id, s1, correlation_id="p")
    engine.settle()
    assert (rest.jobs("p"), rest.events("p"), rest.status(vm.id)) == (["started"], [46, 99], "image_locked")
    assert rest.undo(vm.id).status == 409
    assert rest.commit(vm.id).status == 400


# Commit and undo
@pytest.mark.parametrize(("kind", "events"), [("commit", [96, 95]), ("undo", [652, 651])])
def test_a_refused_deletion_changes_nothing(rest: Client, engine: Emulator, vm: Machine, kind: str, events: list[int]) -> None:
    rest.preview(vm.id, engine.snapshot(vm.id, "s1"))
    engine.settle()
    before = rest.rows(vm.id), rest.images(vm.id), engine.volumes(vm.id)
    engine.fault(f"{kind}.verb")
    engine.hold()
    path = f"/vms/{vm.id}/{kind}snapshot"
    reply = rest.post(path, correlation_id="c")
    assert (reply.status, reply.xml.tag, reply.detail) == (400, "action", "[Internal Engine Error]")
    assert (rest.jobs("c"), rest.events("c")) == (["started"], events)
    engine.settle()
    assert rest.jobs("c") == ["failed"]
    assert (rest.rows(vm.id), rest.images(vm.id), engine.volumes(vm.id)) == before
    assert rest.post(path).status == 202
    engine.settle()
    assert rest.status(vm.id) == "down"


def test_a_later_deletion_that_is_refused_hangs_and_loses_a_volume(rest: Client, engine: Emulator, vm: Machine) -> None:
    rest.preview(vm.id, engine.snapshot(vm.id, "s1"))
    engine.settle()
    volumes = engine.volumes(vm.id)
    engine.fault("undo.verb.later")
    assert rest.undo(vm.id, correlation_id="u").status == 400
    assert (rest.jobs("u"), rest.events("u")) == (["failed"], [652, 651])
    assert rest.row(vm.id, "preview")
    assert len(volumes - engine.volumes(vm.id)) == 1
    assert rest.undo(vm.id).status == 202
    engine.settle()
    assert rest.rows(vm.id)[-1] == ("active", "Active VM", "locked")


def test_a_failed_deletion_after_commit_is_only_garbage(rest: Client, engine: Emulator, vm: Machine) -> None:
    rest.preview(vm.id, engine.snapshot(vm.id, "s1"))
    engine.settle()
    volumes = engine.volumes()
    engine.fault("commit.task")
    assert rest.commit(vm.id, correlation_id="c").status == 202
    engine.settle()
    assert (rest.jobs("c"), rest.events("c")) == (["failed"], [94, 95])
    assert engine.volumes() == volumes
    assert rest.commit(vm.id).status == 400
    assert rest.create(vm.id).status == 201


def test_a_failed_undo_locks_active_for_ever(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    before = rest.images(vm.id)
    rest.preview(vm.id, s1)
    engine.settle()
    engine.fault("undo.task")
    assert rest.undo(vm.id, correlation_id="u").status == 202
    engine.settle()
    assert (rest.jobs("u"), rest.events("u")) == (["failed"], [650, 651])
    assert (rest.images(vm.id), rest.status(vm.id)) == (before, "down")
    assert rest.rows(vm.id)[-1] == ("active", "Active VM", "locked")
    assert [rest.create(vm.id).status, rest.preview(vm.id, s1).status, rest.post(f"/vms/{vm.id}/start").status] == [409] * 3
    assert rest.undo(vm.id).status == 400
    assert rest.put(f"/vms/{vm.id}", "<vm><comment>x</comment></vm>").status == 200
    engine.unlock("snapshot", rest.active(vm.id))
    assert rest.create(vm.id).status == 201


def test_the_hang(rest: Client, engine: Emulator, vm: Machine) -> None:
    """§7.4: a disk with snapshots is dropped at commit."""
    s1, s2 = engine.snapshot(vm.id, "s1", [vm.disks["os"], vm.disks["data"]]), engine.snapshot(vm.id, "s2", [vm.disks["data"]])
    current = rest.images(vm.id)
    rest.preview(vm.id, s1, {vm.disks["os"]: rest.snapshot_disks(vm.id, s1)["os"][0], vm.disks["db"]: current["db"]})
    engine.settle()
    engine.fault("commit.hang")
    rest.commit(vm.id, correlation_id="c")
    engine.settle()
    assert (rest.status(vm.id), rest.jobs("c"), rest.events("c")) == ("image_locked", ["started"], [94])
    assert [row[0] for row in rest.rows(vm.id)].count("preview") == 0
    assert rest.snapshot_disks(vm.id, s2)["data"][1] == "illegal"
    assert rest.get(f"/disks/{vm.disks['data']}").status == 404
    assert rest.delete(f"/vms/{vm.id}/snapshots/{s2}").detail == "[Cannot remove Snapshot. VM vm must be in status Down, Up or Paused.]"
    assert rest.delete(f"/vms/{vm.id}/snapshots/{s1}/disks/{vm.disks['data']}").detail == "[Cannot remove Disk Snapshot. VM is not found.]"
    assert rest.commit(vm.id).status == rest.undo(vm.id).status == 400
    engine.restart(0)
    assert rest.commit(vm.id).detail == "[Cannot revert to Snapshot. Related operation is currently in progress. Please try again later.]"
    engine.clean_tasks()
    engine.unlock("vm", "vm")
    assert rest.create(vm.id).status == 201


# Remove
@pytest.mark.parametrize("point", ["prepare", "merge", "finalize", "delete"])
def test_a_failed_cold_merge(rest: Client, engine: Emulator, vm: Machine, point: str) -> None:
    s1, s2 = engine.snapshot(vm.id, "s1"), engine.snapshot(vm.id, "s2", [vm.disks["os"]])
    engine.write(vm.disks["os"], "0", "now")
    engine.fault(f"remove.{point}", disk="db")
    events = remove(rest, engine, vm, s1, "d")
    assert rest.jobs("d") == ["failed"]
    assert (events[0], events[-1]) == (342, 357)
    assert list(rest.snapshot_disks(vm.id, s1).items()) == [("db", (rest.snapshot_disks(vm.id, s1)["db"][0], "ok"))]
    states = {alias: rest.get(f"/disks/{disk}").xml.findtext("status") for alias, disk in vm.disks.items()}
    assert states == {"os": "locked", "db": "ok", "data": "ok"}  # os still has two images
    assert remove(rest, engine, vm, s1, "again")[-1] == 356
    assert rest.post(f"/vms/{vm.id}/start").detail == "[Cannot run VM: The following disks are locked: os. Please try again in a few minutes.]"
    assert rest.create(vm.id, disks=[vm.disks["db"]]).status == 201
    engine.settle()
    refused = rest.put(f"/vms/{vm.id}/diskattachments/{vm.disks['os']}", "<disk_attachment><active>false</active></disk_attachment>")
    assert (refused.status, "${diskAliases}" in refused.detail) == (409, True)
    assert rest.get(f"/vms/{vm.id}/diskattachments/{vm.disks['os']}").xml.findtext("active") == "false"
    assert engine.disk_content(vm.disks["os"]) == {"0": "now"}
    engine.unlock("disk", vm.disks["os"])
    assert remove(rest, engine, vm, s2, "s2")[-1] == 356


@pytest.mark.parametrize("point", ["merge", "delete"])
def test_a_failed_live_merge(rest: Client, engine: Emulator, point: str) -> None:
    made = machine(engine, "up", running=True)
    s1 = engine.snapshot(made.id, "s1")
    engine.fault(f"remove.{point}", disk="db")
    assert remove(rest, engine, made, s1, "d") == [342, 357]
    assert {alias: status for alias, (_image, status) in rest.snapshot_disks(made.id, s1).items()} == {"db": "illegal"}
    assert rest.get(f"/disks/{made.disks['os']}").xml.findtext("status") == "locked"
    assert remove(rest, engine, made, s1, "again")[-1] == 356


def test_removing_disk_by_disk_leaks_no_lock(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.snapshot(vm.id, "s2")
    engine.fault("remove.merge", disk="db")
    for alias in ("os", "db", "data", "db"):
        rest.delete(f"/vms/{vm.id}/snapshots/{s1}/disks/{vm.disks[alias]}", correlation_id=f"r-{alias}")
        engine.settle()
    assert rest.events("r-db") == [373, 72, 376, 373, 72, 375]
    assert remove(rest, engine, vm, s1, "row")[-1] == 356
    assert {rest.get(f"/disks/{disk}").xml.findtext("status") for disk in vm.disks.values()} == {"ok"}
