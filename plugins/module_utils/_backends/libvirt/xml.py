# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain and snapshot XML: what is read from it, and how it is changed.

Reading uses ElementTree. Changing uses minidom, because it keeps the prefixes and the white space of what it does not touch, so
that an undone domain is the same to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.dom import minidom
from xml.etree import ElementTree

from ..._engine.model import Disk
from .record import ELEMENT, NAMESPACE, PREFIX, Record

AGENT = "org.qemu.guest_agent.0"
REMOVABLE = ("cdrom", "floppy")
SECRETS = ("passwd", "passwdValidTo", "connected")


@dataclass(frozen=True)
class Source:
    """Where a disk's data are: the file and its format."""

    path: str
    format: str


def parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def record_of(domain: ElementTree.Element) -> Record:
    """The record in a domain's metadata; an unreadable one raises ValueError, for nothing may be concluded from it."""
    found = domain.find(f"metadata/{{{NAMESPACE}}}{ELEMENT}")
    return Record.loads(found.text or "") if found is not None else Record()


def disk_elements(domain: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    """(target, element) of each disk, in the domain's order."""
    for element in domain.findall("devices/disk"):
        target = element.find("target")
        if target is not None and target.get("dev"):
            yield str(target.get("dev")), element


def sources(domain: ElementTree.Element) -> dict[str, Source]:
    """Target -> source, for disks that are files."""
    found = {}
    for target, element in disk_elements(domain):
        source, driver = element.find("source"), element.find("driver")
        if element.get("type") == "file" and source is not None and source.get("file"):
            found[target] = Source(str(source.get("file")), (driver.get("type") if driver is not None else None) or "raw")
    return found


def chain_of(element: ElementTree.Element) -> list[str]:
    """The files of a running disk's chain, from the top down."""
    found = []
    level: ElementTree.Element | None = element
    while level is not None:
        source = level.find("source")
        if source is not None and source.get("file"):
            found.append(str(source.get("file")))
        level = level.find("backingStore")
    return found


def disks(domain: ElementTree.Element) -> tuple[Disk, ...]:
    """The disks of a domain; what cannot take part in snapshots says why."""
    elements = list(disk_elements(domain))
    boot = _bootable(domain, elements)
    return tuple(_disk(target, element, target == boot) for target, element in elements)


def _disk(target: str, element: ElementTree.Element, bootable: bool) -> Disk:
    serial = (element.findtext("serial") or "").strip()
    alias = element.find("alias")
    own = str(alias.get("name"))[3:] if alias is not None and str(alias.get("name", "")).startswith("ua-") else ""
    source = element.find("source")
    path = (source.get("file") or source.get("dev") or source.get("pool") or "") if source is not None else ""
    return Disk(
        id=target,
        name=own or serial or target,
        target=target,
        bootable=bootable,
        fixed=_fixed(element),
        serial=serial,
        storage=path.rpartition("/")[0] or path,
        removable=element.get("device", "disk") in REMOVABLE,
    )


def _fixed(element: ElementTree.Element) -> str:
    device, kind = element.get("device", "disk"), element.get("type", "file")
    if device != "disk":
        return {"lun": "a LUN passed through to the guest"}.get(device, f"a {device} drive")
    for flag, why in (("readonly", "read-only"), ("shareable", "shareable"), ("transient", "transient")):
        if element.find(flag) is not None:
            return why
    if kind != "file":
        return f"a disk of type {kind}; only files are supported"
    if element.find("source/encryption") is not None or element.find("encryption") is not None:
        return "encrypted"
    if element.find("source") is None:
        return "without a source"
    return ""


def _bootable(domain: ElementTree.Element, elements: list[tuple[str, ElementTree.Element]]) -> str:
    """The target of the disk that the firmware tries first: the lowest boot order, else the first disk."""
    real = [(target, element) for target, element in elements if element.get("device", "disk") not in REMOVABLE]
    ordered = [(int(boot.get("order", "0")), target) for target, element in real for boot in element.findall("boot")]
    if ordered:
        return min(ordered)[1]
    if any(boot.get("order") for boot in domain.findall("devices/*/boot")):
        return ""
    return real[0][0] if real else ""


def agent_connected(live: ElementTree.Element) -> bool:
    return any(target.get("name") == AGENT and target.get("state") == "connected" for target in live.findall("devices/channel/target"))


def file_name(vm_name: str) -> str:
    """A VM's name as a part of a file name: only characters that mean nothing to any shell, path or URI."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", vm_name)[:80]


# --- changing ------------------------------------------------------------------------------------------------------------------


def document(text: str) -> Any:
    return minidom.parseString(text)


def text_of(node: Any) -> str:
    """The XML text, without the declaration that libvirt does not want."""
    element: Any = node.documentElement if isinstance(node, minidom.Document) else node
    return str(element.toxml())


def children(parent: Any, *path: str) -> list[Any]:
    """The elements at a path below ``parent``, such as ("devices", "disk")."""
    level = [parent]
    for name in path:
        level = [child for element in level for child in element.childNodes if child.nodeType == child.ELEMENT_NODE and child.nodeName == name]
    return level


def disk_nodes(domain: Any) -> dict[str, Any]:
    return {targets[0].getAttribute("dev"): disk for disk in children(domain, "devices", "disk") for targets in [children(disk, "target")] if targets}


def drop(parent: Any, *path: str) -> None:
    """Remove the elements at the path, with the line break before each."""
    for element in children(parent, *path):
        before = element.previousSibling
        if before is not None and before.nodeType == before.TEXT_NODE and not before.data.strip():
            before.parentNode.removeChild(before)
        element.parentNode.removeChild(element)


def put_record(domain: Any, record: Record) -> None:
    """Replace the record in the domain's metadata; an empty record leaves no element behind."""
    holders = children(domain, "metadata")
    if not holders:
        if not record:
            return
        holders = [domain.appendChild(domain.ownerDocument.createElement("metadata"))]
    for old in [child for child in holders[0].childNodes if child.nodeType == child.ELEMENT_NODE and child.namespaceURI == NAMESPACE]:
        before = old.previousSibling
        if before is not None and before.nodeType == before.TEXT_NODE:
            holders[0].removeChild(before)
        holders[0].removeChild(old)
    if record:
        holders[0].appendChild(record_element(domain.ownerDocument, record))


def record_element(owner: Any, record: Record) -> Any:
    element = owner.createElementNS(NAMESPACE, f"{PREFIX}:{ELEMENT}")
    element.setAttribute(f"xmlns:{PREFIX}", NAMESPACE)
    element.appendChild(owner.createTextNode(record.dumps()))
    return element


def record_xml(record: Record) -> str:
    """The record as libvirt's setMetadata wants it: the element alone, whose namespace it declares itself."""
    owner: Any = minidom.Document()
    element = owner.createElement(ELEMENT)
    element.appendChild(owner.createTextNode(record.dumps()))
    return text_of(element)


def point(disk: Any, source: Source) -> None:
    """Let a disk element show another file; what libvirt knew of the old chain goes, it is found again at the next start."""
    owner = disk.ownerDocument
    disk.setAttribute("type", "file")
    drop(disk, "backingStore")
    drop(disk, "mirror")
    nodes = children(disk, "source") or [disk.appendChild(owner.createElement("source"))]
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


def composed(current: str, config: str | None, files: Mapping[str, Source], coming_back: Mapping[str, Any], excluded: tuple[str, ...]) -> tuple[Any, list[str]]:
    """The domain that a preview shows, and the graphics whose passwords found no place in it.

    ``files``: target -> what the disk shows, for each disk that is not left exactly as it is. The disks of the result are the current
    ones less the excluded, plus those in ``files``; drives for removable media come with the configuration. ``coming_back``: target -> element,
    for those in ``files`` that the current configuration lacks; used where the older one lacks them too.
    """
    now = document(current).documentElement
    doc = document(config or current)
    domain = doc.documentElement
    here, there = disk_nodes(now), disk_nodes(domain)
    if config:
        _as_current(domain, now)
    for target, node in there.items():
        attached = (target in here or target in files) and target not in excluded
        if not attached and node.getAttribute("device") not in REMOVABLE:
            _remove(node)
    for target, node in here.items():
        if target not in there and target not in excluded and node.getAttribute("device") not in REMOVABLE:
            _adopt(domain, node)
    for target, node in coming_back.items():
        if target not in there:
            _adopt(domain, node)
    present = disk_nodes(domain)
    if config:
        for target, node in here.items():
            if target not in files and target in present and node.getAttribute("device") not in REMOVABLE:
                _same_source(present[target], node)
    for target, source in files.items():
        if target in present:
            point(present[target], source)
    return doc, carry_secrets(now, domain)


def _remove(node: Any) -> None:
    before = node.previousSibling
    if before is not None and before.nodeType == before.TEXT_NODE:
        before.parentNode.removeChild(before)
    node.parentNode.removeChild(node)


def _as_current(domain: Any, now: Any) -> None:
    """An older configuration may have another name and the passwords of its day: a domain's name is looked up once and stays."""
    rename(domain, children(now, "name")[0].firstChild.data)
    for attribute in ("id",):
        if domain.hasAttribute(attribute):
            domain.removeAttribute(attribute)


def rename(domain: Any, name: str) -> None:
    children(domain, "name")[0].firstChild.data = name


def _adopt(domain: Any, node: Any) -> None:
    """Bring a disk that the older configuration does not know into it: its address and boot order may be taken there."""
    copy = domain.ownerDocument.importNode(node, True)
    drop(copy, "address")
    aliases = {alias.getAttribute("name") for device in _devices(domain) for alias in children(device, "alias")}
    if any(not alias.getAttribute("name").startswith("ua-") or alias.getAttribute("name") in aliases for alias in children(copy, "alias")):
        drop(copy, "alias")  # libvirt's own, or taken; a user's alias is the disk's name
    taken = {boot.getAttribute("order") for device in _devices(domain) for boot in children(device, "boot")}
    if any(boot.getAttribute("order") in taken for boot in children(copy, "boot")):
        drop(copy, "boot")
    children(domain, "devices")[0].appendChild(copy)


def _devices(domain: Any) -> list[Any]:
    return [device for device in children(domain, "devices")[0].childNodes if device.nodeType == device.ELEMENT_NODE]


def _same_source(target: Any, node: Any) -> None:
    """A kept disk shows what it shows now, whatever the older configuration says."""
    for name in ("source", "driver", "backingStore"):
        drop(target, name)
        for element in children(node, name):
            target.appendChild(target.ownerDocument.importNode(element, True))
    target.setAttribute("type", node.getAttribute("type"))


def redefined(text: str, images: Mapping[str, Source | None], overlays: Mapping[str, str]) -> str:
    """A snapshot's XML with other images.

    ``images``: target -> the image it holds, None where it holds none any more; ``overlays``: target -> the file on top of it.
    """
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
            nodes = children(disk, "source") or [disk.appendChild(doc.createElement("source"))]
            nodes[0].setAttribute("file", overlays[target])
    for kind in ("domain", "inactiveDomain"):
        for domain in children(snapshot, kind):
            for target, node in disk_nodes(domain).items():
                source = images.get(target)
                if source is not None:
                    point(node, source)
    return text_of(doc)


def would_be_empty(snapshot: ElementTree.Element, images: Mapping[str, Source | None]) -> bool:
    """Whether the snapshot would hold no disk any more, and is of a kind that must hold one (or memory)."""
    held = {disk.get("name") for disk in snapshot.findall("disks/disk") if disk.get("snapshot") == "external"}
    memory = snapshot.find("memory")
    has_memory = memory is not None and memory.get("snapshot") == "external"
    return not has_memory and not is_configuration_alone(snapshot) and held <= {target for target, source in images.items() if source is None}


def is_configuration_alone(snapshot: ElementTree.Element) -> bool:
    """Whether it is of the kind that may hold no disk."""
    return snapshot.findtext("state") == "disk-snapshot"


def configuration_alone(text: str, images: Mapping[str, Source | None]) -> str:
    """A snapshot's XML as that of one of the configuration alone."""
    doc = document(redefined(text, images, {}))
    children(doc.documentElement, "state")[0].firstChild.data = "disk-snapshot"
    return text_of(doc)


def with_parent(text: str, name: str) -> str:
    """A snapshot's XML with another parent."""
    doc = document(text)
    drop(doc.documentElement, "parent")
    parent = doc.documentElement.appendChild(doc.createElement("parent"))
    parent.appendChild(doc.createElement("name")).appendChild(doc.createTextNode(name))
    return text_of(doc)
