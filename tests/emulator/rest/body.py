# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a request's body."""

from __future__ import annotations

import re
from typing import Any

from tests.emulator.rest.errors import Fault
from tests.emulator.rest.formats import Tree

UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")


def uuid(value: Any) -> str:
    """A malformed id in a body is a fault with a small f in its reason (§2.4)."""
    text = str(value)
    if not UUID.match(text):
        raise Fault(400, f"Invalid UUID string: {text}", "Operation failed")
    return text.lower()


def flag(tree: Tree, key: str, default: bool) -> bool:
    value = tree.get(key)
    return default if value is None or value == "" else str(value).strip().lower() == "true"


def number(tree: Tree, key: str) -> int | None:
    value = tree.get(key)
    try:
        return None if value is None else int(value)
    except ValueError:
        raise Fault(400, "For correct usage, see: apidoc", "Request syntactically incorrect.") from None


def child(tree: Tree, key: str) -> Tree:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def items(tree: Tree, collection: str, item: str) -> list[Tree] | None:
    """None: the collection is absent; an empty list: it is there, and empty. The difference can decide (§5.1)."""
    value = tree.get(collection)
    if value is None:
        return None
    inner = value.get(item) if isinstance(value, dict) else value
    return [one if isinstance(one, dict) else {} for one in inner or []]


def identity(tree: Tree, key: str) -> str | None:
    """The id of a reference: ``<snapshot id="…"/>``."""
    value = child(tree, key).get("id")
    return None if value is None else uuid(value)


# What the classes know, for the JSON reader that refuses everything else.
_ENTITY = {"id", "href", "name", "description", "comment", "link", "actions"}
FIELDS = {
    "Snapshot": _ENTITY
    | {"date", "persist_memorystate", "snapshot_status", "snapshot_type", "disk_attachments", "disks", "nics", "cdroms", "vm", "initialization", "memory"}
    | {"bios", "cluster", "cpu", "os", "type", "template", "host", "lease", "stateless", "status"},
    "DiskAttachment": _ENTITY
    | {"active", "bootable", "disk", "host", "interface", "logical_name", "pass_discard", "read_only", "template", "uses_scsi_reservation", "vm"},
    "Disk": _ENTITY
    | {"active", "actual_size", "alias", "backup", "bootable", "content_type", "disk_profile", "disk_snapshots", "format", "image_id", "initial_size"}
    | {"instance_type", "interface", "logical_name", "lun_storage", "openstack_volume_type", "permissions", "propagate_errors", "provisioned_size"}
    | {"qcow_version", "quota", "read_only", "sgio", "shareable", "snapshot", "sparse", "statistics", "status", "storage_domain", "storage_domains"}
    | {"storage_type", "template", "total_size", "uses_scsi_reservation", "vm", "vms", "wipe_after_delete"},
    "Action": _ENTITY
    | {"async", "disks", "disk", "fault", "force", "grace_period", "job", "lease", "restore_memory", "snapshot", "status", "storage_domain", "vm", "pause"}
    | {"filter", "use_cloud_init", "use_sysprep", "use_initialization", "volatile", "reason", "exclusive", "discard_snapshots", "host", "cluster"},
}
NESTED = {"disk_attachment": "DiskAttachment", "disk": "Disk", "snapshot": "Snapshot", "action": "Action"}
