# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions on a VM."""

from __future__ import annotations

from tests.emulator.model.command import Command
from tests.emulator.model.commit import Commit
from tests.emulator.model.power import Freeze, Reboot, Reset, Shutdown, Start, Stop, Suspend, Thaw
from tests.emulator.model.undo import Undo
from tests.emulator.rest.actions import act, preview_of
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.routes import route
from tests.emulator.rest.views.links import API

SNAPSHOTS = "manipulate_vm_snapshots"
PLAIN: dict[str, tuple[type[Command], str]] = {
    "commitsnapshot": (Commit, SNAPSHOTS),
    "undosnapshot": (Undo, SNAPSHOTS),
    "start": (Start, "run_vm"),
    "stop": (Stop, "stop_vm"),
    "shutdown": (Shutdown, "shut_down_vm"),
    "suspend": (Suspend, "hibernate_vm"),
    "reboot": (Reboot, "reboot_vm"),
    "reset": (Reset, "reset_vm"),
    "freezefilesystems": (Freeze, "configure_vm_storage"),
    "thawfilesystems": (Thaw, "configure_vm_storage"),
}


@route("POST", "/vms/<id:vm_id>/<any(" + ", ".join(PLAIN) + "):name>")
def plain(x: Exchange, vm_id: str, name: str) -> Answer:
    x.service, x.method = "vm", name
    kind, permit = PLAIN[name]
    return act(x, name, vm_id, lambda _tree: kind(x.engine, x.call, x.engine.tables.vms.get(vm_id)), permit=permit)


@route("GET", "/vms/<id:vm_id>/<any(previewsnapshot, commitsnapshot, undosnapshot):name>/<tasks>")
def tasks_of(x: Exchange, vm_id: str, name: str, tasks: str) -> Answer:
    """What became of an action's tasks; those that are over and forgotten read as success."""
    running = [command for command in x.engine.running if command.vm_id == vm_id and not command.tasks_over]
    joined = tasks.replace(",", "%2C")
    found = any("%2C".join(command.tasks) == joined for command in running)
    return Answer(200, "action", {"href": f"{API}/vms/{vm_id}/{name}/{joined}", "id": joined, "status": "in_progress" if found else "complete"})


@route("POST", "/vms/<id:vm_id>/previewsnapshot")
def preview(x: Exchange, vm_id: str) -> Answer:
    x.service, x.method = "vm", "previewsnapshot"
    return act(x, "previewsnapshot", vm_id, lambda tree: preview_of(x, vm_id, tree), permit=SNAPSHOTS)
