# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a snapshot's configuration (its OVF) says of disks and name: how a preview will show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree import ElementTree

from ..._engine.model import Disk, Hardware

OVF = "{http://schemas.dmtf.org/ovf/envelope/1/}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
CPU, MEMORY, DISK, NIC = "3", "4", "17", "10"
"""Kinds of devices."""
MIB = 1 << 20


@dataclass(frozen=True)
class Flags:
    """How a disk was attached."""

    bootable: bool
    interface: str
    pass_discard: bool
    alias: str
    plugged: bool = True
    read_only: bool = False

    def on(self, disk: Disk) -> Disk:
        """The disk with these flags; its name is the present one, by which users know it."""
        return replace(
            disk,
            bootable=self.bootable,
            interface=self.interface,
            pass_discard=self.pass_discard,
            alias=self.alias,
            plugged=self.plugged,
            read_only=self.read_only,
        )


@dataclass(frozen=True)
class Config:
    """The parts of a configuration that matter here; ``disks`` by disk id."""

    name: str = ""
    disks: Mapping[str, Flags] = field(default_factory=dict)
    hardware: Hardware | None = None


def config(row: Any) -> Config:
    """The configuration of a snapshot that was read with its OVF; an empty one where there is none that can be read."""
    held = row.initialization.configuration.data if row.initialization and row.initialization.configuration else None
    try:
        root = ElementTree.fromstring(held.encode()) if held else None
    except ElementTree.ParseError:
        root = None
    if root is None:
        return Config()
    devices = {item.findtext(f"{RASD}InstanceId"): item for item in root.iter("Item") if item.findtext(f"{RASD}ResourceType") == DISK}
    disks = {}
    for element in root.iter("Disk"):
        disk_id = element.get(f"{OVF}fileRef", "").partition("/")[0]
        device = devices.get(element.get(f"{OVF}diskId"))
        if disk_id:
            disks[disk_id] = _flags(element, device)
    return Config(root.findtext("Content/Name") or "", disks, _hardware(root))


def _hardware(root: ElementTree.Element) -> Hardware:
    items = [(item.findtext(f"{RASD}ResourceType"), item) for item in root.iter("Item")]
    amounts = {kind: int(item.findtext(f"{RASD}VirtualQuantity") or 0) or None for kind, item in items if kind in (CPU, MEMORY)}
    macs = sorted(item.findtext(f"{RASD}MACAddress") or "" for kind, item in items if kind == NIC)
    megabytes = amounts.get(MEMORY)
    return Hardware(amounts.get(CPU), megabytes * MIB if megabytes else None, tuple(mac for mac in macs if mac))


def _flags(element: ElementTree.Element, device: ElementTree.Element | None) -> Flags:
    return Flags(
        bootable=element.get(f"{OVF}boot") == "true",
        interface=element.get(f"{OVF}disk-interface", "").lower(),
        pass_discard=element.get(f"{OVF}pass-discard") == "true",
        alias=element.get(f"{OVF}disk-alias", ""),
        plugged=device is None or device.findtext("IsPlugged") != "false",
        read_only=device is not None and device.findtext("IsReadOnly") == "true",
    )
