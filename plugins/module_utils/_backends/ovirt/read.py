# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what an engine says to a Vm: outside any preview, as it is or as an undo would bring it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..._engine.model import EXCLUDED, Capabilities, Composition, Disk, Hardware, Image, Preview, Snapshot, Vm
from . import ovf, raw, source
from .problems import problems

CAN = Capabilities(
    longest_chain=1000,
    plain_text=True,
    longest_text=3999,
    unplugs=True,
    breaks_newer=True,
    boots_by_image=True,
    notes_requests=False,
    merges_again=True,
    tells_quiesced=False,
)
POWER = {"down": "down", "image_locked": "down", "suspended": "suspended", "paused": "paused"}


@dataclass(frozen=True)
class Closer:
    """What single snapshots say when they are asked one by one: row id -> its disks as recorded, and what its configuration says of them."""

    disks: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    configs: Mapping[str, ovf.Config] = field(default_factory=dict)


def read(vm: Any, closer: Closer, storage: Mapping[str, str]) -> Vm:
    """``closer`` must know the PREVIEW row, if there is one, and where that holds a disk which is not attached now, every other row too.

    ``storage``: names of storage domains by their ids.
    """
    row = raw.row(vm, "preview")
    found = Vm(
        id=vm.id,
        name=vm.name,
        power=POWER.get(str(vm.status), "up"),
        disks=tuple(_disk(attachment, storage) for attachment in raw.attachments(vm)),
        snapshots=(),
        leaf={attachment.disk.id: attachment.disk.image_id for attachment in raw.snapshottable(vm)},
        images={image.id: image for attachment in raw.snapshottable(vm) for image in _images(attachment.disk)},
        agent=bool(vm.fqdn or vm.guest_operating_system) if str(vm.status) == "up" else None,
        can=CAN,
        complete=False,
        hardware=_hardware(vm),
    )
    found = _outside(vm, row, found, closer) if row is not None else replace(found, disks=_plugged_again(vm, found.disks))
    rows = [each for each in raw.rows(vm, "regular") if not source.is_own(each)]
    # An engine keeps them in a line, by age.
    parents = [None, *(each.id for each in rows)]
    found = replace(found, snapshots=tuple(_snapshot(each, vm, found, closer, parent) for each, parent in zip(rows, parents)))
    unfinished = _unfinished(vm, row)
    return replace(found, unfinished=unfinished, problems=problems(vm, found, row))


def _disk(attachment: Any, storage: Mapping[str, str]) -> Disk:
    disk = attachment.disk
    domains = [domain.id for domain in disk.storage_domains or ()]
    return Disk(
        id=disk.id,
        name=disk.alias or disk.name or disk.id,
        target="",
        bootable=bool(attachment.bootable),
        fixed=raw.why_fixed(disk),
        storage=", ".join(storage.get(domain, domain) for domain in domains),
        size=disk.provisioned_size,
        plugged=attachment.active is not False,
        read_only=bool(attachment.read_only),
        interface=str(attachment.interface or ""),
        pass_discard=bool(attachment.pass_discard),
        alias=disk.alias or "",
    )


def _hardware(vm: Any) -> Hardware:
    topology = vm.cpu.topology if vm.cpu else None
    vcpus = topology.sockets * topology.cores * (topology.threads or 1) if topology and topology.sockets and topology.cores else None
    macs = (nic.mac.address for nic in vm.nics or () if nic.mac and nic.mac.address)
    return Hardware(vcpus, vm.memory, tuple(sorted(macs)))


def _images(disk: Any) -> list[Image]:
    return [
        Image(image.id, disk.id, image.parent.id if image.parent else None, image.actual_size, str(image.status) == "illegal") for image in raw.images(disk)
    ]


def _snapshot(row: Any, vm: Any, found: Vm, closer: Closer, parent: str | None) -> Snapshot:
    name, description = raw.named(row)
    images = {attachment.disk.id: raw.image_of(attachment.disk, row.id) for attachment in raw.snapshottable(vm)}
    if row.id in closer.disks:  # it knows also of disks that are not attached now
        images.update({disk.id: disk.image_id for disk in closer.disks[row.id] if str(disk.status) != "illegal"})
    held = {disk: image for disk, image in images.items() if image}
    return Snapshot(
        id=row.id,
        name=name,
        description=description,
        created=int(row.date.timestamp()) if row.date else None,
        memory=bool(row.persist_memorystate),
        images=held,
        disks=_shown_with(row, found, held, closer),
        quiesced=None,
        parent=parent,
        unusable="the engine is working on it" if str(row.snapshot_status) == "locked" else "",
        broken=_broken(row, closer),
        hardware=closer.configs[row.id].hardware if row.id in closer.configs else None,
    )


