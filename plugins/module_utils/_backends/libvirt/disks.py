# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a domain: their names, the one that boots, and why some cannot take part in snapshots."""

from __future__ import annotations

from xml.etree import ElementTree

from ..._engine.model import Disk
from .xml import REMOVABLE, disk_elements


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
