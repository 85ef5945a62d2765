# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a VM and their disks. Below a snapshot's address the VM's id is not looked at (§3.3)."""

from __future__ import annotations

from dataclasses import replace

from tests.emulator.model.create import Choice, Create
from tests.emulator.model.messages import REMOVE_DISK_SNAPSHOT, VM_NOT_FOUND, Refusal
from tests.emulator.model.remove import Remove, RemoveDisk
from tests.emulator.model.rows import Configuration, Kind, Snapshot
from tests.emulator.rest import body
from tests.emulator.rest.actions import accepted, restore_action
from tests.emulator.rest.errors import CrashPage, Empty, Fault, mandatory, not_found
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.follow import cannot_follow, follow_snapshot, paths, snapshot_nics
from tests.emulator.rest.formats import Tree
from tests.emulator.rest.routes import route
from tests.emulator.rest.views.disk import snapshot_disks
from tests.emulator.rest.views.snapshot import alone, created, listed
from tests.emulator.rest.views.vm import cdroms_tree, collection

PERMIT = "manipulate_vm_snapshots"
ALL, ONE = "/vms/<id:vm_id>/snapshots", "/vms/<id:vm_id>/snapshots/<id:snapshot_id>"


def _row(x: Exchange, snapshot_id: str) -> Snapshot:
    row = x.engine.tables.snapshots.get(snapshot_id)
    if row is None or not x.user.sees(row.vm_id):
        raise not_found("GetSnapshotBySnapshotId", f"snapshot id={snapshot_id}")
    return row


def _with_current(x: Exchange, row: Snapshot) -> Snapshot:
    """ACTIVE has no stored configuration: alone it shows the VM as it is."""
    vm = x.engine.tables.vms.get(row.vm_id)
    if row.kind is not Kind.ACTIVE or vm is None:
        return row
    return replace(row, configuration=Configuration(vm.settings, tuple(vm.nics), (), row.date))


@route("GET", ALL)
def snapshots(x: Exchange, vm_id: str) -> Answer:
    """An unknown VM has no snapshots: 200."""
    wanted = paths(x.query("follow"))
    if wanted:
        raise cannot_follow(next(iter(wanted)), "Snapshots")
    vm = x.vm(vm_id)
    rows = x.engine.tables.rows(vm.id) if vm else []
    content = x.asks("all_content")
    return Answer(200, "snapshots", collection("snapshot", [listed(x.engine, row, content) for row in rows[: x.limit]]))


@route("GET", ONE)
def snapshot(x: Exchange, vm_id: str, snapshot_id: str) -> Answer:
    row = _row(x, snapshot_id)
    tree = alone(x.engine, _with_current(x, row), x.asks("all_content"))
    return Answer(200, "snapshot", follow_snapshot(x, row, tree, paths(x.query("follow"))))


@route("GET", f"{ONE}/disks")
def disks(x: Exchange, vm_id: str, snapshot_id: str) -> Answer:
    return Answer(200, "disks", collection("disk", snapshot_disks(x.engine, _row(x, snapshot_id))))


@route("GET", f"{ONE}/disks/<id:disk_id>")
def disk(x: Exchange, vm_id: str, snapshot_id: str, disk_id: str) -> Answer:
    for tree in snapshot_disks(x.engine, _row(x, snapshot_id)):
        if tree["id"] == disk_id:
            return Answer(200, "disk", tree)
    raise Empty(404)


@route("GET", f"{ONE}/nics")
def nics(x: Exchange, vm_id: str, snapshot_id: str) -> Answer:
    return Answer(200, "nics", snapshot_nics(x, _row(x, snapshot_id)))


@route("GET", f"{ONE}/cdroms")
def cdroms(x: Exchange, vm_id: str, snapshot_id: str) -> Answer:
    return Answer(200, "cdroms", cdroms_tree(_row(x, snapshot_id).vm_id))


@route("GET", f"{ONE}/<any(nics, cdroms):name>/<id:one>")
def device(x: Exchange, vm_id: str, snapshot_id: str, name: str, one: str) -> Answer:
    row, kind = _row(x, snapshot_id), name.removesuffix("s")
    trees = snapshot_nics(x, row) if kind == "nic" else cdroms_tree(row.vm_id)
    for tree in trees.get(kind, ()):
        if tree["id"] == one:
            return Answer(200, kind, tree)
    raise Empty(404)


