# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to a VM, and the VM that each change leads to: ``expected`` is the dry run, and what the real run is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar, Union

from .model import Composition, Disk, Image, Loss, Preview, Snapshot, Vm

KEPT_REQUESTS = 50
Value = TypeVar("Value")

Images = Mapping[str, str]
"""Disk id -> id of the image that the change makes; where a backend cannot foresee it, a stand-in is used."""


def _made(images: Images, disk: str) -> str:
    return images.get(disk, f"new image of {disk}")


@dataclass(frozen=True)
class Settle:
    """Finish or take back what an interrupted run left unfinished; ``Vm`` already shows where this leads."""

    def expected(self, vm: Vm, images: Images) -> Vm:
        return replace(vm, unfinished="")


@dataclass(frozen=True)
class Stop:
    """Bring the VM down: ``how`` is shutdown (asks the guest) or poweroff."""

    how: str

    def expected(self, vm: Vm, images: Images) -> Vm:
        return replace(vm, power="down", agent=None)


@dataclass(frozen=True)
class Create:
    """A snapshot of the configuration and of ``disks``. ``quiesce`` is required, preferred or never."""

    name: str
    description: str = ""
    disks: tuple[str, ...] = ()
    memory: bool = False
    quiesce: str = "never"

    def expected(self, vm: Vm, images: Images) -> Vm:
        frozen = {disk: vm.leaf[disk] for disk in self.disks}
        snapshot = Snapshot(self.name, self.name, self.description, memory=self.memory, images=frozen, disks=vm.disks, own=True)
        made = {_made(images, disk): Image(_made(images, disk), disk, frozen[disk], 0) for disk in self.disks}
        return replace(
            vm,
            snapshots=(*vm.snapshots, snapshot),
            leaf={**vm.leaf, **{disk: _made(images, disk) for disk in self.disks}},
            images={**vm.images, **made},
            committed=None,
        )


@dataclass(frozen=True)
class Enter:
    """Open a preview."""

    shows: Composition

    def expected(self, vm: Vm, images: Images) -> Vm:
        made = {disk: _made(images, disk) for disk in self.shows.sources}
        chains = {made[disk]: Image(made[disk], disk, vm.snapshot(source).images[disk], 0) for disk, source in self.shows.sources.items()}
        return replace(
            vm,
            preview=Preview(self.shows, made, disks=shown_disks(vm, self.shows)),
            images={**vm.images, **chains},
            power="suspended" if self.shows.memory else vm.power,
            committed=None,
        )


@dataclass(frozen=True)
class Leave:
    """Close the preview: keep what it shows (commit), or be back where it was opened (undo)."""

    keep: bool
    request_id: str = ""

    def expected(self, vm: Vm, images: Images) -> Vm:
        if vm.preview is None:
            return vm
        if not self.keep:
            gone = set(vm.preview.images.values())
            return replace(vm, preview=None, images={key: image for key, image in vm.images.items() if key not in gone}, power="down")
        shows = vm.preview.shows
        gone = {image for images_of in abandoned(vm, shows).values() for image in images_of}
        disks = shown_disks(vm, shows)
        attached = {disk.id for disk in disks}
        return replace(
            vm,
            preview=None,
            disks=disks,
            snapshots=tuple(snapshot for snapshot in after_commit(vm, shows, gone).values() if snapshot is not None),
            leaf={**{disk: image for disk, image in vm.leaf.items() if disk in attached}, **vm.preview.images},
            images={key: image for key, image in vm.images.items() if key not in gone},
            committed=shows,
            requests=remembered(vm.requests, self.request_id, shows),
            hardware=vm.snapshot(shows.config).hardware if shows.config else vm.hardware,
        )


def remembered(requests: Mapping[str, Value], request_id: str, shows: Value) -> dict[str, Value]:
    """The carried-out requests with one more, newest last; the oldest are forgotten, so that what keeps them cannot grow without bound."""
    kept = {key: value for key, value in requests.items() if key != request_id}
    if request_id:
        kept[request_id] = shows
    return dict(list(kept.items())[-KEPT_REQUESTS:])


@dataclass(frozen=True)
class Remove:
    """Take ``disks`` out of the snapshot, or the whole snapshot away when none of its disks is left behind."""

    snapshot: str
    disks: tuple[str, ...] = field(default_factory=tuple)
    whole: bool = True

    def expected(self, vm: Vm, images: Images) -> Vm:
        target = vm.snapshot(self.snapshot)
        merged = {above: below for below, above in merges(vm, target, self.disks).values()}
        snapshots = []
        for snapshot in vm.snapshots:
            kept = {disk: merged.get(image, image) for disk, image in snapshot.images.items()}
            if snapshot.id == self.snapshot:
                if self.whole:
                    continue
                kept = {disk: image for disk, image in kept.items() if disk not in self.disks}
            parent = target.parent if self.whole and snapshot.parent == self.snapshot else snapshot.parent
            snapshots.append(replace(snapshot, images=kept, parent=parent))
        return replace(
            vm,
            snapshots=tuple(snapshots),
            leaf={disk: merged.get(image, image) for disk, image in vm.leaf.items()},
            images={
                image.id: replace(image, parent=merged.get(image.parent, image.parent) if image.parent else None)
                for image in vm.images.values()
                if image.id not in merged
            },
            committed=None,
        )


