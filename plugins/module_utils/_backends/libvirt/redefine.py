# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling a snapshot where its images are now, or that it holds some no more: libvirt lets its metadata be written anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable
from xml.etree import ElementTree

from . import edit
from .desk import Args, Desk
from .dom import add, children, document, drop, text_of
from .raw import Raw
from .record import pack, unpack
from .sdk import libvirt
from .xml import Source, memory_of, parse

Images = Mapping[str, "Source | None"]
"""Target -> the image that the snapshot holds, None where it holds none any more."""


def redefine(desk: Desk, args: Args) -> None:
    name = args["snapshot"]
    raw = desk.raw()
    changes = (raw.record.work or {})["snapshots"][name]
    images = {target: Source(*source) if source else None for target, source in changes["images"].items()}
    if "anew" in changes or _would_be_empty(raw.snapshots[name], images):
        _make_anew(desk, raw, name, images)
    else:
        _rewrite(desk, name, lambda text: _redefined(text, images, changes["overlays"]))


def current(desk: Desk, args: Args) -> None:
    """Let the next snapshot follow this one."""
    _rewrite(desk, args["snapshot"], lambda text: text, current=True)


def _make_anew(desk: Desk, raw: Raw, name: str, images: Images) -> None:
    """Let a snapshot hold the configuration alone.

    libvirt has one kind of snapshot for this and another for those of a VM that was down, and changes none into the other. So the
    snapshot is forgotten and made again, from the record if this run dies in between.
    """
    work = raw.record.work or {}
    changes = dict(work["snapshots"][name])
    if "anew" not in changes:
        old = desk.domain.snapshotLookupByName(name)
        below = [child.getName() for child in old.listAllChildren()]
        changes.update({"anew": pack(_configuration_alone(old.getXMLDesc(), images)), "current": bool(old.isCurrent()), "children": below})
        desk.note(raw, {**work, "snapshots": {**work["snapshots"], name: changes}})
    for snapshot in desk.domain.listAllSnapshots():
        if snapshot.getName() == name and not _is_configuration_alone(parse(snapshot.getXMLDesc())):
            snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    _put(desk, unpack(changes["anew"]), changes["current"])
    for child in changes["children"]:  # libvirt gave them to the parent of the forgotten one
        _rewrite(desk, child, lambda text: _with_parent(text, name))


def _rewrite(desk: Desk, name: str, change: Callable[[str], str], current: bool = False) -> None:
    snapshot = desk.domain.snapshotLookupByName(name)
    current = current or bool(snapshot.isCurrent())
    _put(desk, change(snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)), current)


def _put(desk: Desk, text: str, current: bool) -> None:
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if current else 0)
    desk.domain.snapshotCreateXML(text, flags)


def _redefined(text: str, images: Images, overlays: Mapping[str, str]) -> str:
    """A snapshot's XML with other images. ``overlays``: target -> the file on top of the image that it holds."""
    doc = document(text)
    snapshot = doc.documentElement
    for disk in children(snapshot, "disks", "disk"):
        target = disk.getAttribute("name")
        if target in images and images[target] is None:
            disk.setAttribute("snapshot", "no")
            for name in ("source", "driver"):
                drop(disk, name)
            if disk.hasAttribute("type"):
                disk.removeAttribute("type")
        elif target in overlays:
            nodes = children(disk, "source") or [add(disk, "source")]
            nodes[0].setAttribute("file", overlays[target])
    for kind in ("domain", "inactiveDomain"):
        for domain in children(snapshot, kind):
            for target, node in edit.disk_nodes(domain).items():
                source = images.get(target)
                if source is not None:
                    edit.point(node, source)
    return text_of(doc)


def _would_be_empty(snapshot: ElementTree.Element, images: Images) -> bool:
    """Whether the snapshot would hold no disk any more, and is of a kind that must hold one (or memory)."""
    held = {disk.get("name") for disk in snapshot.findall("disks/disk") if disk.get("snapshot") == "external"}
    given_up = {target for target, source in images.items() if source is None}
    return memory_of(snapshot) is None and not _is_configuration_alone(snapshot) and held <= given_up


def _is_configuration_alone(snapshot: ElementTree.Element) -> bool:
    """Whether it is of the kind that may hold no disk."""
    return snapshot.findtext("state") == "disk-snapshot"


def _configuration_alone(text: str, images: Images) -> str:
    """A snapshot's XML as that of one of the configuration alone."""
    doc = document(_redefined(text, images, {}))
    children(doc.documentElement, "state")[0].firstChild.data = "disk-snapshot"
    return text_of(doc)


def _with_parent(text: str, name: str) -> str:
    """A snapshot's XML with another parent."""
    doc = document(text)
    drop(doc.documentElement, "parent")
    add(add(doc.documentElement, "parent"), "name", name)
    return text_of(doc)
