# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves, backups, clones and templates: what others do around snapshots (§12)."""

from __future__ import annotations

import uuid

from tests.emulator.model.messages import Refusal
from tests.emulator.model.others import AddTemplate, CloneFromSnapshot, CloneVm, CopyDisk, FinalizeBackup, MoveDisk, StartBackup
from tests.emulator.model.rows import Backup
from tests.emulator.rest import body
from tests.emulator.rest.actions import accepted, act
from tests.emulator.rest.errors import Empty, mandatory
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.formats import Date, Tree
from tests.emulator.rest.routes import route
from tests.emulator.rest.views.catalog import template_tree
from tests.emulator.rest.views.links import API, actions, links, reference
from tests.emulator.rest.views.vm import collection, vm_tree

BACKUPS = "/vms/<id:vm_id>/backups"


@route("POST", "/disks/<id:disk_id>/<any(move, copy):verb>")
def move(x: Exchange, disk_id: str, verb: str) -> Answer:
    """A move has no link to its job (§2.5)."""
    x.service, x.method = "disk", verb
    tree = x.body("action", "Action")
    disk = x.engine.tables.disk(disk_id)
    if disk is None:
        raise Empty(404)
    wanted = body.child(tree, "storage_domain")
    domains = x.engine.tables.domains.values()
    domain = next((row for row in domains if wanted.get("id") == row.id or wanted.get("name") == row.name), None)
    if domain is None:
        raise mandatory("storage_domain.id|name")
    vm = x.engine.tables.vm_of(disk_id)
    x.require("configure_disk_storage", vm.id if vm else None)
    given = {"disk": reference("disks", disk_id), "storage_domain": reference("storagedomains", domain.id)}
    copy = CopyDisk(x.engine, x.call, vm, disk, domain, str(body.child(tree, "disk").get("name") or ""))
    command = copy if verb == "copy" else MoveDisk(x.engine, x.call, vm, disk, domain)
    try:
        x.run(command)
    except Refusal as refusal:
        fault = {"detail": refusal.detail, "reason": "Operation Failed"}
        return Answer(refusal.status, "action", {"fault": fault, "status": "failed", "storage_domain": given["storage_domain"]})
    job = {"job": reference("jobs", copy.job.id)} if copy.job else {}
    return Answer(200, "action", {**given, **job, "status": "complete"})


# Backups
def _backup_tree(backup: Backup) -> Tree:
    base = f"{API}/vms/{backup.vm_id}/backups/{backup.id}"
    return {
        "href": base,
        "id": backup.id,
        "actions": actions(base, "finalize"),
        "description": backup.description,
        "link": links(base, "disks"),
        "creation_date": Date(backup.created),
        "phase": backup.phase,
        "snapshot": {"id": backup.snapshot_id},
        "vm": reference("vms", backup.vm_id),
    }


def _backup(x: Exchange, backup_id: str) -> Backup:
    backup = x.engine.tables.backups.get(backup_id)
    if backup is None:
        raise Empty(404)
    return backup


@route("GET", BACKUPS)
def backups(x: Exchange, vm_id: str) -> Answer:
    found = [backup for backup in x.engine.tables.backups.values() if backup.vm_id == vm_id]
    return Answer(200, "backups", collection("backup", [_backup_tree(backup) for backup in found]))


@route("GET", f"{BACKUPS}/<id:backup_id>")
def backup(x: Exchange, vm_id: str, backup_id: str) -> Answer:
    return Answer(200, "backup", _backup_tree(_backup(x, backup_id)))


@route("POST", BACKUPS)
def start(x: Exchange, vm_id: str) -> Answer:
    x.service = "vmbackups"
    tree = x.body("backup", "Backup")
    x.require("backup_disk", vm_id)
    listed = body.items(tree, "disks", "disk") or []
    disks = [disk for one in listed if (disk := x.engine.tables.disk(one.get("id")))]
    command = StartBackup(x.engine, x.call, x.engine.tables.vms.get(vm_id), disks, str(tree.get("description") or ""))
    x.run(command)
    if command.backup is None:
        raise Empty(500)
    return Answer(202, "backup", _backup_tree(command.backup))


@route("POST", f"{BACKUPS}/<id:backup_id>/finalize")
def finalize(x: Exchange, vm_id: str, backup_id: str) -> Answer:
    x.service, x.method = "vmbackup", "finalize"
    x.body("action", "Action")
    x.require("backup_disk", vm_id)
    command = FinalizeBackup(x.engine, x.call, x.engine.tables.vms.get(vm_id), _backup(x, backup_id))
    x.run(command)
    return accepted(command)


# Copies
def clone(x: Exchange, tree: Tree) -> Answer:
    """``POST /vms?clone=true`` with a snapshot."""
    listed = body.items(tree, "snapshots", "snapshot") or [{}]
    row = x.engine.tables.snapshots.get(body.uuid(listed[0].get("id", "")))
    if row is None:
        raise Empty(404)
    command = CloneFromSnapshot(x.engine, x.call, row, str(tree.get("name")))
    x.run(command)
    if command.made is None:
        raise Empty(500)
    return Answer(202, "vm", vm_tree(x.engine, command.made))


@route("POST", "/vms/<id:vm_id>/clone")
def clone_vm(x: Exchange, vm_id: str) -> Answer:
    x.service, x.method = "vm", "clone"
    vm = x.engine.tables.vms.get(vm_id)
    return act(x, "clone", vm_id, lambda tree: CloneVm(x.engine, x.call, vm, str(body.child(tree, "vm").get("name"))), permit="create_vm")


@route("POST", "/templates")
def template(x: Exchange) -> Answer:
    x.service = "templates"
    tree = x.body("template", "Template")
    vm_id = body.identity(tree, "vm") or ""
    x.require("create_template", vm_id)
    x.run(AddTemplate(x.engine, x.call, x.engine.tables.vms.get(vm_id), str(tree.get("name"))))
    made = str(uuid.uuid4())
    return Answer(201, "template", {**template_tree(x.engine), **reference("templates", made), "name": tree.get("name"), "status": "locked"})
