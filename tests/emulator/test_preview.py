# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Previews, undo, commit and restore (§6 to §9)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.emulator.client import Client
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator

UNKNOWN = "11111111-2222-3333-4444-555555555555"


def snap(engine: Emulator, vm: Machine, name: str, *aliases: str) -> str:
    """A snapshot of these disks; then a write in each disk, so that contents differ."""
    made = engine.snapshot(vm.id, name, [vm.disks[alias] for alias in aliases])
    for disk in vm.disks.values():
        engine.write(disk, "0", f"after {name}")
    return made


def test_composed_preview_and_undo(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = snap(engine, vm, "s1", "os", "db")
    snap(engine, vm, "s2", "os")
    x, before, volumes = rest.active(vm.id), rest.images(vm.id), engine.volumes(vm.id)
    reply = rest.preview(vm.id, s1, {vm.disks["os"]: rest.snapshot_disks(vm.id, s1)["os"][0], vm.disks["db"]: before["db"]})
    assert reply.status == 202
    assert reply.id.count("%2C") == 0
    engine.settle()
    assert engine.disk_content(vm.disks["os"]) == {"0": "os 0"}
    assert engine.disk_content(vm.disks["db"]) == {"0": "after s2"}
    assert rest.row(vm.id, "preview") == x
    assert rest.images(vm.id).keys() == {"os", "db"}
    assert rest.get(f"/disks/{vm.disks['data']}").status == 404
    assert rest.get(f"/disks/{vm.disks['data']}/disksnapshots").status == 200
    domain = rest.get("/storagedomains").xml.findall("storage_domain")[0].get("id")
    assert before["data"] in {image.get("id") for image in rest.get(f"/storagedomains/{domain}/disksnapshots?include_active=true").xml}
    engine.write(vm.disks["os"], "0", "in preview")
    assert rest.undo(vm.id).id.count("%2C") == 1
    engine.settle()
    assert (rest.active(vm.id), rest.images(vm.id), engine.volumes(vm.id)) == (x, before, volumes)
    assert engine.disk_content(vm.disks["os"]) == {"0": "after s2"}
    assert rest.rows(vm.id)[-1][0] == "active"


def test_commit_deletes_the_branch_and_breaks_newer_rows(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = snap(engine, vm, "s1", "os", "db", "data")
    s2 = snap(engine, vm, "s2", "os", "db")
    s3 = snap(engine, vm, "s3", "os")
    engine.snapshot(vm.id, "config", [])
    frozen = rest.snapshot_disks(vm.id, s1)
    current = rest.images(vm.id)
    rest.preview(vm.id, s1, {vm.disks["os"]: frozen["os"][0], vm.disks["db"]: current["db"], vm.disks["data"]: current["data"]})
    engine.settle()
    y = rest.active(vm.id)
    assert rest.commit(vm.id).status == 202
    engine.settle()
    assert rest.active(vm.id) == y
    assert {description for _kind, description, _status in rest.rows(vm.id)} == {"Active VM", "s1", "s2"}
    assert {alias: status for alias, (_image, status) in rest.snapshot_disks(vm.id, s2).items()} == {"os": "illegal", "db": "ok"}
    assert rest.get(f"/vms/{vm.id}/snapshots/{s3}").status == 404
    broken = rest.preview(vm.id, s2)
    assert broken.detail == (
        "[Cannot preview Snapshot. The snapshot s2 of VM vm has no configuration available. Please choose a snapshot with configuration available.]"
    )
    assert engine.disk_content(vm.disks["os"]) == {"0": "os 0"}
    assert engine.disk_content(vm.disks["db"]) == {"0": "after s3"}
    assert len(engine.volumes(vm.id)) == 2 + 3 + 2


def test_commit_destroys_dropped_disks(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = snap(engine, vm, "s1", "os")
    rest.preview(vm.id, s1)
    engine.settle()
    assert rest.images(vm.id).keys() == {"os"}
    rest.commit(vm.id)
    engine.settle()
    assert rest.get(f"/disks/{vm.disks['db']}").status == 404
    assert len(engine.volumes(vm.id)) == 2
    assert rest.rows(vm.id)[-1][0] in ("active", "regular")


def test_a_newer_row_with_a_dropped_disk_stays_broken_until_the_next_commit(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = snap(engine, vm, "s1", "os")
    s2 = snap(engine, vm, "s2", "data")
    for _time in range(2):
        current = rest.images(vm.id)
        rest.preview(vm.id, s1, {vm.disks["os"]: rest.snapshot_disks(vm.id, s1)["os"][0], vm.disks["db"]: current["db"]})
        engine.settle()
        rest.commit(vm.id)
        engine.settle()
        if _time == 0:
            assert rest.snapshot_disks(vm.id, s2)["data"][1] == "illegal"
    assert rest.get(f"/vms/{vm.id}/snapshots/{s2}").status == 404


def test_illegal_rows_preview_without_their_disks(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1, s2 = snap(engine, vm, "s1", "os"), snap(engine, vm, "s2", "os")
    now = engine.snapshot(vm.id, "now", [])
    current = rest.images(vm.id)
    picks = {vm.disks[alias]: image for alias, image in current.items()} | {vm.disks["os"]: rest.snapshot_disks(vm.id, s1)["os"][0]}
    rest.preview(vm.id, now, picks)
    engine.settle()
    rest.commit(vm.id)
    engine.settle()
    assert rest.snapshot_disks(vm.id, s2)["os"][1] == "illegal"
    reply = rest.preview(vm.id, s2)
    assert (reply.status, reply.xml.findtext("status")) == (200, "complete")
    assert reply.xml.find("vm/actions") is not None
    assert rest.images(vm.id) == {}
    assert rest.undo(vm.id).status in (200, 202)
    engine.settle()
    assert rest.delete(f"/vms/{vm.id}/snapshots/{s2}").status == 200
    assert rest.get(f"/vms/{vm.id}/snapshots/{s2}").status == 404


def test_flags_follow_the_source_or_the_image(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "flags", ("os", "db"))
    path = f"/vms/{made.id}/diskattachments/"
    s1 = engine.snapshot(made.id, "s1", [made.disks["os"]])
    for disk, tag, value in (("os", "bootable", "false"), ("db", "bootable", "true"), ("db", "active", "false")):
        body = f"<disk_attachment><{tag}>{value}</{tag}></disk_attachment>"
        assert rest.put(path + made.disks[disk], body).status == 200
        engine.settle()
    rest.put(f"/disks/{made.disks['os']}", "<disk><name>renamed</name></disk>")
    engine.settle()
    current = rest.images(made.id)
    rest.preview(made.id, s1, {made.disks["os"]: rest.snapshot_disks(made.id, s1)["os"][0], made.disks["db"]: current["db"]})
    engine.settle()
    shown = {a.findtext("disk/alias"): (a.findtext("bootable"), a.findtext("active")) for a in rest.get(f"{path}?follow=disk".replace("/?", "?")).xml}
    assert shown == {"os": ("true", "true"), "db": ("true", "true")}
    rest.undo(made.id)
    engine.settle()
    shown = {a.findtext("disk/alias"): (a.findtext("bootable"), a.findtext("active")) for a in rest.get(f"{path}?follow=disk".replace("/?", "?")).xml}
    assert shown == {"renamed": ("false", "true"), "db": ("true", "false")}


def test_size_is_per_image(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    rest.put(f"/disks/{vm.disks['os']}", f"<disk><provisioned_size>{5 << 30}</provisioned_size></disk>")
    engine.settle()
    rest.preview(vm.id, s1)
    engine.settle()
    assert rest.get(f"/disks/{vm.disks['os']}").xml.findtext("provisioned_size") == str(1 << 30)


def test_names_are_not_checked_and_macs_move(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "first", ("os",))
    s1 = engine.snapshot(made.id, "s1")
    mac = rest.get(f"/vms/{made.id}/nics").xml.findtext("nic/mac/address") or ""
    rest.put(f"/vms/{made.id}", "<vm><name>second</name></vm>")
    nic = rest.get(f"/vms/{made.id}/nics").xml.find("nic")
    assert nic is not None
    rest.delete(f"/vms/{made.id}/nics/{nic.get('id')}")
    other = engine.make_vm("first", [], nics=0)
    rest.post(f"/vms/{other}/nics", f"<nic><name>nic1</name><mac><address>{mac}</address></mac></nic>")
    rest.preview(made.id, s1)
    engine.settle()
    assert len(rest.get(f"/vms?search={quote('name=first')}").xml) == 2
    again = rest.get(f"/vms/{made.id}/nics").xml.findtext("nic/mac/address")
    assert again not in (None, mac)


def test_lease(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1", [])
    domain = rest.get("/storagedomains").xml.findall("storage_domain")[0].get("id")
    rest.put(f"/vms/{vm.id}", f"<vm><lease><storage_domain id='{domain}'/></lease></vm>")
    current = {vm.disks[alias]: image for alias, image in rest.images(vm.id).items()}

    def leased() -> bool:
        return rest.get(f"/vms/{vm.id}").xml.find("lease/storage_domain") is not None

    for more, kept in (("", False), ("<lease/>", False), (f"<lease><storage_domain id='{domain}'/></lease>", True)):
        assert rest.preview(vm.id, s1, current, more=more).status == 200
        assert leased() is kept
        rest.undo(vm.id)
        engine.settle()
        assert leased()
    refused = rest.preview(vm.id, s1, current, more=f"<lease><storage_domain id='{UNKNOWN}'/></lease>")
    assert refused.status == 400
    assert refused.detail.count("Specified lease domain ID is not valid.") == 2


@pytest.mark.parametrize("reference", ["<disk><image_id>{image}</image_id></disk>", "<disk id='{os}'/>", "<disk id='{db}'><image_id>{image}</image_id></disk>"])
def test_references_that_do_not_exist(rest: Client, engine: Emulator, vm: Machine, reference: str) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    listed = reference.format(image=rest.images(vm.id)["os"], **vm.disks)
    reply = rest.preview(vm.id, s1, more=f"<disks>{listed}</disks>")
    assert (reply.status, reply.xml.tag) == (404, "fault")
    assert reply.detail.startswith("Entity not found: GetDiskImageByDiskAndImageIds: disk id=")


def test_refused_references(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1, other = engine.snapshot(vm.id, "s1"), machine(engine, "other", ("os2",))
    foreign = engine.snapshot(other.id, "theirs")
    image = rest.images(vm.id)["os"]
    twice = f"<disk id='{vm.disks['os']}'><image_id>{image}</image_id></disk>" * 2
    assert rest.preview(vm.id, s1, more=f"<disks>{twice}</disks>").detail == (
        f"[Cannot preview Snapshot. The following disk ids are duplicated: {vm.disks['os']}.]"
    )
    theirs = rest.snapshot_disks(other.id, foreign)["os2"][0]
    assert rest.preview(vm.id, s1, {other.disks["os2"]: theirs}).detail == (
        "[Cannot preview Snapshot. The following VM's disks snapshots are not attached to VM vm (Disk Alias/Snapshot Description):\n\n os2 ,theirs \n\n]"
    )
    assert rest.preview(vm.id, foreign).detail == "[Cannot preview Snapshot. VM's Snapshot does not exist.]"
    active = rest.active(vm.id)
    assert rest.preview(vm.id, active).detail == "[Cannot preview Active VM snapshot.]"
    assert rest.preview(vm.id, active, {vm.disks["os"]: image}).detail == "[Cannot preview Active VM snapshot.]"
    assert rest.preview(vm.id, UNKNOWN, {vm.disks["os"]: image}).status == 400


def test_a_stale_keep_is_accepted(rest: Client, engine: Emulator, vm: Machine) -> None:
    """§1.5: somebody's snapshot between reading and sending makes the current image a frozen one."""
    s1 = engine.snapshot(vm.id, "s1")
    picks = {vm.disks[alias]: image for alias, image in rest.images(vm.id).items()}
    engine.then("POST", "previewsnapshot", "snapshot", vm=vm.id, description="foreign")
    reply = rest.preview(vm.id, s1, picks)
    assert reply.status == 202
    assert reply.id.count("%2C") == 2


def test_a_disk_that_was_added_meanwhile_is_dropped(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    picks = {vm.disks[alias]: image for alias, image in rest.images(vm.id).items()}
    engine.then("POST", "previewsnapshot", "attach_disk", vm=vm.id, name="late")
    assert rest.preview(vm.id, s1, picks).status == 200
    assert "late" not in rest.images(vm.id)
    assert rest.snapshot_disks(vm.id, rest.row(vm.id, "preview"))["late"][1] == "ok"


def test_shareable_disks_and_luns_stay(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.attach_disk(vm.id, "shared", shareable=True)
    engine.attach_disk(vm.id, "lun", lun=True)
    rest.preview(vm.id, engine.snapshot(vm.id, "s1", []))
    assert rest.images(vm.id).keys() == {"shared", "lun"}
    rest.undo(vm.id)
    engine.settle()
    assert rest.images(vm.id).keys() == {"os", "db", "data", "shared", "lun"}


def test_memory(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "memory", running=True)
    s1 = rest.create(made.id, memory=True).id
    engine.settle()
    rest.post(f"/vms/{made.id}/stop")
    engine.settle()
    for last in ("undo", "start"):
        rest.preview(made.id, s1, memory=True)
        engine.settle()
        assert rest.status(made.id) == "suspended"
        assert rest.get(f"/vms/{made.id}/snapshots/{rest.active(made.id)}").xml.findtext("persist_memorystate") == "true"
        if last == "undo":
            rest.undo(made.id)
            engine.settle()
            assert rest.status(made.id) == "down"
    rest.commit(made.id)
    engine.settle()
    assert rest.status(made.id) == "suspended"
    rest.post(f"/vms/{made.id}/start")
    engine.settle()
    assert rest.status(made.id) == "up"
    assert rest.get(f"/vms/{made.id}/snapshots/{rest.active(made.id)}").xml.findtext("persist_memorystate") == "false"


def test_async_false_waits_and_shows_the_vm(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    reply = rest.preview(vm.id, s1, more="<async>false</async>")
    assert (reply.status, reply.xml.findtext("status")) == (200, "complete")
    assert reply.xml.find("vm/actions") is not None
    assert reply.xml.get("id") is None
    engine.settle()
    assert rest.undo(vm.id).status == 202


def test_restore_answers_with_the_commit(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = snap(engine, vm, "s1", "os", "db", "data")
    reply = rest.post(f"/vms/{vm.id}/snapshots/{s1}/restore", "<action><restore_memory>false</restore_memory></action>", correlation_id="both")
    assert (reply.status, reply.xml.findtext("status")) == (200, "complete")
    job, snapshot = reply.xml.find("job"), reply.xml.find("snapshot")
    assert job is not None
    assert snapshot is not None
    assert snapshot.get("id") == s1
    assert "Restoring VM Snapshot s1" in rest.get(f"/jobs/{job.get('id')}").text
    engine.settle()
    assert rest.jobs("both") == ["finished", "finished"]
    assert rest.events("both") == [46, 71, 94, 95]
    assert engine.disk_content(vm.disks["db"]) == {"0": "db 0"}


def test_what_a_preview_refuses_and_allows(rest: Client, engine: Emulator, vm: Machine) -> None:
    rest.preview(vm.id, engine.snapshot(vm.id, "s1"))
    engine.settle()
    domains = rest.get("/storagedomains").xml.findall("storage_domain")
    disk = vm.disks["os"]
    move = f"<action><storage_domain id='{domains[1].get('id')}'/></action>"
    refused = [
        rest.put(f"/vms/{vm.id}/diskattachments/{disk}", "<disk_attachment><active>false</active></disk_attachment>"),
        rest.delete(f"/disks/{disk}"),
        rest.post(f"/disks/{disk}/move", move),
        rest.delete(f"/vms/{vm.id}/snapshots/{rest.active(vm.id)}"),
        rest.post(f"/vms/{vm.id}/backups", f"<backup><disks><disk id='{disk}'/></disks></backup>"),
    ]
    assert [reply.status for reply in refused] == [409] * 5
    assert all(reply.detail.endswith("VM is previewing a Snapshot.]") for reply in refused)
    assert "already configured in a snapshot" in rest.delete(f"/vms/{vm.id}/diskattachments/{disk}").detail
    assert rest.put(f"/disks/{disk}", "<disk><name>renamed</name></disk>").status == 200
    assert rest.put(f"/vms/{vm.id}", "<vm><description>edited</description></vm>").status == 200
    assert rest.post("/templates", f"<template><name>t</name><vm id='{vm.id}'/></template>").status == 201
    engine.settle()
    assert rest.delete(f"/vms/{vm.id}").status == 200
    engine.settle()
    assert (rest.get(f"/vms/{vm.id}").status, engine.volumes()) == (404, set())
