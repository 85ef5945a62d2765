# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine answers in each situation: tables of requests, with the texts of refusals, jobs and events."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.emulator.client import Client
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator

UNKNOWN = "11111111-2222-3333-4444-555555555555"
GIB = 1 << 30
HOST = "fakehost"
BY = "admin@internal-authz"


@dataclass
class Scene:
    """A VM with the disks os (bootable), db and data, and a snapshot of os and db; brought into a state. Beside it a disk without a VM."""

    rest: Client
    engine: Emulator
    vm: Machine
    names: dict[str, str]

    def ask(self, request: str, body: str = "", **headers: str) -> tuple[int, str]:
        method, path = request.split()
        reply = self.rest.ask(method, path.format(**self.names), body.format(**self.names) if method != "GET" and body else None, **headers)
        is_fault = reply.status >= 400 and "xml" in reply.headers.get("Content-Type", "")
        return reply.status, reply.detail if is_fault else ""


STATES = {"up": ["start"], "suspended": ["start", "suspend"], "down": []}


@pytest.fixture
def scene(rest: Client, engine: Emulator, vm: Machine) -> Scene:
    s1 = engine.snapshot(vm.id, "s1", [vm.disks["os"], vm.disks["db"]])
    other = machine(engine, "other", ("theirs",))
    floating = rest.post("/disks", "<disk><name>free</name><provisioned_size>1</provisioned_size><format>cow</format></disk>").id
    domains = {row.findtext("name") or "": row.get("id") or "" for row in rest.get("/storagedomains").xml}
    nic = rest.get(f"/vms/{vm.id}/nics").xml[0].get("id") or ""
    names = {"vm": vm.id, "nic": nic, "s1": s1, "active": rest.active(vm.id), "other": other.id, "theirs": other.disks["theirs"], "free": floating}
    return Scene(rest, engine, vm, {**names, **vm.disks, **domains})


def bring(scene: Scene, state: str) -> None:
    if state == "preview":
        assert scene.rest.preview(scene.vm.id, scene.names["s1"]).status == 202
        scene.engine.settle()
    for verb in STATES.get(state, ()):
        assert scene.rest.post(f"/vms/{scene.vm.id}/{verb}").status == 200
        scene.engine.settle()


ADD, EDIT_OS, EDIT_DB = "POST /vms/{vm}/diskattachments", "PUT /vms/{vm}/diskattachments/{os}", "PUT /vms/{vm}/diskattachments/{db}"
ATTACH = "<disk_attachment><bootable>false</bootable><interface>virtio_scsi</interface><disk id='{}'/></disk_attachment>"
NEW = ATTACH.replace(" id='{}'/", "><provisioned_size>1</provisioned_size><format>cow</format></disk")
EDIT = "<disk_attachment>{}</disk_attachment>"
TO_SD1 = "<action><storage_domain id='{sd1}'/></action>"
TEMPLATE = "<template><name>t</name><vm id='{vm}'/></template>"
SIZE = "<disk><provisioned_size>{}</provisioned_size></disk>"
NO_BOOT_DISK = "[Cannot run VM without at least one bootable disk.\nAlternatives:\n- Create a disk for this VM, and rerun the VM.\n"


