# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Editing a domain's XML: its record, what its disks show, its passwords, its name."""

from __future__ import annotations

from typing import Any

from .dom import add, children, document, drop, remove, text_of
from .record import ELEMENT, NAMESPACE, PREFIX, Record
from .xml import Source

SECRETS = ("passwd", "passwdValidTo", "connected")


def disk_nodes(domain: Any) -> dict[str, Any]:
    return {targets[0].getAttribute("dev"): disk for disk in children(domain, "devices", "disk") for targets in [children(disk, "target")] if targets}


def put_record(domain: Any, record: Record) -> None:
    """Replace the record in the domain's metadata; an empty record leaves no element behind."""
    holders = children(domain, "metadata")
    if not holders:
        if not record:
            return
        holders = [add(domain, "metadata")]
    for old in [child for child in holders[0].childNodes if child.nodeType == child.ELEMENT_NODE and child.namespaceURI == NAMESPACE]:
        remove(old)
    if record:
        holders[0].appendChild(_record_element(domain.ownerDocument, record))


def _record_element(owner: Any, record: Record) -> Any:
    element = owner.createElementNS(NAMESPACE, f"{PREFIX}:{ELEMENT}")
    element.setAttribute(f"xmlns:{PREFIX}", NAMESPACE)
    element.appendChild(owner.createTextNode(record.dumps()))
    return element


def point(disk: Any, source: Source) -> None:
    """Let a disk element show another file; what libvirt knew of the old chain goes, it is found again at the next start."""
    owner = disk.ownerDocument
    disk.setAttribute("type", "file")
    drop(disk, "backingStore")
    drop(disk, "mirror")
    nodes = children(disk, "source") or [add(disk, "source")]
    names = nodes[0].attributes.keys()  # this mapping cannot be iterated
    for name in [name for name in names if name != "startupPolicy"]:
        nodes[0].removeAttribute(name)
    nodes[0].setAttribute("file", source.path)
    drivers = children(disk, "driver")
    if not drivers:
        drivers = [disk.insertBefore(owner.createElement("driver"), disk.firstChild)]
        drivers[0].setAttribute("name", "qemu")
    drivers[0].setAttribute("type", source.format)


def without_secrets(text: str) -> str:
    """A domain's XML less the passwords of its graphics."""
    doc = document(text)
    for graphics in children(doc.documentElement, "devices", "graphics"):
        for name in SECRETS:
            if graphics.hasAttribute(name):
                graphics.removeAttribute(name)
    return text_of(doc)


def carry_secrets(source: Any, target: Any) -> list[str]:
    """Copy the passwords of ``source``'s graphics to those of the same type; returns the types that have no counterpart."""
    free = children(target, "devices", "graphics")
    left = []
    for graphics in children(source, "devices", "graphics"):
        kept = [name for name in SECRETS if graphics.hasAttribute(name)]
        same = [other for other in free if other.getAttribute("type") == graphics.getAttribute("type")]
        if same:
            free.remove(same[0])
            for name in kept:
                same[0].setAttribute(name, graphics.getAttribute(name))
        elif kept:
            left.append(graphics.getAttribute("type"))
    return left


def rename(domain: Any, name: str) -> None:
    children(domain, "name")[0].firstChild.data = name
