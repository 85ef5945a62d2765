# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``follow=``: linked things in the same answer (§3.1, §3.3)."""

from __future__ import annotations

from typing import Any

from tests.emulator.model.rows import Kind, Snapshot, Vm
from tests.emulator.rest.errors import CrashPage
from tests.emulator.rest.exchange import Exchange
from tests.emulator.rest.formats import Tree
from tests.emulator.rest.views.disk import attachment_tree, disk_snapshots_tree, disk_tree, snapshot_disks
from tests.emulator.rest.views.snapshot import followed
from tests.emulator.rest.views.vm import applications_tree, cdroms_tree, collection, nic_tree, nics_tree

Paths = dict[str, Any]
"""The first names, each with what is to be followed below it."""

EMPTY = {
    **{name: name for name in ("tags", "permissions", "watchdogs", "statistics", "sessions", "checkpoints")},
    "graphicsconsoles": "graphics_consoles",
    "affinitylabels": "affinity_labels",
    "hostdevices": "host_devices",
    "numanodes": "numa_nodes",
    "reporteddevices": "reported_devices",
    "mediateddevices": "mediated_devices",
    "katelloerrata": "katello_errata",
}
"""Collections without anything in them here: as an address spells them, and as an element."""


def paths(value: str | None) -> Paths:
    """Underscores do not matter: ``disk_snapshots`` and ``disksnapshots`` are one."""
    tree: Paths = {}
    for path in (value or "").split(","):
        at = tree
        for name in path.replace("_", "").lower().strip().split("."):
            if name:
                at = at.setdefault(name, {})
    return tree


def cannot_follow(name: str, entity: str) -> CrashPage:
    return CrashPage(f"Problem following '{name}' link in {entity} entity")


def follow_vm(x: Exchange, vm: Vm, tree: Tree, wanted: Paths, *, alone: bool) -> Tree:
    for name, below in wanted.items():
        if name == "snapshots":
            if alone and below:
                raise cannot_follow(next(iter(below)), "Snapshots")
            tree["snapshots"] = _snapshots(x, vm, below)
        elif name == "diskattachments":
            tree["disk_attachments"] = attachments(x, vm, below)
        elif name == "nics":
            tree["nics"] = nics_tree(vm)
        elif name == "cdroms":
            tree["cdroms"] = cdroms_tree(vm.id)
        elif name == "applications":
            tree["applications"] = applications_tree(vm)
        elif name in EMPTY:
            tree[EMPTY[name]] = {}
        else:
            raise cannot_follow(name, "Vm")
    return tree


def attachments(x: Exchange, vm: Vm, wanted: Paths) -> Tree:
    found = []
    for attachment in vm.attachments.values():
        tree = attachment_tree(vm, attachment)
        for name, below in wanted.items():
            if name != "disk":
                raise cannot_follow(name, "DiskAttachment")
            tree["disk"] = follow_disk(x, attachment.disk_id, below)
        found.append(tree)
    return collection("disk_attachment", found)


def follow_disk(x: Exchange, disk_id: str, wanted: Paths) -> Tree:
    disk = x.engine.tables.disks[disk_id]
    tree = disk_tree(x.engine, disk)
    for name in wanted:
        if name == "disksnapshots":
            tree["disk_snapshots"] = disk_snapshots_tree(x.engine, disk, x.asks("include_active"))
        elif name in EMPTY:
            tree[EMPTY[name]] = {}
        else:
            raise cannot_follow(name, "Disk")
    return tree


def _snapshots(x: Exchange, vm: Vm, wanted: Paths) -> Tree:
    content = x.asks("all_content")
    return collection("snapshot", [follow_snapshot(x, row, followed(x.engine, row, content), wanted) for row in x.engine.tables.rows(vm.id)])


def follow_snapshot(x: Exchange, row: Snapshot, tree: Tree, wanted: Paths) -> Tree:
    for name in wanted:
        if name == "disks":
            tree["disks"] = collection("disk", snapshot_disks(x.engine, row))
        elif name == "nics":
            tree["nics"] = snapshot_nics(x, row)
        elif name == "cdroms":
            tree["cdroms"] = cdroms_tree(row.vm_id)
        else:
            raise cannot_follow(name, "Snapshot")
    return tree


def snapshot_nics(x: Exchange, row: Snapshot) -> Tree:
    vm = x.engine.tables.vms.get(row.vm_id)
    nics = vm.nics if row.kind is Kind.ACTIVE and vm else row.configuration.nics if row.configuration else ()
    return collection("nic", [nic_tree(row.vm_id, nic, stored=True) for nic in nics])
