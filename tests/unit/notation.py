# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The notation of VMs in the case files: what a reader would draw on paper, turned into the engine's ``Vm``.

::

    disks: [root, data]            # vda and vdb; the first one boots. A number makes that many: disk01, disk02 ...
    detached: [old]                # disks that only snapshots know
    snapshots:                     # oldest first
      - before: [root, data]       # name: disks
      - {name: nightly, disks: [data], memory: true}
    preview: {config: before, disks: {root: before, data: excluded}}

Ids follow from names: disk ``root`` is ``id-root``, snapshot ``before`` is ``id-before``. The images of disk ``root`` are ``root.0``,
``root.1`` ...: each snapshot that holds the disk freezes the newest and puts one on it. Each takes 10 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import EXCLUDED, Composition, Disk, Hardware, Image, Preview, Problem, Snapshot, Vm

LIBRARY: Mapping[str, Mapping[str, Any]] = yaml.safe_load((Path(__file__).parent / "vms.yml").read_text(encoding="utf-8"))

VM_KEYS = {
    "like",
    "id",
    "name",
    "power",
    "agent",
    "disks",
    "detached",
    "snapshots",
    "images",
    "preview",
    "committed",
    "requests",
    "unfinished",
    "problems",
    "checkpoints",
    "hardware",
}
SNAPSHOT_KEYS = {field.name for field in fields(Snapshot)} - {"images"} | {"knows"}
IMAGE_SIZE = 10


class BadNotation(Exception):
    """A case file says something that the notation does not know."""


def known(what: str, data: Mapping[str, Any], keys: set[str]) -> Mapping[str, Any]:
    unknown = set(data) - keys
    if unknown:
        raise BadNotation(f"{what}: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(keys))}")
    return data


def vm_of(written: str | Mapping[str, Any]) -> Vm:
    """A VM of the library by name, or one written in place; ``like`` takes one of the library and changes what else is written."""
    if isinstance(written, str):
        return _vm(written, LIBRARY[written])
    written = dict(written)
    base = written.pop("like", None)
    return _vm(base or "vm1", {**LIBRARY[base], **written} if base else written)


def _vm(name: str, written: Mapping[str, Any]) -> Vm:
    known("vm", written, VM_KEYS)
    attached = _disks(written.get("disks", ["root", "data"]), first=0, boots=True)
    detached = _disks(written.get("detached", []), first=len(attached), boots=False)
    every = {disk.name: disk for disk in (*attached, *detached)}
    images: dict[str, Image] = {}
    leaf = {disk.id: _put_on(images, disk, None) for disk in every.values()}
    snapshots = tuple(_snapshot(entry, attached, every, images, leaf) for entry in written.get("snapshots", []))
    for disk in (*detached, *(disk for disk in attached if disk.fixed)):
        images.pop(leaf.pop(disk.id), None)
    shows = composition(written["preview"], every, snapshots) if "preview" in written else None
    made = {disk: f"{name_of(every, disk)}.preview" for disk in shows.sources} if shows else {}
    for disk, source in shows.sources.items() if shows else ():
        below = next(snapshot.images[disk] for snapshot in snapshots if snapshot.id == source)
        images[made[disk]] = Image(made[disk], disk, below, IMAGE_SIZE)
    for image, details in written.get("images", {}).items():
        known(f"image {image}", details, {field.name for field in fields(Image)} - {"id"})
        found = images.get(image) or Image(image, every[details["disk"]].id, size=IMAGE_SIZE)
        details = {**details, "disk": found.disk, "users": tuple(details.get("users", found.users))}
        images[image] = replace(found, **details)
    power = written.get("power", "down")
    return Vm(
        written.get("id", f"id-{name}"),
        written.get("name", name),
        power=power,
        disks=attached,
        snapshots=snapshots,
        leaf=leaf,
        images=images,
        agent=written.get("agent", None if power == "down" else False),
        unfinished=written.get("unfinished", ""),
        problems=tuple(Problem(**problem) for problem in written.get("problems", [])),
        checkpoints=tuple(written.get("checkpoints", [])),
        hardware=_hardware(written),
        preview=Preview(shows, made) if shows else None,
        committed=composition(written["committed"], every, snapshots) if "committed" in written else None,
        requests={key: composition(value, every, snapshots) for key, value in written.get("requests", {}).items()},
    )


def _disks(written: int | list[Any], first: int, boots: bool) -> tuple[Disk, ...]:
    entries = [f"disk{number:02}" for number in range(1, written + 1)] if isinstance(written, int) else written
    found = []
    for number, entry in enumerate(entries):
        details = {"name": entry} if isinstance(entry, str) else dict(known("disk", entry, {field.name for field in fields(Disk)}))
        details.setdefault("id", f"id-{details['name']}")
        details.setdefault("target", target(first + number))
        details.setdefault("bootable", boots and number == 0)
        found.append(Disk(**details))
    return tuple(found)


def name_of(every: Mapping[str, Disk], disk_id: str) -> str:
    return next(disk.name for disk in every.values() if disk.id == disk_id)


def target(number: int) -> str:
    """vda ... vdz, vdaa ..."""
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return f"vd{letters}"


def _put_on(images: dict[str, Image], disk: Disk, parent: str | None) -> str:
    number = sum(image.disk == disk.id for image in images.values())
    image = Image(f"{disk.name}.{number}", disk.id, parent, IMAGE_SIZE)
    images[image.id] = image
    return image.id


def _snapshot(entry: Mapping[str, Any], attached: tuple[Disk, ...], every: Mapping[str, Disk], images: dict[str, Image], leaf: dict[str, str]) -> Snapshot:
    if len(entry) == 1 and "name" not in entry:
        ((name, disks),) = entry.items()
        entry = {"name": name, "disks": disks}
    details = dict(known("snapshot", entry, SNAPSHOT_KEYS))
    held = [every[name].id for name in details.pop("disks", [])]
    frozen = {disk: leaf[disk] for disk in held}
    for disk in every.values():
        if disk.id in frozen:
            leaf[disk.id] = _put_on(images, disk, frozen[disk.id])
    knows = details.pop("knows", None)
    details.setdefault("id", f"id-{details['name']}")
    details["hardware"] = _hardware(details)
    return Snapshot(images=frozen, disks=tuple(every[name] for name in knows) if knows is not None else attached, **details)


def _hardware(written: Mapping[str, Any]) -> Hardware | None:
    found = known("hardware", written.get("hardware") or {}, {field.name for field in fields(Hardware)})
    return Hardware(found.get("vcpus"), found.get("memory"), tuple(found.get("nics", ()))) if found else None


def composition(written: Mapping[str, Any], disks: Mapping[str, Disk], snapshots: tuple[Snapshot, ...]) -> Composition:
    known("composition", written, {"config", "memory", "disks"})
    ids = {snapshot.name: snapshot.id for snapshot in snapshots}
    config = written.get("config")
    sources = {disks[disk].id: EXCLUDED if source == EXCLUDED else ids[source] for disk, source in written.get("disks", {}).items()}
    return Composition(ids[config] if config else None, written.get("memory", False), sources)
