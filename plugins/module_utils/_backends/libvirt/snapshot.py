# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of a snapshot: as libvirt is asked to take it, and as libvirt would have noted one that it took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import edit, xml
from .desk import Args, Desk
from .dom import add, new, text_of
from .raw import Raw
from .sdk import libvirt
from .storage import OVERLAY_FORMAT
from .xml import Source


def snapshot_xml(raw: Raw, work: Args) -> str:
    """One line for *every* disk: libvirt snapshots each disk that is not mentioned."""
    root = _head(work)
    if work["snapshot"]["memory"]:
        add(root, "memory", snapshot="external", file=work["snapshot"]["memory"])
    else:
        add(root, "memory", snapshot="no")
    _disk_lines(root, [target for target, _element in xml.disk_elements(raw.domain)], work)
    return text_of(root)


def note_taken(desk: Desk, work: Args) -> None:
    """Note a snapshot without taking it: of the configuration alone, or one whose disks were switched when libvirtd died."""
    domain = desk.document().documentElement
    parent = desk.domain.snapshotCurrent().getName() if desk.domain.hasCurrentSnapshot() else None
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
    desk.domain.snapshotCreateXML(_taken_xml(domain, work, parent), flags)


def _taken_xml(domain: Any, work: Args, parent: str | None) -> str:
    root = _head(work)
    add(root, "state", "disk-snapshot")
    add(root, "creationTime", str(int(work["snapshot"]["created"])))
    if parent:
        add(add(root, "parent"), "name", parent)
    add(root, "memory", snapshot="no")
    nodes = edit.disk_nodes(domain)
    _disk_lines(root, nodes, work)
    for target, (base, kind, _path) in work["disks"].items():
        edit.point(nodes[target], Source(base, kind))
    root.appendChild(domain)
    return text_of(root)


def _head(work: Args) -> Any:
    root = new("domainsnapshot")
    add(root, "name", work["snapshot"]["name"])
    if work["snapshot"]["description"]:
        add(root, "description", work["snapshot"]["description"])
    return root


def _disk_lines(root: Any, targets: Iterable[str], work: Args) -> None:
    disks = add(root, "disks")
    for target in targets:
        chosen = work["disks"].get(target)
        disk = add(disks, "disk", name=target, snapshot="external" if chosen else "no")
        if chosen:
            add(disk, "driver", type=OVERLAY_FORMAT)
            add(disk, "source", file=chosen[2])
