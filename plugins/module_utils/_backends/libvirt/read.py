# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a domain and its snapshots to a Vm: one reading, computed from XML; files are asked for their sizes and whether they are there.

What an interrupted run left is shown as the state that settling it leads to (see record.py for the phases).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from ..._engine.errors import Busy, VmError
from ..._engine.model import Composition, Snapshot, Vm
from . import xml
from .committed import committed
from .disks import disks
from .images import graph, with_files
from .problems import problems
from .raw import Raw, read_raw
from .record import Record, unpack
from .sdk import libvirt
from .settled import settled
from .storage import Storage

ATTEMPTS = 10
"""How often a VM is read that others change meanwhile."""


def read(domain: libvirt.virDomain, storage: Storage, with_users: bool) -> Vm:
    """``with_users``: also what else uses the images, which means a look at every file of every pool.

    Whoever works on the VM meanwhile notes each stage in the configuration. When that changed, what was read is of several moments.
    """
    for _attempt in range(ATTEMPTS):
        before = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        try:
            vm = _read(domain, storage, with_users)
        except (libvirt.libvirtError, VmError, LookupError):
            if domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == before:
                raise
            continue
        if domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == before:
            return vm
    raise Busy(f"VM {domain.name()} changes while it is read", "vm_busy", "something else works on the VM; run again when it is done")


def _read(domain: libvirt.virDomain, storage: Storage, with_users: bool) -> Vm:
    raw = read_raw(domain)
    origin = _origin(raw)
    vm = Vm(
        id=domain.UUIDString(),
        name=domain.name(),
        power=_power(domain, raw),
        disks=disks(origin),
        snapshots=_snapshots(raw),
        leaf={target: source.path for target, source in xml.sources(origin).items()},
        agent=xml.agent_connected(raw.live) if raw.live is not None else None,
        requests={key: Composition.from_dict(shows) for key, shows in _requests(raw.record).items()},
        checkpoints=_checkpoints(domain),
        hardware=xml.hardware(origin),
    )
    vm = settled(replace(vm, images=graph(vm, raw)), raw)
    vm = with_files(vm, raw, storage, with_users)
    return replace(vm, committed=committed(vm, raw, domain), problems=problems(vm, raw, domain, storage))


def _requests(record: Record) -> Mapping[str, Any]:
    """What was carried out, with a request whose commit is past its point of no return."""
    work = record.work or {}
    request_id, shows = work.get("done", ("", {}))
    return {**record.requests, request_id: shows} if request_id else record.requests


def _origin(raw: Raw) -> ElementTree.Element:
    """The configuration outside a preview."""
    return xml.parse(unpack(raw.record.work["origin"])) if raw.record.work and raw.record.phase == "open" else raw.domain


def _power(domain: libvirt.virDomain, raw: Raw) -> str:
    if raw.live is not None:
        return "paused" if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED else "up"
    return "suspended" if raw.saved else "down"


def _checkpoints(domain: libvirt.virDomain) -> tuple[str, ...]:
    try:
        return tuple(sorted(checkpoint.getName() for checkpoint in domain.listAllCheckpoints()))
    except (libvirt.libvirtError, AttributeError):
        return ()  # a libvirt without checkpoints has none


def _snapshots(raw: Raw) -> tuple[Snapshot, ...]:
    """In the order in which they were made; parents before their children."""
    parents = {name: element.findtext("parent/name") for name, element in raw.snapshots.items()}
    found = {name: _snapshot(name, element) for name, element in raw.snapshots.items()}
    made: dict[str, tuple[float, float, int]] = {}
    for name in parents:
        path: list[str] = []
        level: str | None = name
        while level in parents and level not in made and level not in path:
            path.append(level)
            level = parents[level]
        latest = made.get(level or "", (0.0, 0.0, -1))
        for member in reversed(path):
            exact = _note(member, xml.config_of(raw.snapshots[member])).get("created", 0.0)  # libvirt itself counts in seconds
            latest = (*max(latest[:2], (float(found[member].created or 0), float(exact))), latest[2] + 1)
            made[member] = latest
    return tuple(sorted(found.values(), key=lambda snapshot: (made[snapshot.id], snapshot.name)))


def _snapshot(name: str, element: ElementTree.Element) -> Snapshot:
    config = xml.config_of(element)
    note = _note(name, config)
    return Snapshot(
        id=name,
        name=name,
        description=element.findtext("description") or "",
        created=int(element.findtext("creationTime") or 0) or None,
        memory=xml.memory_of(element) is not None,
        has_config=config is not None,
        images={target: source.path for target, source in xml.held_images(element).items()},
        disks=disks(config) if config is not None else (),
        quiesced=note.get("quiesced"),
        own=bool(note),
        parent=element.findtext("parent/name"),
        unusable=_unusable(element),
        hardware=xml.hardware(config) if config is not None else None,
    )


def _note(name: str, config: ElementTree.Element | None) -> Mapping[str, Any]:
    """What the record said while the snapshot was made: libvirt keeps a copy of the domain's metadata in each snapshot."""
    try:
        record = xml.record_of(config) if config is not None else Record()
    except ValueError:
        return {}
    if record.work and record.phase == "creating" and record.work["snapshot"]["name"] == name:
        return dict(record.work["snapshot"])
    return {}


def _unusable(element: ElementTree.Element) -> str:
    memory = element.find("memory")
    internal = [disk.get("name") for disk in element.findall("disks/disk") if disk.get("snapshot") == "internal"]
    if internal or (memory is not None and memory.get("snapshot") == "internal"):
        return "it is an internal snapshot"
    return ""
