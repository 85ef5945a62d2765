# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating snapshots (§5, §11)."""

from __future__ import annotations

import uuid

import pytest

from tests.emulator.client import Client
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator


def post(rest: Client, vm: str, inner: str) -> tuple[int, str]:
    reply = rest.post(f"/vms/{vm}/snapshots", f"<snapshot><description>x</description><persist_memorystate>false</persist_memorystate>{inner}</snapshot>")
    return reply.status, reply.detail if reply.status >= 400 and "xml" in reply.headers["Content-Type"] else reply.id


def test_ids_are_swapped_and_other_disks_only_labelled(rest: Client, engine: Emulator, vm: Machine) -> None:
    x, before = rest.active(vm.id), rest.images(vm.id)
    made = rest.create(vm.id, "os only", [vm.disks["os"]])
    assert made.id == x
    engine.settle()
    after = rest.images(vm.id)
    assert rest.active(vm.id) != x
    assert after["os"] != before["os"]
    assert (after["db"], after["data"]) == (before["db"], before["data"])
    assert rest.snapshot_disks(vm.id, x) == {"os": (before["os"], "ok")}
    assert rest.snapshot_disks(vm.id, rest.active(vm.id)) == {alias: (image, "ok") for alias, image in after.items()}


def test_contents_are_frozen(rest: Client, engine: Emulator, vm: Machine) -> None:
    x = rest.create(vm.id).id
    engine.settle()
    engine.write(vm.disks["os"], "0", "os 1")
    engine.write(vm.disks["os"], "1", "new")
    assert engine.disk_content(vm.disks["os"]) == {"0": "os 1", "1": "new"}
    assert engine.image_content(rest.snapshot_disks(vm.id, x)["os"][0]) == {"0": "os 0"}


@pytest.mark.parametrize(
    ("inner", "held"),
    [
        ("", ["data", "db", "os"]),
        ("<disks><disk id='{os}'/></disks>", ["data", "db", "os"]),
        ("<disk_attachments><disk_attachment id='{os}'/></disk_attachments>", []),
        ("<disk_attachments><disk_attachment id='{os}'><disk id='{db}'/></disk_attachment></disk_attachments>", ["db"]),
        ("<disk_attachments><disk_attachment/><disk_attachment><disk id='{os}'/></disk_attachment></disk_attachments>", ["os"]),
    ],
)
def test_what_selects_disks(rest: Client, engine: Emulator, vm: Machine, inner: str, held: list[str]) -> None:
    status, made = post(rest, vm.id, inner.format(**vm.disks))
    engine.settle()
    assert status == 201
    assert sorted(rest.snapshot_disks(vm.id, made)) == held


@pytest.mark.parametrize("inner", ["<disk/>", "<disk><name>os</name></disk>"])
def test_a_disk_without_id_is_a_crash(rest: Client, vm: Machine, inner: str) -> None:
    assert post(rest, vm.id, f"<disk_attachments><disk_attachment>{inner}</disk_attachment></disk_attachments>")[0] == 500
    assert len(rest.rows(vm.id)) == 1


def test_shareable_disks_are_skipped_or_refused(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "mixed", ("os",))
    shared, lun = engine.attach_disk(made.id, "shared", shareable=True), engine.attach_disk(made.id, "lun", lun=True)
    reply = rest.create(made.id, disks=[shared])
    assert (reply.status, reply.detail) == (400, "[Cannot create Snapshot. Snapshot is not allowed for the following disk(s): shared.]")
    everything = rest.create(made.id).id
    engine.settle()
    assert list(rest.snapshot_disks(made.id, everything)) == ["os"]
    assert rest.get(f"/disks/{lun}").xml.findtext("storage_type") == "lun"


def test_image_ids_of_the_request(rest: Client, engine: Emulator, vm: Machine) -> None:
    wanted = str(uuid.uuid4())
    disk = "<disk_attachments><disk_attachment><disk id='{}'><image_id>{}</image_id></disk></disk_attachment></disk_attachments>"
    assert post(rest, vm.id, disk.format(vm.disks["os"], wanted))[0] == 201
    engine.settle()
    assert rest.images(vm.id)["os"] == wanted
    assert post(rest, vm.id, disk.format(vm.disks["os"], wanted)) == (409, f"[Cannot create Snapshot. Image IDs \t{wanted} are already used by a snapshot.]")
    assert post(rest, vm.id, disk.format(vm.disks["db"], wanted)) == (400, "[]")


def test_long_description(rest: Client, vm: Machine) -> None:
    reply = rest.create(vm.id, "x" * 4001)
    assert reply.detail == "[Snapshot description must not exceed 4000 characters, Attribute: description]"


def test_unplugged_disks_belong_to_a_snapshot_too(rest: Client, engine: Emulator) -> None:
    made = engine.make_vm("half", ["os", {"name": "off", "plugged": False}], running=True)
    x = rest.create(made).id
    engine.settle()
    assert sorted(rest.snapshot_disks(made, x)) == ["off", "os"]


def test_memory_of_a_running_vm(rest: Client, engine: Emulator) -> None:
    running = machine(engine, "up", running=True)
    volumes = engine.volumes(running.id)
    reply = rest.post(f"/vms/{running.id}/snapshots", "<snapshot><description>flag absent</description></snapshot>")
    assert reply.xml.findtext("persist_memorystate") == "true"
    engine.settle()
    assert len(engine.volumes(running.id) - volumes) == 3 + 2
    assert rest.delete(f"/vms/{running.id}/snapshots/{reply.id}").status == 200
    engine.settle()
    assert engine.volumes(running.id) == volumes


def test_no_memory_of_a_stopped_vm(rest: Client, engine: Emulator, vm: Machine) -> None:
    assert rest.create(vm.id, memory=True).xml.findtext("persist_memorystate") == "false"


@pytest.mark.parametrize("again", ["create", "preview", "remove", "start", "delete"])
def test_while_it_runs_the_vm_is_busy(rest: Client, engine: Emulator, vm: Machine, again: str) -> None:
    old = engine.snapshot(vm.id, "old")
    engine.hold()
    rest.create(vm.id, disks=[vm.disks["os"]])
    requests = {
        "create": lambda: rest.create(vm.id),
        "preview": lambda: rest.preview(vm.id, old),
        "remove": lambda: rest.delete(f"/vms/{vm.id}/snapshots/{old}"),
        "start": lambda: rest.post(f"/vms/{vm.id}/start"),
        "delete": lambda: rest.delete(f"/vms/{vm.id}"),
    }
    reply = requests[again]()
    assert reply.status == 409
    assert reply.detail.endswith("Snapshot is currently being created for VM vm.]")


def test_a_locked_disk_that_is_left_out_does_not_block(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.hold()
    rest.put(f"/vms/{vm.id}/diskattachments/{vm.disks['db']}", "<disk_attachment><pass_discard>true</pass_discard></disk_attachment>")
    refused = rest.create(vm.id, disks=[vm.disks["db"]])
    assert refused.detail == "[Cannot create Snapshot: The following disks are locked: db. Please try again in a few minutes.]"
    assert rest.create(vm.id, disks=[vm.disks["os"]]).status == 201


@pytest.mark.parametrize(("verb", "words"), [("suspend", "Suspended"), ("stop", None)])
def test_status_decides(rest: Client, engine: Emulator, verb: str, words: str | None) -> None:
    running = machine(engine, "up", running=True)
    rest.post(f"/vms/{running.id}/{verb}")
    engine.settle()
    reply = rest.create(running.id)
    if words is None:
        assert reply.status == 201
    else:
        assert reply.detail == f"[Cannot create Snapshot because the VM is in {words} status.]"