def _shown_with(row: Any, found: Vm, held: Mapping[str, str], closer: Closer) -> tuple[Disk, ...]:
    """The disks as a preview with this configuration would show them: what it does not hold comes back plugged in and writable."""
    config = closer.configs.get(row.id)
    disks = []
    for disk in found.known_disks():
        if disk.id not in held and disk.fixed:
            disks.append(disk)
        elif disk.id in held and config and disk.id in config.disks:
            disks.append(config.disks[disk.id].on(disk))
        else:
            disks.append(replace(disk, plugged=True, read_only=False))
    return tuple(disks)


def _broken(row: Any, closer: Closer) -> str:
    """A configuration with a disk whose image is gone: the engine previews it without a word, and without that disk."""
    gone = [disk.alias or disk.id for disk in closer.disks.get(row.id, ()) if str(disk.status) == "illegal"]
    return f"its image of disk {', '.join(gone)} is gone" if gone else ""


def _unfinished(vm: Any, row: Any) -> str:
    """Our own snapshots that nothing needs any more."""
    if row is not None:
        return ""
    kinds = [each.kind[len(source.BEGINS) :] for each in source.own(vm)]
    return f"snapshot {', '.join(repr(kind) for kind in kinds)}" if kinds else ""


def _plugged_again(vm: Any, disks: tuple[Disk, ...]) -> tuple[Disk, ...]:
    """As the end of interrupted work will show the disks: it plugs in what was unplugged for a moment."""
    noted = {disk for found in source.of_kind(source.own(vm), source.UNPLUGGING) for disk in found.note.get("disks", ())}
    return tuple(replace(disk, plugged=True) if disk.id in noted else disk for disk in disks)


def _outside(vm: Any, row: Any, inside: Vm, closer: Closer) -> Vm:
    """The VM that an undo brings back, with the preview that hides it."""
    before = {disk.id: disk for disk in closer.disks.get(row.id, ())}
    then = closer.configs.get(row.id, ovf.Config())
    origin = next((each for each in raw.rows(vm, "regular") if str(each.snapshot_status) == "in_preview"), None)
    ours = origin is not None and source.is_own(origin)
    left_out = {disk for each in source.own(vm) if origin is not None and each.id == origin.id for disk in each.note.get("without", ())}
    leaf, shown, made = dict(inside.leaf), {}, {}
    for attachment in raw.snapshottable(vm):
        disk = attachment.disk
        hidden = raw.image_of(disk, row.id)
        if hidden is not None:
            leaf[disk.id], made[disk.id] = hidden, disk.image_id
            shown[disk.id] = _taken_from(vm, disk)
        elif disk.id in left_out:
            shown[disk.id] = EXCLUDED
    disks = [_before(then.disks[disk.id], disk) if disk.id in then.disks else disk for disk in inside.disks]
    images = dict(inside.images)
    for disk_id, disk in before.items():
        if disk_id not in inside.leaf:  # the preview dropped it
            shown[disk_id], leaf[disk_id] = EXCLUDED, disk.image_id
            dropped = Disk(disk_id, disk.alias or disk_id, "", size=disk.provisioned_size)
            disks.append(then.disks[disk_id].on(dropped) if disk_id in then.disks else dropped)
            images.update({image.id: image for image in _chain_of_dropped(vm, disk_id, closer)})
    active = raw.row(vm, "active")
    memory = inside.power == "suspended" and bool(active and active.persist_memorystate)
    shows = Composition(None if ours or origin is None else origin.id, memory, shown)
    spent = bool(origin and origin.persist_memorystate and not memory and not _never_started(vm, row))
    preview = Preview(shows, made, spent, inside.hardware, inside.disks)
    return replace(inside, disks=tuple(disks), leaf=leaf, images=images, preview=preview, hardware=then.hardware)


def _before(flags: ovf.Flags, disk: Disk) -> Disk:
    """The disk as it was; the image that a preview shows may have brought an older name with it."""
    return flags.on(replace(disk, name=flags.alias or disk.name))


def _taken_from(vm: Any, disk: Any) -> str:
    """Id of the snapshot that the disk is taken from: what the active image is built on."""
    of_id = {image.id: image for image in raw.images(disk)}
    active = of_id.get(disk.image_id)
    parent = of_id.get(active.parent.id) if active and active.parent else None
    return raw.label(parent) if parent else "?"


def _chain_of_dropped(vm: Any, disk_id: str, closer: Closer) -> list[Image]:
    """Images of a disk that is not attached: only the snapshots tell, one image each, from the oldest on."""
    found: list[Image] = []
    for row in (*raw.rows(vm, "regular"), *raw.rows(vm, "preview")):
        held = next((disk for disk in closer.disks.get(row.id, ()) if disk.id == disk_id and str(disk.status) != "illegal"), None)
        if held is not None:
            found.append(Image(held.image_id, disk_id, found[-1].id if found else None))
    return found


def _never_started(vm: Any, row: Any) -> bool:
    return str(vm.status) in ("down", "image_locked") and not (vm.stop_time and row.date and vm.stop_time > row.date)