# Create (§5.1)
@route("POST", ALL)
def create(x: Exchange, vm_id: str) -> Answer:
    tree = x.body("snapshot", "Snapshot")
    description = tree.get("description")
    if description is None:
        raise mandatory("snapshot.description")
    if description == "":
        raise Fault(400, "Snapshot [description] required for doAdd", "Incomplete parameters")
    choices = _choices(tree)
    x.require(PERMIT, vm_id)
    command = Create(x.engine, x.call, x.engine.tables.vms.get(vm_id), str(description), body.flag(tree, "persist_memorystate", True), choices)
    x.run(command)
    if command.row is None:
        raise CrashPage
    shown = created(x.engine, command.row)
    return Answer(201, "snapshot", shown, {"Location": _location(x, str(shown["href"]))})


def _location(x: Exchange, href: str) -> str:
    """The prefix is there twice: the header is of no use, as the engine's."""
    version = "/v4" if x.request.headers.get("Version") else ""
    return f"{x.request.scheme}://{x.request.host}/ovirt-engine/api{version}{href}"


def _choices(tree: Tree) -> list[Choice] | None:
    """None: all disks. Only a disk's id selects; an attachment without a disk selects nothing, and a disk without an id is a crash."""
    attachments = body.items(tree, "disk_attachments", "disk_attachment")
    if attachments is None:
        return None
    if not attachments:
        raise CrashPage("java.lang.IllegalArgumentException")
    choices: list[Choice] = []
    for attachment in attachments:
        if "disk" not in attachment:
            continue
        disk_tree = body.child(attachment, "disk")
        if "id" not in disk_tree:
            raise CrashPage
        image_id = disk_tree.get("image_id")
        choice = Choice(body.uuid(disk_tree["id"]), body.uuid(image_id) if image_id else None)
        if any(other.disk_id == choice.disk_id for other in choices):
            raise CrashPage("java.lang.IllegalStateException: Duplicate key")
        choices.append(choice)
    return choices


# Remove (§10)
@route("DELETE", ONE)
def remove(x: Exchange, vm_id: str, snapshot_id: str) -> Answer:
    row = _row_to_change(x, vm_id, snapshot_id)
    command = Remove(x.engine, x.call, x.engine.tables.vms.get(vm_id), row)
    if x.asks("async"):
        _lost_refusals(x, command)
        return Answer(202)
    x.run(command)
    return accepted(command)


def _lost_refusals(x: Exchange, command: Remove) -> None:
    """With ``?async=true`` the client never learns of a refusal; not even a job tells of it."""
    try:
        x.engine.submit(command)
    except Refusal:
        if command.job:
            x.engine.journal.jobs.pop(command.job.id, None)


def _row_to_change(x: Exchange, vm_id: str, snapshot_id: str) -> Snapshot:
    x.require(PERMIT, vm_id)
    return _row(x, snapshot_id)


@route("DELETE", f"{ONE}/disks/<id:disk_id>")
def remove_disk(x: Exchange, vm_id: str, snapshot_id: str, disk_id: str) -> Answer:
    """The image is all that the command is given: it finds the VM by it, and none for an entry whose image is gone."""
    row, tables = _row(x, snapshot_id), x.engine.tables
    x.require(PERMIT, row.vm_id)
    image = next((image for image in tables.held(row) if image.disk_id == disk_id), None)
    if image is None and row.configuration and row.configuration.record(disk_id):
        raise REMOVE_DISK_SNAPSHOT.cannot(VM_NOT_FOUND, 400)
    if image is None:
        raise Empty(404)
    command = RemoveDisk(x.engine, x.call, tables.vms.get(row.vm_id), row, image)
    x.run(command)
    return accepted(command)


@route("POST", f"{ONE}/restore")
def restore(x: Exchange, vm_id: str, snapshot_id: str) -> Answer:
    x.service, x.method = "snapshot", "restore"
    return restore_action(x, vm_id, snapshot_id)
