# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the user asked for to a composition: every name looked up, every rule checked, before anything happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import select
from .cautions import cautions, foreign_disks
from .changes import shown_disks
from .errors import NotFound, Refused
from .model import CURRENT, EXCLUDED, Composition, Disk, Snapshot, Vm


@dataclass(frozen=True)
class Wish:
    """The options that name a composition. ``disks`` holds one mapping per named disk: disk, and snapshot or exclude.

    ``memory`` is None only in a guard that does not care.
    """

    snapshot: str | None = None
    config: str | None = None
    memory: bool | None = False
    disks: Sequence[Mapping[str, Any]] = ()
    allow_partial_memory: bool = False


def wish(options: Mapping[str, Any]) -> Wish:
    """From the options of a module. A guard has no ``allow_partial_memory``: what is open was allowed already."""
    return Wish(
        options.get("snapshot"),
        options.get("config"),
        bool(options.get("memory")),
        options.get("disks") or (),
        bool(options.get("allow_partial_memory", True)),
    )


def guard(options: Mapping[str, Any]) -> Wish | None:
    """The composition that commit and undo shall insist on, if any. ``snapshot`` alone leaves it open whether memory is shown."""
    if options.get("composition"):
        return wish(options["composition"])
    return Wish(options["snapshot"], memory=None) if options.get("snapshot") else None


def compose(vm: Vm, wish: Wish) -> tuple[Composition, tuple[str, ...]]:
    """The composition that the wish means, and warnings. Raises NotFound, Ambiguous, Refused."""
    base = select.snapshot(vm, wish.snapshot) if wish.snapshot else None
    config = _config(vm, wish, base)
    disks = _short_form(vm, base)
    warnings = _skipped_of_short_form(vm, base, disks)
    wished, absent = _without_absent(vm, wish.disks)
    disks.update(_named(vm, wished, config))
    shows = Composition(config.id if config else None, bool(wish.memory), {disk: source for disk, source in disks.items() if source != CURRENT})
    if not shows.disks and not config and not any(entry.get("exclude") for entry in wish.disks):
        raise Refused(
            f"VM {vm.name}: nothing to preview, every disk and the configuration would stay as they are",
            "nothing_to_preview",
            "name a snapshot, a config, or a disk with its snapshot",
        )
    _check_sources(vm, shows)
    _check_targets(vm, shows)
    _check_memory(vm, wish, shows, config)
    return shows, warnings + absent + cautions(vm, shows, config)


def _config(vm: Vm, wish: Wish, base: Snapshot | None) -> Snapshot | None:
    if wish.config == CURRENT:
        return None
    config = select.snapshot(vm, wish.config) if wish.config else base
    if config and not config.has_config:
        raise Refused(
            f"VM {vm.name}: snapshot {config.name} has no usable configuration", "no_config", "take the configuration of another snapshot, or config: current"
        )
    if config and config.broken:
        raise Refused(
            f"VM {vm.name}: the configuration of snapshot {config.name} cannot be used: {config.broken}",
            "broken_config",
            "take the configuration of another snapshot, or config: current; what it still holds of disks can be used",
        )
    return config


def _short_form(vm: Vm, base: Snapshot | None) -> dict[str, str]:
    """Every disk that the snapshot holds, less those that can no longer take part."""
    if base is None:
        return {}
    fixed = {disk.id for disk in vm.disks if disk.fixed}
    return {disk: base.id for disk in base.images if disk not in fixed}


def _skipped_of_short_form(vm: Vm, base: Snapshot | None, disks: Mapping[str, str]) -> tuple[str, ...]:
    if base is None:
        return ()
    left = [vm.disk(disk) for disk in base.images if disk not in disks]
    return tuple(f"disk {disk.name} of snapshot {base.name} stays as it is: {disk.fixed}" for disk in left)


