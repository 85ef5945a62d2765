# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions: what they echo, and the forms of their answers (§2.4, §2.5)."""

from __future__ import annotations

from collections.abc import Callable

from tests.emulator.model.command import Command
from tests.emulator.model.messages import Refusal
from tests.emulator.model.preview import Lease, Pick, Preview
from tests.emulator.model.restore import Restore
from tests.emulator.model.rows import BLANK
from tests.emulator.rest import body
from tests.emulator.rest.errors import mandatory, not_found
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.formats import Tree
from tests.emulator.rest.views.links import API, reference
from tests.emulator.rest.views.snapshot import alone
from tests.emulator.rest.views.vm import bare_vm_tree


def accepted(command: Command) -> Answer:
    """For what was only accepted, whatever ``complete`` says."""
    return Answer(200, "action", {**_job(command), "status": "complete"})


def _job(command: Command) -> Tree:
    return {"job": reference("jobs", command.job.id)} if command.job else {}


def _sorted(tree: Tree) -> Tree:
    """As the engine writes them: links first, then by name."""
    first = {key: tree[key] for key in ("href", "id", "link") if key in tree}
    return first | {key: tree[key] for key in sorted(tree) if key not in first}


def act(x: Exchange, name: str, vm_id: str, make: Callable[[Tree], Command], *, permit: str) -> Answer:
    """Run the command of an action. A refusal echoes the input."""
    tree = x.body("action", "Action")
    given = {key: value for key, value in tree.items() if key not in ("id", "href")}
    command = make(tree)
    waits = not body.flag(tree, "async", True)
    try:
        x.require(permit, vm_id)
        x.run(command, tasks=waits)
    except Refusal as refusal:
        return _refused(given, refusal)
    if command.tasks and not waits:
        return Answer(202, "action", _sorted({**_pending(name, vm_id, command), **given, "async": True, **_job(command), "status": "pending"}))
    vm = x.engine.tables.vms.get(vm_id)
    whole = {"vm": bare_vm_tree(vm)} if vm else {}
    return Answer(200, "action", _sorted({**given, **_job(command), "status": "complete", **whole}))


def _refused(given: Tree, refusal: Refusal) -> Answer:
    return Answer(refusal.status, "action", _sorted({**given, "fault": {"detail": refusal.detail, "reason": "Operation Failed"}, "status": "failed"}))


def _pending(name: str, vm_id: str, command: Command) -> Tree:
    """The id joins one id per volume task, with a comma that stays encoded."""
    address, tasks = f"{API}/vms/{vm_id}/{name}", "%2C".join(command.tasks)
    links = [{"href": f"{API}/vms/{vm_id}", "rel": "parent"}, {"href": address, "rel": "replay"}]
    return {"href": f"{address}/{tasks}", "id": tasks, "link": links}


# Previews
def source_of(tree: Tree) -> str:
    source = body.identity(tree, "snapshot")
    if source is None:
        raise mandatory("snapshot.id")
    return source


def picks_of(x: Exchange, tree: Tree) -> list[Pick] | None:
    """Each pair of disk and image must exist, in whichever VM: that is looked up before the command begins (§6.2)."""
    listed = body.items(tree, "disks", "disk")
    if not listed:
        return None
    return [_pick(x, one) for one in listed]


def _pick(x: Exchange, one: Tree) -> Pick:
    disk_id = body.uuid(one["id"]) if one.get("id") else None
    image_id = body.uuid(one["image_id"]) if one.get("image_id") else BLANK
    image = x.engine.tables.images.get(image_id)
    if disk_id is None or image is None or image.disk_id != disk_id:
        raise not_found("GetDiskImageByDiskAndImageIds", f"disk id={disk_id or 'null'}, image_id={image_id}")
    return Pick(disk_id, image_id)


def lease_of(tree: Tree) -> Lease | None:
    return Lease(body.identity(body.child(tree, "lease"), "storage_domain")) if "lease" in tree else None


def preview_of(x: Exchange, vm_id: str, tree: Tree) -> Preview:
    source, memory = source_of(tree), body.flag(tree, "restore_memory", True)
    return Preview(x.engine, x.call, x.engine.tables.vms.get(vm_id), source, picks_of(x, tree), memory, lease_of(tree))


def restore_action(x: Exchange, vm_id: str, snapshot_id: str) -> Answer:
    """Synchronous whatever the request says. The answer has the commit's job and the snapshot."""
    tree = x.body("action", "Action")
    given = {key: value for key, value in tree.items() if key not in ("id", "href")}
    memory = body.flag(tree, "restore_memory", True)
    command = Restore(x.engine, x.call, x.engine.tables.vms.get(vm_id), snapshot_id, picks_of(x, tree), memory, lease_of(tree))
    try:
        x.require("manipulate_vm_snapshots", vm_id)
        x.run(command)
    except Refusal as refusal:
        return _refused(given, refusal)
    half = command.commit
    if half is None:
        return Answer(200, "action", _sorted({**given, **_job(command), "status": "failed"}))
    if half.refusal:
        return _refused(given, half.refusal)
    row = x.engine.tables.snapshots.get(snapshot_id)
    shown = {"snapshot": alone(x.engine, row, content=False)} if row else {}
    return Answer(200, "action", _sorted({**given, "async": False, **_job(half), **shown, "status": "complete"}))
