# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a VM, or may go wrong: told to the user, and some of it keeps every verb from starting."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..._engine.errors import Refused
from ..._engine.model import Problem, Vm
from . import raw, source

BY_ADMINISTRATOR = "nothing over the API cures it: on the engine's host, an administrator can run unlock_entity.sh"


def problems(vm: Any, found: Vm, preview: Any) -> tuple[Problem, ...]:
    """What the full read shows."""
    said = [Problem("locked", what, f"the engine is working on {what}", "wait until it is done") for what in raw.locked(vm)]
    boots = [disk.name for disk in found.disks if disk.bootable]
    if len(boots) > 1:
        said.append(Problem("boot_disks", vm.name, f"{len(boots)} disks are bootable: {', '.join(boots)}", "leave one bootable"))
    elif found.disks and not boots:
        said.append(Problem("boot_disks", vm.name, "no disk is bootable", "make one bootable, unless the VM boots from something else"))
    if raw.row(vm, "stateless") is not None:
        said.append(Problem("stateless_vm", vm.name, "it runs stateless", "stop it before anything is done to its snapshots", True))
    said += [
        Problem("illegal_image", image.id, f"image {image.id} of disk {found.label(image.disk)} is illegal", "remove the disk from that snapshot, once more")
        for image in found.images.values()
        if image.missing
    ]
    if found.unfinished:
        said.append(Problem("unfinished", vm.name, found.unfinished, "run the task again, it finishes this first"))
    if preview is not None and any(str(row.snapshot_status) != "in_preview" for row in raw.rows(vm, "regular") if source.is_own(row)):
        said.append(Problem("left_over", vm.name, "an interrupted run left a snapshot of its own", "it goes with the end of the preview"))
    repeated = [name for name, count in Counter(disk.name for disk in found.disks).items() if count > 1]
    said += [Problem("ambiguous_disk", name, f"several disks are named {name}", "name them by id") for name in repeated]
    return tuple(said)


def stuck(vm: Any) -> Problem:
    """Something is locked and no job runs: nobody will unlock it."""
    active = raw.row(vm, "active")
    if active is not None and str(active.snapshot_status) == "locked":
        return Problem(
            "snapshot_locked",
            vm.name,
            "an undo failed and left the current state locked; the disks are right",
            f"{BY_ADMINISTRATOR} -t snapshot {active.id}",
            True,
        )
    if str(vm.status) == "image_locked" and raw.row(vm, "preview") is not None:
        return Problem(
            "locked_for_good",
            vm.name,
            "the VM and the snapshot to preview are locked: the engine failed at the end of opening a preview, and its job never ends",
            "nothing over the API cures it: an administrator stops the engine, when nothing else runs on it, and runs on its host "
            f"taskcleaner.sh -r and unlock_entity.sh -t vm {vm.name}, then starts the engine",
            True,
        )
    if str(vm.status) == "image_locked":
        return Problem(
            "engine_hung",
            vm.name,
            "the VM is locked, and no preview is open: a commit that deletes a disk hangs in the engine",
            "nothing over the API cures it: an administrator stops the engine, when nothing else runs on it, and runs on its host "
            f"taskcleaner.sh -r and unlock_entity.sh -t vm {vm.name}, then starts the engine",
            True,
        )
    disks = [found.disk for found in raw.attachments(vm) if str(found.disk.status) == "locked"]
    if disks:
        names = ", ".join(disk.alias or disk.id for disk in disks)
        commands = "; ".join(f"unlock_entity.sh -t disk {disk.id}" for disk in disks)
        return Problem(
            "disk_locked",
            names,
            f"a removal failed and left disk {names} locked",
            f"nothing over the API cures it: on the engine's host, an administrator can run {commands}",
            True,
        )
    return Problem("locked_for_good", vm.name, f"{', '.join(raw.locked(vm))} is locked, and no job runs", f"{BY_ADMINISTRATOR} -q to see what is locked", True)


def never_ends(vm: str, snapshot: str, disks: str) -> Refused:
    """An engine begins this all the same, and asks the host again and again until the VM stops; then the image is illegal."""
    return Refused(
        f"VM {vm} is running, and disk {disks} of snapshot {snapshot} is unplugged: the engine would never end",
        "unplugged_disk",
        "shut the VM down, or plug the disk in, then run again",
    )