def _without_absent(vm: Vm, entries: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """The entries, less those that exclude a disk which nothing knows any more: a commit took it off the VM, and the same play must go on working."""
    kept, absent = [], []
    for entry in entries:
        try:
            if entry.get("exclude"):
                select.matching(vm.known_disks(), entry["disk"], vm.name)
            kept.append(entry)
        except NotFound as error:
            absent.append(f"{error.message}: there is nothing to exclude")
    return kept, tuple(absent)


def _named(vm: Vm, entries: Sequence[Mapping[str, Any]], config: Snapshot | None) -> dict[str, str]:
    # Another configuration may plug in again what is unplugged now.
    there = {disk.id for disk in vm.disks if disk.plugged or config}
    named: dict[str, str] = {}
    for entry in entries:
        if entry.get("disk") is None:
            raise Refused(f"VM {vm.name}: an entry of disks names no disk: {dict(entry)!r}", "bad_disk_choice", "each entry has disk, and snapshot or exclude")
        disk = select.one(vm.known_disks(), entry["disk"], vm.name)
        source, exclude = entry.get("snapshot"), bool(entry.get("exclude"))
        if bool(source) == exclude:
            raise Refused(
                f"VM {vm.name}: disk {disk.name} needs either a snapshot or exclude: true",
                "bad_disk_choice",
                "to keep a disk as it is, do not name it, or use snapshot: current",
            )
        if disk.id in named:
            raise Refused(f"VM {vm.name}: disk {disk.name} is named twice", "bad_disk_choice", "name each disk once")
        if disk.fixed and source != CURRENT:
            raise Refused(
                f"VM {vm.name}: disk {disk.name} cannot take part in a preview: {disk.fixed}", "fixed_disk", "leave it out of disks; it stays as it is"
            )
        if exclude:
            named[disk.id] = EXCLUDED if disk.id in there else CURRENT
        else:
            named[disk.id] = CURRENT if source == CURRENT else select.snapshot(vm, str(source)).id
    return named


def _check_sources(vm: Vm, shows: Composition) -> None:
    for source in sorted({*shows.sources.values(), *([shows.config] if shows.config else [])}):
        if vm.snapshot(source).unusable:
            raise Refused(
                f"VM {vm.name}: snapshot {vm.snapshot_name(source)} cannot be used: {vm.snapshot(source).unusable}",
                "unusable_snapshot",
                "choose another snapshot; snapshot_info shows the state of each",
            )
    for disk_id, source in shows.sources.items():
        disk, snapshot = vm.disk(disk_id), vm.snapshot(source)
        if disk_id not in snapshot.images:
            holders = ", ".join(s.name for s in vm.snapshots if disk_id in s.images) or "no snapshot"
            raise Refused(
                f"VM {vm.name}: snapshot {snapshot.name} holds no image of disk {disk.name}",
                "disk_not_in_snapshot",
                f"{disk.name} is held by: {holders}; a disk that is not named stays as it is",
            )
        for image in vm.chain(snapshot.images[disk_id]):
            if image in vm.images and vm.images[image].missing:
                raise Refused(
                    f"VM {vm.name}: disk {disk.name} of snapshot {snapshot.name} needs image {image}, which is not there",
                    "missing_image",
                    "bring the file back, or take the disk from another snapshot",
                )


def _check_targets(vm: Vm, shows: Composition) -> None:
    """A disk that comes back may find its place taken by one that was attached since."""
    taken: dict[str, Disk] = {}
    for disk in shown_disks(vm, shows):
        other = taken.setdefault(disk.target, disk)
        if disk.target and other is not disk:
            raise Refused(
                f"VM {vm.name}: disks {vm.label(other.id)} and {vm.label(disk.id)} would both be {disk.target}",
                "target_taken",
                f"exclude {vm.label(other.id)}, or leave {vm.label(disk.id)} out",
            )


def _check_memory(vm: Vm, wish: Wish, shows: Composition, config: Snapshot | None) -> None:
    if not shows.memory:
        return
    if config is None:
        raise Refused(
            f"VM {vm.name}: memory needs the configuration that it was saved with",
            "memory_without_config",
            "name that snapshot as config (or as snapshot), or leave memory out",
        )
    if not config.memory:
        holders = ", ".join(s.name for s in vm.snapshots if s.memory) or "no snapshot"
        raise Refused(f"VM {vm.name}: snapshot {config.name} has no memory", "no_memory", f"memory is held by: {holders}")
    if shows.excluded and not vm.can.memory_excluding:
        raise Refused(
            f"VM {vm.name}: memory cannot be restored into a VM that lacks a disk ({', '.join(vm.label(d) for d in shows.excluded)})",
            "memory_with_exclude",
            "exclude no disk, or leave memory out",
        )
    had, has = {disk.id for disk in config.disks}, {disk.id for disk in shown_disks(vm, shows)}
    if had != has and not vm.can.memory_excluding:
        lacks, more = (", ".join(sorted(vm.label(disk) for disk in disks)) for disks in (had - has, has - had))
        raise Refused(
            f"VM {vm.name}: the memory of {config.name} fits only a VM with the disks of that time; "
            + "; ".join(said for said, disks in ((f"missing: {lacks}", lacks), (f"added since: {more}", more)) if disks),
            "memory_other_disks",
            "bring back the disks that are missing, exclude none and detach those added since, or leave memory out",
        )
    foreign = foreign_disks(vm, shows)
    if foreign and not wish.allow_partial_memory:
        raise Refused(
            f"VM {vm.name}: the memory of {config.name} does not belong to the state of disk {', '.join(foreign)}; this can corrupt the guest's data",
            "partial_memory",
            f"take every disk from {config.name}, leave memory out, or set allow_partial_memory: true",
        )