@dataclass(frozen=True)
class Remember:
    """Note a request as carried out although there was nothing to do for it: run again after later writes, it must not undo these."""

    request_id: str
    shows: Composition

    def expected(self, vm: Vm, images: Images) -> Vm:
        return replace(vm, requests=remembered(vm.requests, self.request_id, self.shows))


Change = Union[Settle, Stop, Create, Enter, Leave, Remove, Remember]


@dataclass(frozen=True)
class Decision:
    """What must be done, in order, and what the user has to know about it. No changes: everything is as wanted already."""

    changes: tuple[Change, ...] = ()
    loss: Loss = field(default_factory=Loss)
    warnings: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    """Names of disks that do not take part, each with the reason."""
    shows: Composition | None = None
    """The composition that the request means, for verbs that have one."""
    keeps: str = ""
    """Id of the snapshot that is there already."""
    asks: str = ""
    """Request id: nothing can be decided before it is known whether it was carried out."""


def merges(vm: Vm, target: Snapshot, disks: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Disk id -> (image of the snapshot, the one image built on it), for the disks whose image nobody needs once the snapshot is gone.

    The upper image is merged into the lower one: its content survives under the lower image's id. An image on which several
    images are built, that another snapshot shares, or whose disk is not attached, stays as it is: whatever is built on it keeps its
    exact content.
    """
    shared = {image for snapshot in vm.snapshots if snapshot.id != target.id for image in snapshot.images.values()}
    found = {}
    for disk in disks:
        below = target.images[disk]
        above = vm.children(below)
        if len(above) == 1 and below not in shared and above[0] in vm.chain(vm.leaf.get(disk)):
            found[disk] = (below, above[0])
    return found


def destroyed(vm: Vm, shows: Composition) -> tuple[str, ...]:
    """The disks that a commit of ``shows`` deletes with all that snapshots hold of them."""
    return shows.excluded if vm.can.unplugs and shows.config else ()


def abandoned(vm: Vm, shows: Composition) -> dict[str, tuple[str, ...]]:
    """Disk id -> the images that a commit of ``shows`` deletes: from the disk's leaf down to what the chosen image is built on.

    This keeps every chain a line: what is newer than the chosen image goes, as on an oVirt engine. Only what something else
    is built on stays, with everything below it.
    """
    gone: dict[str, tuple[str, ...]] = {}
    for disk in destroyed(vm, shows):
        gone[disk] = tuple(image.id for image in vm.images.values() if image.disk == disk)
    for disk, source in shows.sources.items():
        keep = set(vm.chain(vm.snapshot(source).images[disk]))
        found: list[str] = []
        for image in vm.chain(vm.leaf.get(disk)):
            if image in keep or _needed(vm, image, found):
                break
            found.append(image)
        gone[disk] = tuple(found)
    return gone


def _needed(vm: Vm, image_id: str, gone: list[str]) -> bool:
    """Something that does not go is built on the image."""
    image = vm.images.get(image_id)
    return bool(image and image.users) or any(child not in gone[-1:] for child in vm.children(image_id))


def after_commit(vm: Vm, shows: Composition, gone: set[str]) -> dict[str, Snapshot | None]:
    """Snapshot id -> what the commit makes of it, in the order of the VM's snapshots; None when it goes."""
    found: dict[str, Snapshot | None] = {}
    for snapshot in vm.snapshots:
        kept = reduced(snapshot, gone, shows.config)
        if vm.can.breaks_newer and shows.config in found:  # they come by age
            kept = replace(kept, has_config=False) if kept and kept.images else None
        found[snapshot.id] = kept
    return found


def reduced(snapshot: Snapshot, gone: set[str], config: str | None) -> Snapshot | None:
    """The snapshot without the images that are gone; None when nothing of it is left.

    The one that gives the ``config`` stays for it: the same play finds it again.
    """
    kept = {disk: image for disk, image in snapshot.images.items() if image not in gone}
    if len(kept) == len(snapshot.images):
        return snapshot
    return replace(snapshot, images=kept) if kept or snapshot.id == config else None


def shown_disks(vm: Vm, shows: Composition) -> tuple[Disk, ...]:
    """The disks of the VM that the composition shows: the current ones less the excluded, plus those that come back.

    Drives for removable media come with the configuration.
    """
    config = {disk.id: disk for disk in vm.snapshot(shows.config).disks} if shows.config else {}
    current = {disk.id: disk for disk in vm.disks if not disk.removable}
    unplugged = shows.excluded if vm.can.unplugs and not shows.config else ()
    ids = [disk for disk in current if disk not in shows.excluded or disk in unplugged] + [disk for disk in sorted(shows.sources) if disk not in current]
    drives = config.values() if shows.config else vm.disks
    found = [config.get(disk) or current.get(disk) or vm.disk(disk) for disk in ids]
    if vm.can.boots_by_image:
        found = [replace(disk, bootable=_as_in_its_image(vm, disk, shows).bootable) for disk in found]
    return tuple(replace(disk, plugged=False) if disk.id in unplugged else disk for disk in found) + tuple(disk for disk in drives if disk.removable)


def _as_in_its_image(vm: Vm, disk: Disk, shows: Composition) -> Disk:
    """The disk as the snapshot knows it from which it is taken, or as it is now."""
    disks = vm.snapshot(shows.sources[disk.id]).disks if disk.id in shows.sources else vm.disks
    return next((found for found in disks if found.id == disk.id), disk)
