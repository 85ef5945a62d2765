# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_create: decide."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from . import select, session
from .changes import Create, Decision
from .errors import Refused
from .model import RESERVED, Disk, Snapshot, Vm
from .remove import removal

LONGEST_NAME = 240
"""Bytes: a hypervisor may keep a snapshot in a file of its name, and a file name has 255 at most."""


@dataclass(frozen=True)
class Request:
    """``disks`` is None for "every disk that can take part", and empty for "the configuration only"."""

    name: str
    description: str = ""
    disks: Sequence[select.Selector] | None = None
    exclude: Sequence[select.Selector] = ()
    memory: bool = False
    quiesce: str = "preferred"
    on_conflict: str = "fail"
    on_disk_error: str = "fail"
    allow_partial_memory: bool = False


def decide(vm: Vm, request: Request) -> Decision:
    """The snapshot to make; none when it is there with the same disks and memory."""
    for what, text in (("name", request.name), ("description", request.description)):
        check_text(what, text)
        if vm.can.plain_text:
            _check_plain(what, text)
    check_name(request.name)
    if 0 < vm.can.longest_text < len(request.name) + len(request.description):
        raise Refused(f"VM {vm.name}: name and description have more than {vm.can.longest_text} characters", "bad_name", "shorten the description")
    chosen, skipped = choose(vm, request)
    existing = select.named(vm, request.name)
    replaced = Decision()
    if existing:
        difference = _difference(vm, existing, chosen, request)
        if not difference or request.on_conflict == "keep":
            said = (f"snapshot {request.name} was kept although it {difference}",) if difference else ()
            return Decision(skipped=skipped, warnings=said, keeps=existing.id)
        if request.on_conflict != "replace":
            raise Refused(
                f"VM {vm.name} has a snapshot {request.name} that {difference}",
                "snapshot_differs",
                "choose another name, or set on_conflict to keep or replace",
            )
        replaced = removal(vm, existing, tuple(sorted(existing.images)), whole=True)
    session.action(vm, "create", None)
    _check_power(vm, request, chosen)
    _check_memory(vm, request, chosen)
    _check_images(vm, chosen)
    create = Create(request.name, request.description, tuple(disk.id for disk in chosen), request.memory, _quiesce(vm, request, chosen))
    return Decision((*replaced.changes, create), replaced.loss, replaced.warnings + _warnings(vm, request, chosen), skipped)


def check_text(what: str, text: str) -> None:
    """Refuse characters that break XML for every client of a hypervisor, or that nobody can see."""
    for position, char in enumerate(text):
        # Not "Cn", which is what a character looks like that is newer than this Python; but no XML can hold those that end in FFFE or FFFF.
        bad = unicodedata.category(char) in ("Cc", "Cs", "Co") or ord(char) & 0xFFFE == 0xFFFE
        if bad:
            raise Refused(
                f"the {what} holds the character U+{ord(char):04X} at position {position + 1}", "bad_character", "remove it; control characters are refused"
            )


def _check_plain(what: str, text: str) -> None:
    for position, char in enumerate(text):
        if ord(char) > 127 and not unicodedata.category(char).startswith("L"):
            raise Refused(
                f"the {what} holds the character {char!r} (U+{ord(char):04X}) at position {position + 1}",
                "bad_character",
                "oVirt takes ASCII and letters of any script, but no emoji, no typographic dash and no currency sign",
            )


def check_name(name: str) -> None:
    if not name.strip():
        raise Refused("a snapshot needs a name", "bad_name", "set snapshot to a name")
    if name in RESERVED:
        raise Refused(f"a snapshot cannot be named {name!r}", "reserved_name", f"{' and '.join(RESERVED)} have a meaning of their own; choose another name")
    if name != name.strip():
        raise Refused(f"the name {name!r} begins or ends with a space", "bad_name", "remove the space")
    if "/" in name or name.startswith("."):
        raise Refused(f"the name {name!r} holds a '/' or begins with a '.'", "bad_name", "choose a name without them")
    if len(name.encode()) > LONGEST_NAME:
        raise Refused(f"the name takes {len(name.encode())} bytes, {LONGEST_NAME} are allowed", "bad_name", "choose a shorter name")


