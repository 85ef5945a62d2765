# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine says of a VM, as it says it: rows, images and their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

AUTO_GENERATED = re.compile("Auto-generated for (Live Storage Migration|Backup VM)")
"""Snapshots that the engine makes for its own work and takes away when it is done. They are never touched."""


def rows(vm: Any, kind: str) -> list[Any]:
    """The snapshots of a type (active, preview, regular, stateless), the oldest first."""
    return [row for row in vm.snapshots or () if str(row.snapshot_type) == kind]


def row(vm: Any, kind: str) -> Any:
    """The one snapshot of that type, or None."""
    return next(iter(rows(vm, kind)), None)


def regular(vm: Any, snapshot_id: str) -> Any:
    return next((found for found in rows(vm, "regular") if found.id == snapshot_id), None)


def named(row: Any) -> tuple[str, str]:
    """Name and description of a snapshot, which an engine keeps in one text: the name is its first line."""
    name, _newline, rest = str(row.description or "").partition("\n")
    return name, rest


def attachments(vm: Any) -> list[Any]:
    """The attachments, the bootable disk first, then by name: the engine gives them in no order."""
    return sorted(vm.disk_attachments or (), key=lambda found: (not found.bootable, found.disk.alias or "", found.id))


def why_fixed(disk: Any) -> str:
    """Why a disk cannot take part in snapshots; empty when it can."""
    if str(disk.storage_type) == "lun":
        return "it is a direct LUN"
    if str(disk.storage_type) != "image":
        return f"it is stored as {disk.storage_type}"
    return "it is shareable" if disk.shareable else ""


def snapshottable(vm: Any) -> list[Any]:
    return [found for found in attachments(vm) if not why_fixed(found.disk)]


def images(disk: Any) -> list[Any]:
    """All images of a disk, as disk snapshots. The one without a snapshot is active."""
    return list(disk.disk_snapshots or ())


def label(image: Any) -> str:
    """Id of the snapshot that froze the image; empty for the active one."""
    return str(image.snapshot.id) if image.snapshot else ""


def image_of(disk: Any, snapshot_id: str) -> str | None:
    """Id of the image that a snapshot holds of the disk."""
    return next((str(image.id) for image in images(disk) if label(image) == snapshot_id), None)


def locked(vm: Any) -> Iterator[str]:
    """What is being worked on, in words; nothing at rest."""
    if str(vm.status) == "image_locked":
        yield f"VM {vm.name}"
    for found in vm.snapshots or ():
        if str(found.snapshot_status) == "locked":
            yield f"snapshot {found.description}"
    for found in attachments(vm):
        if str(found.disk.status) == "locked" or any(str(image.status) == "locked" for image in images(found.disk)):
            yield f"disk {found.disk.alias}"


def held(vm: Any, snapshot_id: str) -> list[str]:
    """Ids of the attached disks of which a snapshot holds an image."""
    return [found.disk.id for found in snapshottable(vm) if image_of(found.disk, snapshot_id)]


def foreign(vm: Any) -> list[str]:
    """The snapshots of a backup or a migration that is going on: they will go."""
    return [str(found.description) for found in rows(vm, "regular") if AUTO_GENERATED.search(found.description or "")]


def is_locked(vm: Any) -> bool:
    return next(locked(vm), None) is not None


def is_quiet(vm: Any) -> bool:
    return not is_locked(vm) and not foreign(vm)
