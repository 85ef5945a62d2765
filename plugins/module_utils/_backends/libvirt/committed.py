# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last commit, for as long as the VM still is what it committed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from ..._engine.model import Composition, Vm
from .raw import Raw
from .record import Record
from .sdk import libvirt


def committed(vm: Vm, raw: Raw, domain: libvirt.virDomain) -> Composition | None:
    """The last commit's composition, if nothing was written or changed since: a fresh overlay grows with the first write to it."""
    last = _last(raw.record)
    if not last or vm.preview:
        return None
    shows = Composition.from_dict(last["shows"])
    if (vm.power == "suspended") != shows.memory or vm.power not in ("down", "suspended"):
        return None
    digest = config_digest(raw.domain)
    if last.get("config", digest) != digest:  # absent in a commit's tail, until that is cleared up
        return None
    sources = {*shows.sources.values(), *([shows.config] if shows.config else [])}
    if not sources <= {snapshot.id for snapshot in vm.snapshots}:
        return None
    for target, (path, length) in last["fresh"].items():
        held = vm.snapshot(shows.disks[target]).images.get(target)
        image = vm.images.get(path)
        if vm.leaf.get(target) != path or image is None or image.parent != held or image.missing or _length(domain, target) != length:
            return None
    return shows if all(disk not in vm.leaf for disk in shows.excluded) else None


def _last(record: Record) -> Mapping[str, Any] | None:
    """The last commit, as it is noted once unfinished work is settled."""
    if record.phase == "tail":
        return record.work.get("last") if record.work else None
    return record.last if record.phase in ("", "entering") else None


def _length(domain: libvirt.virDomain, target: str) -> int | None:
    """How far the disk's file reaches, in bytes; None when it cannot be read."""
    try:
        return int(domain.blockInfo(target)[2])
    except libvirt.libvirtError:
        return None


def config_digest(domain: ElementTree.Element) -> str:
    """What stays the same as long as nobody edits the configuration."""
    copy = ElementTree.fromstring(ElementTree.tostring(domain))
    for metadata in copy.findall("metadata"):
        copy.remove(metadata)
    for element in copy.iter():
        element.tail, element.text = None, (element.text or "").strip() or None
    return hashlib.sha256(ElementTree.tostring(copy)).hexdigest()[:16]
