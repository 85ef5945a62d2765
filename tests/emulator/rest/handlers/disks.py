# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and their images, with and without a VM."""

from __future__ import annotations

from typing import Any

from tests.emulator.model.disks import DeleteDisk, DiskPlan, EditDisk, new_disk
from tests.emulator.model.messages import REMOVE_DISK_SNAPSHOT, VM_NOT_FOUND
from tests.emulator.model.remove import RemoveDisk
from tests.emulator.model.rows import Disk, Image
from tests.emulator.rest import body
from tests.emulator.rest.actions import accepted
from tests.emulator.rest.errors import Empty, Fault
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.follow import follow_disk, paths
from tests.emulator.rest.formats import Tree
from tests.emulator.rest.handlers.journal import DENIED
from tests.emulator.rest.routes import route
from tests.emulator.rest.search import select
from tests.emulator.rest.views.disk import disk_snapshot_tree, disk_snapshots_tree
from tests.emulator.rest.views.links import API
from tests.emulator.rest.views.vm import collection

DISK, DOMAIN = "/disks/<id:disk_id>", "/storagedomains/<id:domain_id>"
SEARCHED = {
    "name": lambda disk: disk.alias,
    "alias": lambda disk: disk.alias,
    "id": lambda disk: disk.id,
    "description": lambda disk: disk.description,
}


def plan_of(x: Exchange, tree: Tree) -> DiskPlan:
    """A disk that is to be made."""
    domains = body.items(tree, "storage_domains", "storage_domain") or []
    domain_id = body.uuid(domains[0]["id"]) if domains and domains[0].get("id") else None
    if domain_id and domain_id not in x.engine.tables.domains:
        raise Fault(404, f"Entity not found: StorageDomain: id={domain_id}")
    return DiskPlan(
        alias=str(tree.get("name") or tree.get("alias") or ""),
        description=str(tree.get("description") or ""),
        size=body.number(tree, "provisioned_size") or 1 << 30,
        format=str(tree.get("format") or "cow"),
        sparse=body.flag(tree, "sparse", True),
        shareable=body.flag(tree, "shareable", False),
        lun="lun_storage" in tree,
        domain_id=domain_id,
        image_id=body.uuid(tree["image_id"]) if tree.get("image_id") else None,
    )


