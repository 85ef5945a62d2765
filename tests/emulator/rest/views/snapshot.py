# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots in their three shapes: in a listing, in a followed VM, alone (§3.1, §3.3, §3.4)."""

from __future__ import annotations

from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Kind, Snapshot
from tests.emulator.rest.formats import Date, Tree
from tests.emulator.rest.views.links import API, actions, links, reference
from tests.emulator.rest.views.ovf import ovf
from tests.emulator.rest.views.vm import stored_vm_tree


def _row(parts: Parts, row: Snapshot, *, with_links: bool = True, content: bool = False) -> Tree:
    base = f"{API}/vms/{row.vm_id}/snapshots/{row.id}"
    tree: Tree = {"href": base, "id": row.id, "actions": actions(base, "restore"), "description": row.description}
    if with_links:
        tree["link"] = links(base, "cdroms", "nics", "disks")
    if content and row.configuration and row.kind is not Kind.ACTIVE:
        tree["initialization"] = {"configuration": {"data": ovf(parts, row, row.configuration), "type": "ovf"}}
    tree["date"] = Date(row.date)
    tree["persist_memorystate"] = row.memory is not None
    tree["snapshot_status"] = row.status.value
    tree["snapshot_type"] = row.kind.value
    return tree


def listed(parts: Parts, row: Snapshot, content: bool) -> Tree:
    """ACTIVE has neither ``vm`` nor links here, and never an OVF."""
    if row.kind is Kind.ACTIVE:
        return _row(parts, row, with_links=False)
    return _with_vm(parts, row, _row(parts, row, content=content))


def followed(parts: Parts, row: Snapshot, content: bool) -> Tree:
    """With a stub of the VM; no OVF is parsed."""
    return {**_row(parts, row, content=content), "vm": reference("vms", row.vm_id)}


def alone(parts: Parts, row: Snapshot, content: bool) -> Tree:
    return _with_vm(parts, row, _row(parts, row, content=content))


def created(parts: Parts, row: Snapshot) -> Tree:
    """The answer of the POST."""
    return followed(parts, row, content=True)


def _with_vm(parts: Parts, row: Snapshot, tree: Tree) -> Tree:
    stored = row.configuration
    if stored is None:
        return {**tree, "vm": reference("vms", row.vm_id)}
    return {**tree, "vm": stored_vm_tree(parts, row, stored)}
