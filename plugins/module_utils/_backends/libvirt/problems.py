# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a VM, or may go wrong: told to the user, and some of it keeps every verb from starting."""

from __future__ import annotations

from collections import Counter

from ..._engine.model import Problem, Vm
from . import xml
from .raw import Raw
from .sdk import libvirt
from .storage import Storage, folder_of

WARN_CHAIN = 25
"""libvirt 10.8 to 11.10 fail to start VMs with longer chains than about this."""


def problems(vm: Vm, raw: Raw, domain: libvirt.virDomain, storage: Storage) -> tuple[Problem, ...]:
    found = []
    if not domain.isPersistent():
        found.append(
            Problem("transient_vm", vm.name, "it is transient: libvirt forgets it when it stops", "define it first (virsh dumpxml, virsh define)", True)
        )
    if raw.domain.find("os/nvram") is not None or raw.domain.find("devices/tpm") is not None:
        found.append(Problem("firmware_state", vm.name, "the variables of its firmware and the state of its TPM are not part of snapshots of disks"))
    internal = [snapshot.name for snapshot in vm.snapshots if snapshot.unusable]
    if internal:
        found.append(
            Problem(
                "internal_snapshots",
                ", ".join(internal),
                f"it has internal snapshots ({', '.join(internal)}); mixing them with external ones loses data",
                "delete them with virsh snapshot-delete first",
                True,
            )
        )
    found += _live_problems(vm, raw)
    found += [Problem("missing_image", path, f"image {path} is not there", "bring the file back") for path, image in vm.images.items() if image.missing]
    for disk in vm.disks:
        length = len(vm.chain(vm.leaf.get(disk.id)))
        if length >= WARN_CHAIN:
            found.append(Problem("long_chain", disk.name, f"its chain has {length} images; some libvirt versions cannot start it", "remove old snapshots"))
    if vm.unfinished:
        found.append(Problem("unfinished", vm.name, vm.unfinished, "run the task again, it finishes this first"))
    for folder in sorted({folder_of(path) for path in vm.images}):
        if not storage.knows(folder):
            found.append(
                Problem("no_pool", folder, f"{folder} is no storage pool, so sizes and missing files in it are not known", "define a pool of type dir for it")
            )
    repeated = [name for name, count in Counter(disk.name for disk in vm.disks).items() if count > 1]
    found += [Problem("ambiguous_disk", name, f"several disks are named {name}", "name them by target") for name in repeated]
    return tuple(found)


def _live_problems(vm: Vm, raw: Raw) -> list[Problem]:
    """A running VM whose disks are not those of its configuration: a job is under way, or libvirt and QEMU disagree."""
    if raw.live is None:
        return []
    found = []
    kept = xml.sources(raw.domain)
    for target, element in xml.disk_elements(raw.live):
        if element.find("mirror") is not None:
            found.append(Problem("block_job", target, f"a block job runs on disk {target}", "wait for it, or abort it with virsh blockjob", not vm.unfinished))
        source = element.find("source")
        running = source.get("file") if source is not None else None
        if running and target in kept and kept[target].path != running and not vm.unfinished:
            found.append(
                Problem(
                    "stale_view",
                    target,
                    f"disk {target} runs on {running}, but its configuration says {kept[target].path}",
                    "shut the VM down, then run again",
                    True,
                )
            )
    return found