def changes_of(tree: Tree) -> dict[str, Any]:
    """What a PUT wants changed of a disk."""
    found: dict[str, Any] = {
        "alias": tree.get("name") or tree.get("alias"),
        "description": tree.get("description"),
        "size": body.number(tree, "provisioned_size"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _visible(x: Exchange) -> list[Disk]:
    tables = x.engine.tables
    mine = {disk_id for vm in tables.vms.values() if x.user.sees(vm.id) for disk_id in vm.attachments}
    return [disk for disk in tables.disks.values() if not disk.dropped and (x.user.admin or disk.id in mine)]


def _disk(x: Exchange, disk_id: str) -> Disk:
    for disk in _visible(x):
        if disk.id == disk_id:
            return disk
    raise Empty(404)


@route("GET", "/disks")
def disks(x: Exchange) -> Answer:
    found = select(_visible(x), x.query("search") or "", SEARCHED, free=("name", "description"), case_sensitive=x.asks("case_sensitive"), limit=x.limit)
    wanted = paths(x.query("follow"))
    return Answer(200, "disks", collection("disk", [follow_disk(x, disk.id, wanted) for disk in found]))


@route("GET", DISK)
def disk(x: Exchange, disk_id: str) -> Answer:
    return Answer(200, "disk", follow_disk(x, _disk(x, disk_id).id, paths(x.query("follow"))))


@route("POST", "/disks")
def add(x: Exchange) -> Answer:
    """A floating disk."""
    x.service = "disks"
    tree = x.body("disk", "Disk")
    x.require("create_disk", None)
    made = new_disk(x.engine, plan_of(x, tree), None)
    return Answer(202, "disk", follow_disk(x, made.id, {}))


@route("PUT", DISK)
def edit(x: Exchange, disk_id: str) -> Answer:
    x.service, x.method = "disk", "update"
    changes = changes_of(x.body("disk", "Disk"))
    found = _disk(x, disk_id)
    vm = x.engine.tables.vm_of(disk_id)
    x.require("edit_disk_properties", vm.id if vm else None)
    x.run(EditDisk(x.engine, x.call, vm, found, None, changes))
    return Answer(200, "disk", follow_disk(x, disk_id, {}))


@route("DELETE", DISK)
def delete(x: Exchange, disk_id: str) -> Answer:
    found = _disk(x, disk_id)
    vm = x.engine.tables.vm_of(disk_id)
    x.require("delete_disk", vm.id if vm else None)
    command = DeleteDisk(x.engine, x.call, vm, found)
    x.run(command)
    return accepted(command)


@route("GET", f"{DISK}/<any(permissions, statistics):name>")
def nothing(x: Exchange, disk_id: str, name: str) -> Answer:
    _disk(x, disk_id)
    return Answer(200, name, {})


# Images
@route("GET", f"{DISK}/disksnapshots")
def images(x: Exchange, disk_id: str) -> Answer:
    """Of an unknown disk: none, 200."""
    found = next((disk for disk in _visible(x) if disk.id == disk_id), None)
    tree = disk_snapshots_tree(x.engine, found, x.asks("include_active")) if found else {}
    if x.limit is not None and tree:
        tree = collection("disk_snapshot", tree["disk_snapshot"][: x.limit])
    return Answer(200, "disk_snapshots", tree)


def _image(x: Exchange, image_id: str) -> Image:
    image = x.engine.tables.images.get(image_id)
    if image is None:
        raise Empty(404)
    return image


@route("GET", f"{DISK}/disksnapshots/<id:image_id>", f"{DOMAIN}/disksnapshots/<id:image_id>")
def image(x: Exchange, image_id: str, disk_id: str = "", domain_id: str = "") -> Answer:
    found = _image(x, image_id)
    base = f"{API}/disks/{disk_id}/disksnapshots" if disk_id else f"{API}/storagedomains/{domain_id}/disksnapshots"
    return Answer(200, "disk_snapshot", disk_snapshot_tree(x.engine, x.engine.tables.disks[found.disk_id], found, base))


@route("GET", f"{DOMAIN}/disksnapshots")
def domain_images(x: Exchange, domain_id: str) -> Answer:
    """Every image, those of disks that a preview dropped too. Which domain is asked for is not looked at (§3.5)."""
    base, parts = f"{API}/storagedomains/{domain_id}/disksnapshots", x.engine
    shown = [image for image in parts.tables.images if x.asks("include_active") or not image.active]
    trees = [disk_snapshot_tree(parts, parts.tables.disks[image.disk_id], image, base) for image in shown[: x.limit]]
    return Answer(200, "disk_snapshots", collection("disk_snapshot", trees))


@route("GET", f"{DOMAIN}/disks")
def domain_disks(x: Exchange, domain_id: str) -> Answer:
    found = [disk for disk in _visible(x) if disk.domain_id == domain_id]
    return Answer(200, "disks", collection("disk", [follow_disk(x, disk.id, {}) for disk in found]))


@route("DELETE", f"{DOMAIN}/disksnapshots/<id:image_id>")
def remove_from_domain(x: Exchange, domain_id: str, image_id: str) -> Answer:
    if not x.user.admin:
        raise Fault(400, DENIED)
    return _remove(x, image_id)


@route("DELETE", f"{DISK}/disksnapshots/<id:image_id>")
def remove_from_disk(x: Exchange, disk_id: str, image_id: str) -> Answer:
    if not x.user.admin:
        raise Fault(500, None)
    return _remove(x, image_id)


def _remove(x: Exchange, image_id: str) -> Answer:
    """The same as below the VM's address, which is the only one of the three that ordinary users can use (§2.6)."""
    found, tables = _image(x, image_id), x.engine.tables
    row = tables.snapshots.get(found.snapshot_id or "")
    if row is None:
        raise REMOVE_DISK_SNAPSHOT.cannot(VM_NOT_FOUND, 400)
    command = RemoveDisk(x.engine, x.call, tables.vms.get(row.vm_id), row, found)
    x.run(command)
    return accepted(command)