@pytest.mark.parametrize(
    ("state", "request_line", "body", "answer"),
    [
        # Power: a VM that is down is skipped, other states are refused in each command's own words.
        ("down", "POST /vms/{vm}/stop", "<action/>", (200, "")),
        ("down", "POST /vms/{vm}/shutdown", "<action/>", (200, "")),
        ("down", "POST /vms/{vm}/suspend", "<action/>", (409, "hibernate VM. VM is not up.")),
        ("down", "POST /vms/{vm}/reboot", "<action/>", (409, "restart VM because the VM is in Down status.")),
        ("down", "POST /vms/{vm}/reset", "<action/>", (409, "reset VM because the VM is in Down status.")),
        ("up", "POST /vms/{vm}/start", "<action/>", (409, "run VM because the VM is in Up status.")),
        ("up", "POST /vms/{vm}/reset", "<action/>", (200, "")),
        ("suspended", "POST /vms/{vm}/shutdown", "<action/>", (200, "")),
        ("suspended", "POST /vms/{vm}/suspend", "<action/>", (409, "hibernate VM. VM is not up.")),
        ("suspended", "DELETE /vms/{vm}", "", (409, "remove VM that its state is not down.\n-Please stop the VM first.")),
        ("suspended", "DELETE /vms/{vm}/snapshots/{s1}/disks/{db}", "", (409, "remove Disk Snapshot. VM vm must be in status Down, Up or Paused.")),
        ("down", "DELETE /vms/{vm}?detach_only=true", "", (409, "remove VM with detaching disks, snapshots exist.")),
        ("up", "POST /templates", TEMPLATE, (409, "add Template. VM is locked or still running, try again once VM is in the Down state.")),
        # Disks
        ("down", "DELETE /vms/{vm}/diskattachments/{theirs}", "", (400, "detach Virtual Disk. The specified disk is not attached to the VM vm.")),
        ("suspended", "DELETE /vms/{vm}/diskattachments/{data}", "", (409, "detach Virtual Disk because the VM is in Suspended status.")),
        ("up", "DELETE /vms/{vm}/diskattachments/{data}", "", (200, "")),
        ("up", "DELETE /vms/{vm}/diskattachments/{data}?detach_only=false", "", (409, "remove Virtual Disk. At least one of the VMs is not down.")),
        ("down", "DELETE /vms/" + UNKNOWN + "/diskattachments/{data}", "", (400, "detach Virtual Disk. VM is not found.")),
        ("down", ADD, ATTACH.format(UNKNOWN), (400, "attach Virtual Disk. The specified disk does not exist.")),
        ("down", ADD, ATTACH.format("{theirs}"), (409, "attach Virtual Disk. The disk is not shareable and is already attached to a VM.")),
        ("down", ADD, ATTACH.format("{os}"), (409, "attach Virtual Disk. The disk is already attached to VM.")),
        ("suspended", ADD, ATTACH.format("{free}"), (409, "attach Virtual Disk because the VM is in Suspended status.")),
        ("suspended", EDIT_DB, EDIT.format("<active>false</active>"), (409, "hot unplug Virtual Disk because the VM is in Suspended status.")),
        ("up", EDIT_DB, EDIT.format("<interface>virtio_scsi</interface>"), (200, "")),
        ("up", EDIT_DB, EDIT.format("<interface>virtio</interface>"), (409, "edit Virtual Disk. At least one of the VMs is not down.")),
        ("down", "PUT /disks/{os}", SIZE.format(GIB // 2), (400, "edit Virtual Disk. New disk size must be larger than the current disk size.")),
        ("down", "POST /disks/{os}/move", TO_SD1, (400, "move Virtual Disk. The source and target storage domains are the same.")),
        ("down", "DELETE /vms/{vm}/snapshots/{s1}/disks/{data}", "", (404, "")),
        ("down", "DELETE /vms/" + UNKNOWN + "/snapshots/{s1}/disks/{db}", "", (200, "")),
        # In a preview
        ("preview", EDIT_OS, EDIT.format("<active>false</active>"), (409, "hot unplug Virtual Disk. VM is previewing a Snapshot.")),
        ("preview", EDIT_OS, EDIT.format("<active>true</active>"), (409, "edit Virtual Disk. VM is previewing a Snapshot.")),
        ("preview", EDIT_OS, EDIT.format("<disk><name>x</name></disk>"), (409, "edit Virtual Disk. VM is previewing a Snapshot.")),
        ("preview", "PUT /disks/{os}", "<disk><name>x</name></disk>", (200, "")),
        ("preview", ADD, ATTACH.format("{free}"), (409, "attach Virtual Disk. VM is previewing a Snapshot.")),
        ("preview", "POST /disks/{os}/move", TO_SD1, (400, "move Virtual Disk. The source and target storage domains are the same.")),
        ("preview", "POST /disks/{os}/copy", TO_SD1, (409, "copy Virtual Disk. VM is previewing a Snapshot.")),
        ("preview", "POST /vms/{vm}/clone", "<action><vm><name>n</name></vm></action>", (409, "add VM. VM is previewing a Snapshot.")),
        ("preview", "POST /vms", "<vm><name>n</name><snapshots><snapshot id='{s1}'/></snapshots></vm>", (409, "add VM. VM is previewing a Snapshot.")),
        # Others
        ("down", "POST /disks/{os}/copy", TO_SD1, (200, "")),
        ("up", "POST /vms/{vm}/clone", "<action><vm><name>n</name></vm></action>", (200, "")),
        ("down", "POST /vms", "<vm><name>n</name><snapshots><snapshot id='{active}'/></snapshots></vm>",
            (409, "add VM. The operation is only allowed for regular snapshots.")),
        # Addresses
        ("down", "GET /events;from=999999", "", (200, "")),
        ("down", "GET /vms/{vm}/snapshots/{s1}/nics/{nic}", "", (200, "")),
        ("down", "GET /vms/{vm}/snapshots/{s1}/nics/{vm}", "", (404, "")),
        ("down", "GET /vms/{vm}/snapshots/{s1}/cdroms/00000000-0000-0000-0000-000000000000", "", (200, "")),
    ],
)  # fmt: skip
def test_answers(scene: Scene, state: str, request_line: str, body: str, answer: tuple[int, str]) -> None:
    bring(scene, state)
    status, text = answer
    assert scene.ask(request_line, body) == (status, f"[Cannot {text}]" if text else "")


@pytest.mark.parametrize(
    ("state", "request_line", "body", "job", "events"),
    [
        ("down", "POST /vms/{vm}/start", "<action/>", "Launching VM vm",
            [f"153 VM vm was started by {BY} (Host: {HOST}).", f"32 VM vm started on Host {HOST}"]),
        ("up", "POST /vms/{vm}/stop", "<action/>", "Stopping VM vm", [f"33 VM vm powered off by {BY} (Host: {HOST})."]),
        ("down", "POST /vms/{vm}/stop", "<action/>", "Stopping VM vm", [f"254 VM vm is already Down, Stop VM was skipped. User: {BY}."]),
        ("up", "POST /vms/{vm}/shutdown", "<action/>", "Shutting down VM vm", [f"73 VM shutdown initiated by {BY} on VM vm (Host: {HOST})."]),
        ("suspended", "POST /vms/{vm}/stop", "<action/>", "Stopping VM vm", [f"111 Suspended VM vm has had its save state cleared by {BY}."]),
        ("up", "POST /vms/{vm}/suspend", "<action/>", "Performing Hibernate action on VM vm",
            [f"501 Suspending VM vm was initiated by User {BY} (Host: {HOST})."]),
        ("up", "POST /vms/{vm}/reboot", "<action/>", "Rebooting VM vm", [f"157 VM vm is rebooting. Rebooted by: {BY}"]),
        ("up", "POST /vms/{vm}/reset", "<action/>", "Resetting VM vm", [f"221 VM vm is resetting. Reset by: {BY}"]),
        ("up", "POST /vms/{vm}/freezefilesystems", "<action/>", "FreezeVm", [f"10769 Failed to freeze guest filesystems on vm (Host: {HOST}, User: {BY})."]),
        ("down", "PUT /vms/{vm}", "<vm><comment>c</comment></vm>", "Editing VM vm properties", [f"35 VM vm configuration was updated by {BY}."]),
        ("down", "DELETE /vms/{vm}", "", "Removing VM vm from system", [f"113 VM vm was successfully removed by {BY}."]),
        ("down", "POST /vms", "<vm><name>n</name></vm>", "Creating VM n in Cluster Default", [f"34 VM n was created by {BY}."]),
        ("down", "POST /templates", TEMPLATE, "Creating VM Template t in Data Center Default",
            [f"48 Creation of Template t from VM vm was initiated by {BY}.", "51 Creation of Template t from VM vm has been completed."]),
        ("down", "POST /vms", "<vm><name>n</name><snapshots><snapshot id='{s1}'/></snapshots></vm>", "Creating VM n from Snapshot s1 in Cluster Default", []),
        ("down", "POST /vms/{vm}/clone", "<action><vm><name>n</name></vm></action>", "Creating VM n as a clone of VM vm", []),
        ("down", "POST /disks/{os}/copy", TO_SD1, "Copying Disk os from sd1 to sd1",
            [f"2004 User {BY} is copying disk os to domain sd1.", f"2006 User {BY} finished copying disk os to domain sd1."]),
        ("down", "DELETE /disks/{data}", "", "Removing Disk data",
            [f"2042 Disk data associated to the VMs vm was successfully removed from domain sd1 (User {BY})."]),
        ("down", "DELETE /disks/{free}", "", "Removing Disk free", [f"2014 Disk free was successfully removed from domain sd1 (User {BY})."]),
        ("down", "DELETE /vms/{vm}/diskattachments/{data}?detach_only=false", "", "Removing Disk data",
            [f"2042 Disk data associated to the VMs vm was successfully removed from domain sd1 (User {BY})."]),
        ("down", "DELETE /vms/{vm}/diskattachments/{data}", "", None, [f"2018 Disk data was successfully detached from VM vm by {BY}."]),
        ("down", "DELETE /vms/{vm}/diskattachments/{os}", "", None, []),
        ("down", ADD, ATTACH.format("{free}"), None, [f"2016 Disk free was successfully attached to VM vm by {BY}."]),
        ("down", ADD, NEW, "Adding Disk vm_Disk4",
            [f"78 Add-Disk operation of vm_Disk4 was initiated on VM vm by {BY}.", "97 The disk vm_Disk4 was successfully added to VM vm."]),
        ("down", EDIT_DB, EDIT.format("<active>false</active>"), "Updating Disk db properties for VMs: vm",
            [f"2002 VM vm disk db was unplugged by {BY}.", f"88 VM vm db disk was updated by {BY}."]),
        ("down", "PUT /disks/{db}", "<disk><description>d</description></disk>", "Updating Disk db properties for VMs: vm",
            [f"86 Disk db was updated by {BY}."]),
    ],
)  # fmt: skip
def test_jobs_and_events(scene: Scene, state: str, request_line: str, body: str, job: str | None, events: list[str]) -> None:
    """None: a command that the engine does not monitor leaves no job."""
    bring(scene, state)
    scene.ask(request_line, body, correlation_id="mine")
    scene.engine.settle()
    assert scene.rest.get("/jobs?search=correlation_id%3Dmine").texts("job/description") == ([job] if job else [])
    found = scene.rest.get("/events?search=correlation_id%3Dmine").xml.findall("event")
    assert [f"{event.findtext('code')} {event.findtext('description')}" for event in reversed(found)] == events


def test_a_vm_without_disks_does_not_start(rest: Client, engine: Emulator, vm: Machine) -> None:
    """Nor does one that a preview left without any."""
    rest.preview(vm.id, engine.snapshot(vm.id, "nothing", []))
    for made in (vm.id, engine.make_vm("diskless")):
        reply = rest.post(f"/vms/{made}/start")
        assert (reply.status, reply.detail[: len(NO_BOOT_DISK)]) == (409, NO_BOOT_DISK)
    rest.put(f"/vms/{vm.id}", "<vm><os><boot><devices><device>hd</device><device>network</device></devices></boot></os></vm>")
    assert rest.post(f"/vms/{vm.id}/start").status == 200


@pytest.mark.parametrize(
    ("chosen", "detail"),
    [
        (["os", UNKNOWN, UNKNOWN.replace("1", "9")], f"The following disk(s) ID(s) does not exist: {UNKNOWN}, {UNKNOWN.replace('1', '9')}."),
        (["os", "theirs", "free"], "The following disk(s) are not attached to the VM vm: "),
        (["elsewhere"], "The following disk(s) are not attached to the VM vm: elsewhere."),
    ],
)
def test_every_wrong_disk_of_a_create_is_named(scene: Scene, chosen: list[str], detail: str) -> None:
    scene.names["elsewhere"] = scene.engine.attach_disk(scene.names["other"], "elsewhere", shareable=True)
    reply = scene.rest.create(scene.vm.id, disks=[scene.names.get(name, name) for name in chosen])
    assert (reply.status, reply.detail[: len(detail) + 25]) == (400, f"[Cannot create Snapshot. {detail}"[: len(detail) + 25])
    assert all(alias in reply.detail for alias in ("theirs", "free")) or "free" not in chosen


def test_entries_without_an_image(rest: Client, engine: Emulator, vm: Machine) -> None:
    """Their removal finds no VM, in any state; a disk of ACTIVE is refused as active, in a preview too."""
    s1, s2 = engine.snapshot(vm.id, "s1", [vm.disks["os"]]), engine.snapshot(vm.id, "s2", [vm.disks["os"]])
    source = engine.snapshot(vm.id, "source", [])
    image = rest.snapshot_disks(vm.id, s1)["os"][0]
    picks = {vm.disks[alias]: current for alias, current in rest.images(vm.id).items()} | {vm.disks["os"]: image}
    rest.preview(vm.id, source, picks)
    engine.settle()
    active = rest.delete(f"/vms/{vm.id}/snapshots/{rest.active(vm.id)}/disks/{vm.disks['db']}")
    assert (active.status, "is active" in active.detail) == (400, True)
    rest.commit(vm.id)
    engine.settle()
    gone = rest.delete(f"/vms/{vm.id}/snapshots/{s2}/disks/{vm.disks['os']}")
    assert (gone.status, gone.detail) == (400, "[Cannot remove Disk Snapshot. VM is not found.]")


def test_a_lease_must_be_one_of_the_vm_or_its_snapshots(rest: Client, engine: Emulator, vm: Machine) -> None:
    """Asked before anything else, the VM's status too."""
    s1 = engine.snapshot(vm.id, "s1", [])
    domain = rest.get("/storagedomains").xml[0].get("id")
    lease = f"<lease><storage_domain id='{domain}'/></lease>"
    rest.post(f"/vms/{vm.id}/start")
    engine.settle()
    assert rest.preview(vm.id, s1, more=lease).status == 400
    rest.put(f"/vms/{vm.id}", f"<vm>{lease}</vm>")
    assert rest.preview(vm.id, s1, more=lease).detail == "[Cannot preview Snapshot. At least one of the VMs is not down.]"


def test_layers_are_cow_over_a_raw_disk(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "raw", ())
    disk = "<disk><name>d</name><provisioned_size>1</provisioned_size><format>raw</format><sparse>false</sparse></disk>"
    d = rest.post(f"/vms/{made.id}/diskattachments", f"<disk_attachment><bootable>true</bootable><interface>virtio</interface>{disk}</disk_attachment>").id
    engine.settle()
    s1 = engine.snapshot(made.id, "s1")

    def shown(path: str) -> list[tuple[str | None, str | None]]:
        return [(found.findtext("format"), found.findtext("sparse")) for found in rest.get(path).xml.iter() if found.find("format") is not None]

    assert shown(f"/vms/{made.id}/snapshots/{s1}/disks") == [("raw", "false")]
    assert shown(f"/disks/{d}") == [("cow", "true")]
    rest.preview(made.id, s1)
    engine.settle()
    assert shown(f"/disks/{d}") == [("cow", "true")]
    rest.undo(made.id)
    engine.settle()
    rest.delete(f"/vms/{made.id}/snapshots/{s1}")
    engine.settle()
    assert shown(f"/disks/{d}") == [("raw", "false")]


def test_parameters_in_the_path(rest: Client, engine: Emulator, vm: Machine) -> None:
    """The root's own links have them: ``/events;from={event_id}?search={query}``."""
    rest.create(vm.id, disks=[], correlation_id="c")
    engine.settle()
    first = rest.get("/events?search=correlation_id%3Dc").xml.findall("event")[-1].get("id")
    assert rest.get(f"/events;from={first}?search=correlation_id%3Dc").texts("event/code") == ["68"]
    assert len(rest.get("/vms;max=0").xml) == 0
    for parameter, count in (("include_active", 1), ("include_active=true", 1), ("include_active=x", 0)):
        assert len(rest.get(f"/disks/{vm.disks['os']}/disksnapshots?{parameter}").xml) == count


@pytest.mark.parametrize(("accept", "status"), [("text/plain", 406), ("*/*", 200), (None, 200), ("text/html, application/*;q=0.5", 200)])
def test_forms_that_can_be_asked_for(rest: Client, accept: str | None, status: int) -> None:
    assert rest.get("/clusters", accept=accept).status == status


def test_names_of_failures(rest: Client, engine: Emulator) -> None:
    """Texts that only failures show."""
    made = machine(engine, "vm", ("os",), running=True)
    engine.fault("create.live.verb")
    engine.fault("create.live.job_after")
    for name in ("refused", "doubtful"):
        rest.create(made.id, name, correlation_id=name)
        engine.settle()
    assert rest.get("/events?search=correlation_id%3Drefused").texts("event/description")[1] == (
        "Failed to create live snapshot 'refused' for VM 'vm'. VM restart is recommended. Note that using the created snapshot might cause data inconsistency."
    )
    assert f"Snapshot doubtful for VM vm (User: {BY}), may be inconsistent as there was a failure during creation." in (
        rest.get("/events?search=correlation_id%3Ddoubtful").texts("event/description")
    )
    rest.post(f"/vms/{made.id}/stop")
    engine.settle()
    rest.preview(made.id, rest.row(made.id, "regular"))
    engine.settle()
    for verb in ("commit", "undo"):
        engine.fault(f"{verb}.verb")
        rest.post(f"/vms/{made.id}/{verb}snapshot", correlation_id=verb)
        engine.settle()
        assert f"Failed to {verb} Snapshot-Preview for VM vm." in rest.get(f"/events?search=correlation_id%3D{verb}").texts("event/description")


def test_a_name_twice_in_one_vm(rest: Client, vm: Machine) -> None:
    reply = rest.post(f"/vms/{vm.id}/nics", "<nic><name>nic1</name></nic>")
    assert (reply.status, reply.detail) == (409, "[Network interface name is already in use]")


def test_names_of_collections(rest: Client, engine: Emulator, vm: Machine) -> None:
    """An address has no underscores, its element has."""
    assert rest.get(f"/vms/{vm.id}/hostdevices").xml.tag == "host_devices"
    assert rest.get(f"/vms/{vm.id}?follow=graphics_consoles").xml.find("graphics_consoles") is not None
    rest.create(vm.id, disks=[], correlation_id="c")
    engine.settle()
    job = rest.get("/jobs?search=correlation_id%3Dc").xml[0].get("id")
    step = rest.get(f"/jobs/{job}/steps").xml[0]
    assert rest.get(f"/jobs/{job}/steps/{step.get('id')}").xml.findtext("type") == step.findtext("type")


def test_the_memory_of_a_suspended_vm_ends_with_a_stop(rest: Client, engine: Emulator, vm: Machine) -> None:
    volumes = engine.volumes(vm.id)
    for verb in ("start", "suspend", "stop"):
        rest.post(f"/vms/{vm.id}/{verb}")
        engine.settle()
    assert rest.get(f"/vms/{vm.id}/snapshots/{rest.active(vm.id)}").xml.findtext("persist_memorystate") == "false"
    assert (rest.status(vm.id), engine.volumes(vm.id)) == ("down", volumes)


def test_one_step_per_volume_below_the_executing_one(rest: Client, engine: Emulator, vm: Machine) -> None:
    rest.create(vm.id, correlation_id="c")
    engine.settle()
    job = rest.get("/jobs?search=correlation_id%3Dc").xml[0].get("id")
    steps = rest.get(f"/jobs/{job}/steps").xml.findall("step")
    assert [(step.findtext("type"), step.findtext("number")) for step in steps] == [
        *(("validating", "0"), ("executing", "1"), ("finalizing", "2")),
        *(("unknown", str(number)) for number in range(3)),
    ]
    assert [parent.get("id") for step in steps for parent in step.findall("parent_step")] == [steps[1].get("id")] * 3
