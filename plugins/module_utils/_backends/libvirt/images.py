# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a VM: which the XML knows and what each is built on, then what storage knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._engine.model import Image, Snapshot, Vm
from . import xml
from .raw import Raw
from .storage import Storage, cover_of, folder_of


def graph(vm: Vm, raw: Raw) -> dict[str, Image]:
    """Every image that the XML knows, with its parent: a snapshot's overlay is built on what the snapshot holds."""
    images: dict[str, Image] = {}
    for element in raw.snapshots.values():
        held = xml.held_images(element)
        for target, overlay in xml.made_overlays(element).items():
            if target in held:
                images.setdefault(held[target].path, Image(held[target].path, target))
                images[overlay] = Image(overlay, target, held[target].path)
    for target, path in vm.leaf.items():
        images.setdefault(path, Image(path, target))
    for target, (base, _kind, path) in _overlays(raw).items():
        images.setdefault(base, Image(base, target))
        images[path] = Image(path, target, base)
    for target, element in xml.disk_elements(raw.live) if raw.live is not None else ():
        chain = xml.chain_of(element)
        for path, parent in zip(chain, chain[1:]):
            if path in images and images[path].parent is None:
                images[path] = replace(images[path], parent=parent)
            images.setdefault(parent, Image(parent, target))
    return images


def _overlays(raw: Raw) -> Mapping[str, Any]:
    return raw.record.work.get("overlays", {}) if raw.record.work and raw.record.phase == "open" else {}


def with_files(vm: Vm, raw: Raw, storage: Storage, with_users: bool) -> Vm:
    """Sizes, missing files, and who else uses them. Where a folder is no storage pool, these stay unknown."""
    known = _Known(storage)
    images, capacity = {}, {}
    todo = list(vm.images.values())
    for image in todo:
        path = image.id
        if not known[folder_of(path)]:
            images[path] = image
            continue
        file = storage.find(path)
        if file is None and not storage.knows(folder_of(path)):
            images[path] = image  # another controller closed its pool meanwhile
            continue
        images[path] = replace(image, missing=file is None, size=file.size if file else 0)
        if file:
            capacity[path] = file.capacity
            if image.parent is None and file.backing:
                images[path] = replace(images[path], parent=file.backing)
                if file.backing not in vm.images and known[folder_of(file.backing)]:
                    todo.append(Image(file.backing, image.disk))  # a template: nobody's but everybody's
    if with_users and (vm.snapshots or vm.preview):
        for folder in {folder_of(path) for path in vm.images if known[folder_of(path)]}:
            storage.refresh(folder)
        own = set(images) | files_of(raw.record.work or {})
        for path, users in storage.users(set(images), own, vm.id).items():
            images[path] = replace(images[path], users=users)
    disks = tuple(replace(disk, size=capacity.get(vm.leaf.get(disk.id, ""))) for disk in vm.disks)
    snapshots = tuple(replace(snapshot, memory_size=_memory_size(snapshot, raw, storage, known)) for snapshot in vm.snapshots)
    return replace(vm, images=images, disks=disks, snapshots=snapshots)


def _memory_size(snapshot: Snapshot, raw: Raw, storage: Storage, known: Mapping[str, bool]) -> int | None:
    path = xml.memory_of(raw.snapshots[snapshot.id]) if snapshot.memory and snapshot.id in raw.snapshots else None
    file = storage.find(path) if path and known[folder_of(path)] else None
    return file.size if file else None


class _Known(dict[str, bool]):
    """Folder -> whether its files can be seen; each is looked up once."""

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage

    def __missing__(self, folder: str) -> bool:
        self[folder] = self._storage.knows(folder)
        return self[folder]


def files_of(work: Mapping[str, Any]) -> set[str]:
    """The files that unfinished work has made or will delete."""
    made = {path for key in ("disks", "overlays") if isinstance(work.get(key), Mapping) for _base, _kind, path in work[key].values()}
    merged = {path for below, above in work.get("merges", {}).values() for path in (below, above, cover_of(above))}
    return made | merged | set(work.get("delete", ()))
