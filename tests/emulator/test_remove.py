# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing snapshots and single disks (§10)."""

from __future__ import annotations

import pytest

from tests.emulator.client import Client
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator


def test_takeover_merges_contents(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1", [vm.disks["os"]])
    engine.write(vm.disks["os"], "1", "between")
    s2 = engine.snapshot(vm.id, "s2", [vm.disks["os"]])
    engine.write(vm.disks["os"], "0", "now")
    i1 = rest.snapshot_disks(vm.id, s1)["os"][0]
    rest.delete(f"/vms/{vm.id}/snapshots/{s1}")
    engine.settle()
    assert rest.snapshot_disks(vm.id, s2)["os"] == (i1, "ok")
    assert engine.image_content(i1) == {"0": "os 0", "1": "between"}
    rest.delete(f"/vms/{vm.id}/snapshots/{s2}")
    engine.settle()
    assert rest.images(vm.id)["os"] == i1
    assert engine.disk_content(vm.disks["os"]) == {"0": "now", "1": "between"}
    assert len(engine.volumes(vm.id)) == 3


def test_one_disk_and_then_the_row(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1", [vm.disks["os"], vm.disks["db"]])
    engine.hold()
    path = f"/vms/{vm.id}/snapshots/{s1}/disks/"
    assert rest.delete(path + vm.disks["os"], correlation_id="d").status == 200
    assert {row[2] for row in rest.rows(vm.id)} == {"ok"}
    again = rest.delete(path + vm.disks["os"])
    assert again.detail == "[Cannot remove Disk Snapshot: The following disks are locked: os, os. Please try again in a few minutes.]"
    assert rest.delete(path + vm.disks["db"]).status == 200
    engine.settle()
    assert rest.events("d") == [373, 72, 375]
    assert rest.snapshot_disks(vm.id, s1) == {}
    gone = rest.delete(path + vm.disks["os"])
    assert (gone.status, gone.text) == (404, "")
    assert rest.delete(f"/vms/{vm.id}/snapshots/{s1}", correlation_id="r").status == 200
    assert len(rest.rows(vm.id)) == 1
    engine.settle()
    assert "'<UNKNOWN>'" in rest.get("/events?search=correlation_id%3Dr").texts("event/description")[0]


@pytest.mark.parametrize("path", ["/disks/{disk}/disksnapshots/{image}", "/storagedomains/{domain}/disksnapshots/{image}"])
def test_the_other_two_paths(rest: Client, engine: Emulator, vm: Machine, path: str) -> None:
    s1 = engine.snapshot(vm.id, "s1", [vm.disks["os"]])
    image, domain = rest.snapshot_disks(vm.id, s1)["os"][0], rest.get("/storagedomains").xml[0].get("id")
    assert rest.delete(path.format(disk=vm.disks["os"], image=image, domain=domain)).status == 200
    engine.settle()
    assert rest.snapshot_disks(vm.id, s1) == {}
    active = rest.images(vm.id)["os"]
    reply = rest.delete(path.format(disk=vm.disks["os"], image=active, domain=domain))
    assert (reply.status, reply.detail) == (400, f"[Cannot remove Disk Snapshot. The following disk snapshot(s) is active: {active} (os).]")


def test_refused_rows(rest: Client, engine: Emulator, vm: Machine) -> None:
    active = rest.delete(f"/vms/{vm.id}/snapshots/{rest.active(vm.id)}")
    assert active.detail == "[Cannot remove Snapshot. The operation is only allowed for regular snapshots.]"
    engine.hold()
    lost = rest.delete(f"/vms/{vm.id}/snapshots/{rest.active(vm.id)}?async=true", correlation_id="lost")
    assert (lost.status, lost.text, rest.jobs("lost")) == (202, "", [])


def test_running_with_an_unplugged_disk(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "up", ("os", "off"), running=True)
    s1 = engine.snapshot(made.id, "s1")
    rest.put(f"/vms/{made.id}/diskattachments/{made.disks['off']}", "<disk_attachment><active>false</active></disk_attachment>")
    engine.settle()
    whole = rest.delete(f"/vms/{made.id}/snapshots/{s1}")
    assert whole.detail == "[Cannot remove Snapshot. The following disks are either unplugged or unattached: \n off]"
    endless = rest.delete(f"/vms/{made.id}/snapshots/{s1}/disks/{made.disks['off']}", correlation_id="endless")
    assert endless.status == 200
    engine.hold()
    for _time in range(50):
        engine.step()
    assert rest.jobs("endless") == ["started"]
    assert rest.get(f"/disks/{made.disks['off']}").xml.findtext("status") == "locked"
    rest.post(f"/vms/{made.id}/stop")
    engine.settle()
    assert (rest.jobs("endless"), rest.events("endless")) == (["failed"], [373, 376])
    assert rest.snapshot_disks(made.id, s1)["off"][1] == "illegal"
    refused = rest.delete(f"/vms/{made.id}/snapshots/{s1}")
    assert refused.status == 500
    assert refused.detail == "[Cannot remove Snapshot. The following attached disks are in ILLEGAL status: off - please remove them and try again.]"


def test_deleting_a_disk_leaves_no_trace(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    assert rest.delete(f"/disks/{vm.disks['db']}").status == 200
    engine.settle()
    assert sorted(rest.snapshot_disks(vm.id, s1)) == ["data", "os"]
    assert rest.preview(vm.id, s1).status == 202


def test_a_single_image_can_be_detached(rest: Client, engine: Emulator, vm: Machine) -> None:
    assert rest.delete(f"/vms/{vm.id}/diskattachments/{vm.disks['data']}").status == 200
    assert rest.get(f"/disks/{vm.disks['data']}").status == 200
    body = f"<disk_attachment><bootable>false</bootable><interface>virtio</interface><active>true</active><disk id='{vm.disks['data']}'/></disk_attachment>"
    assert rest.post(f"/vms/{vm.id}/diskattachments", body).status == 201
    engine.settle()
    assert set(rest.images(vm.id)) == {"os", "db", "data"}
    second_boot = rest.put(f"/vms/{vm.id}/diskattachments/{vm.disks['data']}", "<disk_attachment><bootable>true</bootable></disk_attachment>")
    assert second_boot.detail == "[Cannot edit Virtual Disk. Disk os in VM vm is already marked as boot.]"
