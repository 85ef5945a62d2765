# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is lost: computed before anything happens, and said in the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .changes import Remove, abandoned, after_commit, destroyed
from .errors import Refused
from .model import Composition, Loss, Vm


def size_of(vm: Vm, images: Iterable[str]) -> int | None:
    """The space the images take, in bytes; None as soon as one is unknown."""
    total = 0
    for image in images:
        size = vm.images[image].size if image in vm.images else None
        if size is None:
            return None
        total += size
    return total


def demand_unused(vm: Vm, images: Iterable[str], verb: str) -> None:
    """Refuse to delete or change an image that something else is built on."""
    for image in images:
        users = vm.images[image].users if image in vm.images else ()
        if users:
            raise Refused(
                f"VM {vm.name}: image {image} of disk {vm.disk(vm.images[image].disk).name} is used by something else: {', '.join(users)}",
                "image_in_use",
                f"to {verb} would change what that shows; remove it first",
            )


def of_commit(vm: Vm, shows: Composition) -> Loss:
    """What a commit of ``shows`` destroys, whether its preview is open yet or not."""
    gone_of = abandoned(vm, shows)
    gone = tuple(image for images in gone_of.values() for image in images)
    removed, smaller, broken = [], {}, []
    after_of = after_commit(vm, shows, set(gone))
    for snapshot in vm.snapshots:
        after = after_of[snapshot.id]
        if after is None:
            removed.append(snapshot.name)
            continue
        if len(after.images) < len(snapshot.images):
            smaller[snapshot.name] = tuple(vm.label(disk) for disk in snapshot.images if disk not in after.images)
        if snapshot.has_config and not after.has_config:
            broken.append(snapshot.name)
    says = []
    if gone:
        written = ", ".join(sorted(vm.label(disk) for disk, images in gone_of.items() if images))
        says.append(f"{len(gone)} image{'s' if len(gone) > 1 else ''} with what was written since: {written}")
    if removed:
        says.append(f"snapshot {', '.join(removed)}: nothing of it is left")
    says += [f"snapshot {name} loses disk {', '.join(lost)}" for name, lost in smaller.items()]
    if broken:
        says.append(f"the configuration of snapshot {', '.join(broken)}, which is newer; what it holds of disks stays")
    says += _of_excluded(vm, shows)
    return Loss(
        images=gone,
        size=size_of(vm, gone),
        disks=tuple(vm.label(disk) for disk in shows.excluded),
        left_behind=_left_behind(vm, shows, set(gone)),
        snapshots_removed=tuple(removed),
        snapshots_reduced=smaller,
        without_config=tuple(broken),
        backup_impact=bool(shows.sources),
        says=tuple(says),
    )


def _left_behind(vm: Vm, shows: Composition, gone: set[str]) -> tuple[str, ...]:
    """Images that nothing of the VM needs any more and that stay: those of excluded disks, and those that something else is built on."""
    left = [disk for disk in shows.excluded if disk in vm.leaf and disk not in destroyed(vm, shows)]
    detached = tuple(f"{vm.disk(disk).name} ({disk})" if vm.can.unplugs else vm.leaf[disk] for disk in left)
    held = {image for snapshot in vm.snapshots for image in snapshot.images.values()}
    needed: tuple[str, ...] = ()
    for disk, source in shows.sources.items():
        keep = {*vm.chain(vm.snapshot(source).images[disk]), *held, *gone}
        needed += tuple(image for image in vm.chain(vm.leaf.get(disk)) if image not in keep)
    return detached + needed


def _of_excluded(vm: Vm, shows: Composition) -> list[str]:
    disks = ", ".join(vm.label(disk) for disk in shows.excluded)
    if not disks:
        return []
    if destroyed(vm, shows):
        return [f"disk {disks} is deleted, with all that snapshots hold of it"]
    return [
        f"disk {disks} is unplugged; it stays with the VM, with its images and snapshots" if vm.can.unplugs else f"disk {disks} is detached; its files stay"
    ]


def of_undo(vm: Vm) -> Loss:
    """What was written while the preview was open. A disk that was kept takes the guest's writes itself, so these stay."""
    if vm.preview is None:
        return Loss()
    images = tuple(sorted(vm.preview.images.values()))
    kept = [vm.label(disk.id) for disk in vm.disks if disk.id not in vm.preview.shows.disks and not disk.fixed]
    says = ["what was written during the preview is gone"] if images else []
    if kept:
        says.append(f"what was written to disk {', '.join(kept)} stays: the preview showed it as it is")
    return Loss(images=images, size=size_of(vm, images), says=tuple(says))


def of_removal(vm: Vm, change: Remove, merged: Mapping[str, tuple[str, str]]) -> Loss:
    """A removal keeps all data that anything shows; what is lost is the possibility to go back to the snapshot."""
    snapshot = vm.snapshot(change.snapshot)
    kept = [snapshot.images[disk] for disk in change.disks if disk not in merged]
    names = tuple(vm.label(disk) for disk in change.disks)
    says = [f"the way back to snapshot {snapshot.name}" + ("" if change.whole else f" for disk {', '.join(names)}")]
    if change.whole and snapshot.memory:
        says.append(f"the memory saved with snapshot {snapshot.name}")
    return Loss(
        left_behind=tuple(kept),
        snapshots_removed=(snapshot.name,) if change.whole else (),
        snapshots_reduced={} if change.whole else {snapshot.name: names},
        says=tuple(says),
    )
