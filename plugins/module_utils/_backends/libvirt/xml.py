# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain and snapshot XML: what is read from it. dom.py and edit.py change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from ..._engine.model import Hardware
from .record import ELEMENT, NAMESPACE, Record

AGENT = "org.qemu.guest_agent.0"
KIB = 1024
REMOVABLE = ("cdrom", "floppy")


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


def agent_connected(live: ElementTree.Element) -> bool:
    return any(target.get("name") == AGENT and target.get("state") == "connected" for target in live.findall("devices/channel/target"))


def config_of(snapshot: ElementTree.Element) -> ElementTree.Element | None:
    """The configuration that a snapshot holds: what the next start would have used."""
    inactive = snapshot.find("inactiveDomain")
    return inactive if inactive is not None else snapshot.find("domain")


def made_overlays(snapshot: ElementTree.Element) -> dict[str, str]:
    """Target -> the file that was put on top of the disk by this snapshot."""
    found = {}
    for disk in snapshot.findall("disks/disk"):
        source = disk.find("source")
        if disk.get("snapshot") == "external" and source is not None and source.get("file"):
            found[str(disk.get("name"))] = str(source.get("file"))
    return found


def held_images(snapshot: ElementTree.Element) -> dict[str, Source]:
    """Target -> the image that the snapshot holds, for the disks that took part."""
    domain = snapshot.find("domain")
    frozen = sources(domain) if domain is not None else {}
    return {target: frozen[target] for target in made_overlays(snapshot) if target in frozen}


def hardware(domain: ElementTree.Element) -> Hardware:
    vcpus, memory = domain.find("vcpu"), domain.findtext("currentMemory") or domain.findtext("memory")
    macs = (mac.get("address", "") for mac in domain.findall("devices/interface/mac"))
    return Hardware(
        vcpus=int(vcpus.get("current") or vcpus.text or 1) if vcpus is not None else None,
        memory=int(memory) * KIB if memory else None,  # libvirt itself always writes them in KiB
        nics=tuple(sorted(mac for mac in macs if mac)),
    )


def memory_of(snapshot: ElementTree.Element) -> str | None:
    memory = snapshot.find("memory")
    return memory.get("file") if memory is not None and memory.get("snapshot") == "external" else None
