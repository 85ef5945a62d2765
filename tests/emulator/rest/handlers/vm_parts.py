# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs, disk attachments and the other things of a VM."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.emulator.model.disks import AddDisk, DeleteDisk, DetachDisk, DiskPlan, EditDisk
from tests.emulator.model.messages import ATTACH_DISK, Refusal
from tests.emulator.model.rows import BLANK, Attachment, Disk, Nic, Vm
from tests.emulator.model.vms import new_nic
from tests.emulator.rest import body
from tests.emulator.rest.actions import accepted
from tests.emulator.rest.errors import Empty, mandatory
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.follow import EMPTY, attachments, paths
from tests.emulator.rest.formats import Tree
from tests.emulator.rest.handlers.disks import changes_of, plan_of
from tests.emulator.rest.routes import route
from tests.emulator.rest.views.disk import attachment_tree
from tests.emulator.rest.views.vm import applications_tree, cdroms_tree, nic_tree, nics_tree

VM = "/vms/<id:vm_id>"


# NICs
@route("GET", f"{VM}/nics")
def nics(x: Exchange, vm_id: str) -> Answer:
    return Answer(200, "nics", nics_tree(x.known_vm(vm_id)))


def _nic(vm: Vm, nic_id: str) -> Nic:
    for nic in vm.nics:
        if nic.id == nic_id:
            return nic
    raise Empty(404)


@route("GET", f"{VM}/nics/<id:nic_id>")
def nic(x: Exchange, vm_id: str, nic_id: str) -> Answer:
    return Answer(200, "nic", nic_tree(vm_id, _nic(x.known_vm(vm_id), nic_id)))


@route("POST", f"{VM}/nics")
def add_nic(x: Exchange, vm_id: str) -> Answer:
    x.service = "vmnics"
    tree = x.body("nic", "Nic")
    vm = x.known_vm(vm_id)
    if not tree.get("name"):
        raise mandatory("nic.name")
    x.require("edit_vm_properties", vm_id)
    if any(nic.name == tree["name"] for nic in vm.nics):
        raise Refusal(409, "Network interface name is already in use")
    made = new_nic(x.engine, vm, str(tree["name"]), body.child(tree, "mac").get("address"))
    return Answer(201, "nic", nic_tree(vm_id, made))


@route("PUT", f"{VM}/nics/<id:nic_id>")
def edit_nic(x: Exchange, vm_id: str, nic_id: str) -> Answer:
    x.service, x.method = "vmnic", "update"
    tree = x.body("nic", "Nic")
    vm = x.known_vm(vm_id)
    x.require("edit_vm_properties", vm_id)
    old = _nic(vm, nic_id)
    mac = body.child(tree, "mac").get("address") or old.mac
    new = replace(
        old, name=tree.get("name") or old.name, mac=mac, linked=body.flag(tree, "linked", old.linked), plugged=body.flag(tree, "plugged", old.plugged)
    )
    vm.nics[vm.nics.index(old)] = new
    return Answer(200, "nic", nic_tree(vm_id, new))


@route("DELETE", f"{VM}/nics/<id:nic_id>")
def remove_nic(x: Exchange, vm_id: str, nic_id: str) -> Answer:
    x.require("edit_vm_properties", vm_id)
    vm = x.known_vm(vm_id)
    vm.nics.remove(_nic(vm, nic_id))
    return Answer(200, "action", {"status": "complete"})


# Disk attachments
@route("GET", f"{VM}/diskattachments")
def disk_attachments(x: Exchange, vm_id: str) -> Answer:
    return Answer(200, "disk_attachments", attachments(x, x.known_vm(vm_id), paths(x.query("follow"))))


def _attachment(x: Exchange, vm: Vm, disk_id: str) -> tuple[Attachment, Disk]:
    disk = x.engine.tables.disk(disk_id)
    if disk is None or disk_id not in vm.attachments:
        raise Empty(404)
    return vm.attachments[disk_id], disk