def choose(vm: Vm, request: Request) -> tuple[tuple[Disk, ...], tuple[tuple[str, str], ...]]:
    """The disks that take part, and those that do not, with the reason. What is excluded is never validated."""
    out = {disk.id for disk in select.several(vm.disks, request.exclude, vm.name, none_is_fine=True).disks}
    picked = select.Picked(vm.disks, frozenset()) if request.disks is None else select.several(vm.disks, request.disks, vm.name)
    chosen, skipped = [], [(vm.label(disk), "excluded") for disk in sorted(out)]
    for disk in picked.disks:
        if disk.id in out:
            continue
        trouble = disk.fixed or _missing(vm, disk)
        if not trouble:
            chosen.append(disk)
        elif (disk.fixed and disk.id not in picked.explicit) or request.on_disk_error == "exclude":
            skipped.append((disk.name, trouble))
        elif disk.fixed:
            raise Refused(
                f"VM {vm.name}: disk {disk.name} cannot take part in a snapshot: {trouble}", "fixed_disk", "do not name it, or set on_disk_error: exclude"
            )
        else:
            chosen.append(disk)
    return tuple(chosen), tuple(skipped)


def _missing(vm: Vm, disk: Disk) -> str:
    lost = [image for image in vm.chain(vm.leaf.get(disk.id)) if image in vm.images and vm.images[image].missing]
    return f"its image {lost[0]} is not there" if lost else ""


def _difference(vm: Vm, snapshot: Snapshot, chosen: Sequence[Disk], request: Request) -> str:
    if snapshot.unusable:
        return f"cannot be used: {snapshot.unusable}"
    has, wants = set(snapshot.images), {disk.id for disk in chosen}
    if has != wants:
        return f"holds disks {_names(vm, has)}, not {_names(vm, wants)}"
    if snapshot.memory != request.memory:
        return "holds the memory" if snapshot.memory else "does not hold the memory"
    return ""


def _names(vm: Vm, disks: set[str]) -> str:
    return ", ".join(sorted(vm.label(disk) for disk in disks)) or "(none)"


def _check_power(vm: Vm, request: Request, chosen: Sequence[Disk]) -> None:
    if vm.power == "suspended" and not vm.can.create_suspended:
        raise Refused(
            f"VM {vm.name} is suspended: its saved memory belongs to the disks as they are",
            "vm_suspended",
            "start it, or discard the saved memory, then run again",
        )
    if vm.checkpoints and vm.power == "down" and chosen:
        raise Refused(
            f"VM {vm.name} has checkpoints ({', '.join(vm.checkpoints)}), with which no disk of a VM that is down can be snapshotted",
            "checkpoints",
            "start the VM, or delete them with your backup program or virsh checkpoint-delete",
        )
    if request.memory and vm.power == "down":
        raise Refused(f"VM {vm.name} is down, so there is no memory to save", "memory_needs_running", "start the VM, or set memory: false")


def _check_memory(vm: Vm, request: Request, chosen: Sequence[Disk]) -> None:
    left = [disk.name for disk in vm.disks if not disk.fixed and disk.id not in {c.id for c in chosen}]
    if request.memory and left and not request.allow_partial_memory:
        raise Refused(
            f"VM {vm.name}: memory without disk {', '.join(left)} can corrupt the guest's data when it is restored",
            "partial_memory",
            "include every disk, leave memory out, or set allow_partial_memory: true",
        )


def _check_images(vm: Vm, chosen: Sequence[Disk]) -> None:
    for disk in chosen:
        if _missing(vm, disk):
            raise Refused(f"VM {vm.name}: disk {disk.name}: {_missing(vm, disk)}", "missing_image", "bring the file back, or exclude the disk")


def _quiesce(vm: Vm, request: Request, chosen: Sequence[Disk]) -> str:
    """What the backend shall do. Nothing needs freezing while the VM is down, or without a disk; saved memory keeps the guest's caches."""
    if request.quiesce == "never" or vm.power == "down" or not (chosen or request.memory):
        return "never"
    if request.quiesce == "required":
        if request.memory:
            raise Refused(
                f"VM {vm.name}: a snapshot with memory is taken without freezing the guest",
                "quiesce_with_memory",
                "leave memory out, or set quiesce: preferred",
            )
        if vm.power == "paused" or not vm.agent:
            why = "is paused" if vm.power == "paused" else "has no guest agent that answers"
            raise Refused(f"VM {vm.name} {why}, so it cannot be frozen", "quiesce_impossible", "start qemu-guest-agent in the guest, or set quiesce: preferred")
        return "required"
    return "preferred" if vm.agent and vm.power == "up" and not request.memory else "never"


def _warnings(vm: Vm, request: Request, chosen: Sequence[Disk]) -> tuple[str, ...]:
    if _quiesce(vm, request, chosen) != "never" and not vm.can.tells_quiesced:
        return ("the hypervisor freezes the guest by itself if it can, and does not tell whether it could",)
    if request.quiesce == "preferred" and vm.power in ("up", "paused") and chosen and not request.memory and not (vm.agent and vm.power == "up"):
        why = "it is paused" if vm.power == "paused" else "its agent does not answer"
        return (f"the guest was not frozen: {why}; the snapshot is like after a power loss",)
    return ()
