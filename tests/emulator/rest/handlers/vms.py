# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs: find, show, add, edit, remove."""

from __future__ import annotations

from typing import Any

from tests.emulator.model.rows import Settings, Vm
from tests.emulator.model.vms import AddVm, EditVm, RemoveVm
from tests.emulator.rest import body
from tests.emulator.rest.actions import accepted
from tests.emulator.rest.errors import mandatory
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.follow import follow_vm, paths
from tests.emulator.rest.formats import Tree
from tests.emulator.rest.handlers.others import clone
from tests.emulator.rest.routes import route
from tests.emulator.rest.search import select
from tests.emulator.rest.views.vm import collection, vm_tree

SEARCHED = {
    "name": lambda vm: vm.name,
    "id": lambda vm: vm.id,
    "status": lambda vm: vm.status.value.replace("_", ""),
    "description": lambda vm: vm.settings.description,
    "comment": lambda vm: vm.settings.comment,
    "cluster": lambda _vm: "Default",
    "datacenter": lambda _vm: "Default",
}
FREE = ("name", "comment", "description", "cluster", "datacenter")


@route("GET", "/vms")
def vms(x: Exchange) -> Answer:
    visible = [vm for vm in x.engine.tables.vms.values() if x.user.sees(vm.id)]
    found = select(visible, x.query("search") or "", SEARCHED, free=FREE, case_sensitive=x.asks("case_sensitive"), limit=x.limit)
    wanted = paths(x.query("follow"))
    return Answer(200, "vms", collection("vm", [follow_vm(x, vm, vm_tree(x.engine, vm), wanted, alone=False) for vm in found]))


@route("GET", "/vms/<id:vm_id>")
def vm(x: Exchange, vm_id: str) -> Answer:
    found = x.known_vm(vm_id)
    return Answer(200, "vm", follow_vm(x, found, vm_tree(x.engine, found), paths(x.query("follow")), alone=True))


@route("POST", "/vms")
def add(x: Exchange) -> Answer:
    x.service = "vms"
    tree = x.body("vm", "Vm")
    if not tree.get("name"):
        raise mandatory("vm.name")
    x.require("create_vm", None)
    if "snapshots" in tree:
        return clone(x, tree)
    memory = body.number(tree, "memory") or 1 << 30
    changes = {"memory_guaranteed": memory, "memory_max": memory * 4, **settings_of(tree)}
    command = AddVm(x.engine, x.call, Settings(**changes))
    x.run(command)
    return Answer(201, "vm", vm_tree(x.engine, command.vm))


@route("PUT", "/vms/<id:vm_id>")
def edit(x: Exchange, vm_id: str) -> Answer:
    x.service, x.method = "vm", "update"
    changes = settings_of(x.body("vm", "Vm"))
    found = x.known_vm(vm_id)
    x.require("edit_vm_properties", vm_id)
    command = EditVm(x.engine, x.call, found, changes)
    x.run(command)
    return Answer(200, "vm", vm_tree(x.engine, found))


@route("DELETE", "/vms/<id:vm_id>")
def remove(x: Exchange, vm_id: str) -> Answer:
    x.require("delete_vm", vm_id)
    found: Vm = x.known_vm(vm_id)
    command = RemoveVm(x.engine, x.call, found, keep_disks=x.asks("detach_only"))
    x.run(command)
    return accepted(command)


def settings_of(tree: Tree) -> dict[str, Any]:
    """What of a VM's settings the request names."""
    policy, topology, system = body.child(tree, "memory_policy"), body.child(body.child(tree, "cpu"), "topology"), body.child(tree, "os")
    boot = body.items(body.child(system, "boot"), "devices", "device")
    found: dict[str, Any] = {
        "name": tree.get("name"),
        "description": tree.get("description"),
        "comment": tree.get("comment"),
        "memory": body.number(tree, "memory"),
        "memory_guaranteed": body.number(policy, "guaranteed"),
        "memory_max": body.number(policy, "max"),
        "sockets": body.number(topology, "sockets"),
        "cores": body.number(topology, "cores"),
        "threads": body.number(topology, "threads"),
        "os_type": system.get("type"),
        "delete_protected": body.flag(tree, "delete_protected", False) if "delete_protected" in tree else None,
        "stateless": body.flag(tree, "stateless", False) if "stateless" in tree else None,
        "high_availability": body.flag(body.child(tree, "high_availability"), "enabled", False) if "high_availability" in tree else None,
        "initialization": body.child(tree, "initialization").get("host_name"),
    }
    if boot is not None:
        found["boot_devices"] = tuple(body.child(body.child(system, "boot"), "devices").get("device") or ())
    kept = {key: value for key, value in found.items() if value is not None}
    if "lease" in tree:
        kept["lease_domain"] = body.identity(body.child(tree, "lease"), "storage_domain")
    return kept
