# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domain that a preview shows: an older configuration or the current one, with the disks of the composition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .dom import children, document, drop, remove
from .edit import carry_secrets, disk_nodes, point, rename
from .xml import REMOVABLE, Source


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
            remove(node)
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


def _as_current(domain: Any, now: Any) -> None:
    """An older configuration may have another name and the passwords of its day: a domain's name is looked up once and stays."""
    rename(domain, children(now, "name")[0].firstChild.data)
    if domain.hasAttribute("id"):
        domain.removeAttribute("id")


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