@route("GET", f"{VM}/diskattachments/<id:disk_id>")
def disk_attachment(x: Exchange, vm_id: str, disk_id: str) -> Answer:
    vm = x.known_vm(vm_id)
    _attachment(x, vm, disk_id)
    wanted = attachments(x, vm, paths(x.query("follow")))["disk_attachment"]
    return Answer(200, "disk_attachment", next(tree for tree in wanted if tree["id"] == disk_id))


@route("POST", f"{VM}/diskattachments")
def add_disk(x: Exchange, vm_id: str) -> Answer:
    x.service = "diskattachments"
    tree = x.body("disk_attachment", "DiskAttachment")
    disk_tree = body.child(tree, "disk")
    if "bootable" not in tree or not tree.get("interface"):
        raise mandatory("diskattachment.bootable" if "bootable" not in tree else "diskattachment.interface")
    x.require("configure_vm_storage", vm_id)
    disk: Disk | DiskPlan | None = plan_of(x, disk_tree)
    if disk_tree.get("id"):
        disk = x.engine.tables.disk(body.uuid(disk_tree["id"]))
        if disk is None:
            raise ATTACH_DISK.cannot("The specified disk does not exist.", 400)
    attachment = Attachment("", **{"plugged": not isinstance(disk, Disk), **_flags(tree)})
    command = AddDisk(x.engine, x.call, x.vm(vm_id), disk or DiskPlan(""), attachment)
    x.run(command)
    return Answer(201, "disk_attachment", attachment_tree(command.vm, attachment))


def _flags(tree: Tree) -> dict[str, Any]:
    names = {"active": "plugged", "bootable": "bootable", "read_only": "read_only", "pass_discard": "pass_discard"}
    found: dict[str, Any] = {name: body.flag(tree, key, False) for key, name in names.items() if tree.get(key) not in (None, "")}
    if tree.get("interface"):
        found["interface"] = str(tree["interface"])
    return found


@route("PUT", f"{VM}/diskattachments/<id:disk_id>")
def edit_disk(x: Exchange, vm_id: str, disk_id: str) -> Answer:
    x.service, x.method = "diskattachment", "update"
    tree = x.body("disk_attachment", "DiskAttachment")
    vm = x.known_vm(vm_id)
    attachment, disk = _attachment(x, vm, disk_id)
    x.require("configure_vm_storage", vm_id)
    x.run(EditDisk(x.engine, x.call, vm, disk, _flags(tree), changes_of(body.child(tree, "disk"))))
    return Answer(200, "disk_attachment", attachment_tree(vm, attachment))


@route("DELETE", f"{VM}/diskattachments/<id:disk_id>")
def detach_disk(x: Exchange, vm_id: str, disk_id: str) -> Answer:
    """Unless ``detach_only`` is false: then the disk is removed. Neither looks for the attachment first."""
    x.require("configure_vm_storage", vm_id)
    disk = x.engine.tables.disk(disk_id) or Disk(disk_id, "")
    only = (x.query("detach_only") or "true").lower() == "true"
    command = (DetachDisk if only else DeleteDisk)(x.engine, x.call, x.vm(vm_id), disk)
    x.run(command)
    return accepted(command)


# Others
@route("GET", f"{VM}/cdroms")
def cdroms(x: Exchange, vm_id: str) -> Answer:
    return Answer(200, "cdroms", cdroms_tree(x.known_vm(vm_id).id))


@route("GET", f"{VM}/cdroms/{BLANK}")
def cdrom(x: Exchange, vm_id: str) -> Answer:
    return Answer(200, "cdrom", cdroms_tree(x.known_vm(vm_id).id)["cdrom"][0])


@route("GET", f"{VM}/applications")
def applications(x: Exchange, vm_id: str) -> Answer:
    return Answer(200, "applications", applications_tree(x.known_vm(vm_id)))


@route("GET", f"{VM}/<any(" + ", ".join(sorted(EMPTY)) + "):name>")
def nothing(x: Exchange, vm_id: str, name: str) -> Answer:
    x.known_vm(vm_id)
    return Answer(200, EMPTY[name], {})
