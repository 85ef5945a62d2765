# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files through libvirt's storage API: no path is opened here, so it works on every URI.

A file is reached through the storage pool of its folder. Where the folder has none, ``opened`` makes one that lives only as long as it is needed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Callable
from xml.etree import ElementTree

from ..._engine.errors import BackendFailed, Refused
from .dom import add, new, text_of
from .faults import saying
from .sdk import libvirt
from .xml import Source

POOL_PREFIX = "diskwise-"
OVERLAY_FORMAT = "qcow2"
ATTEMPTS = 10
PATIENCE = 10.0
PAUSE = 0.01
"""Seconds; and how often, when others come in between."""
ROOM = 1 << 20
"""Bytes: with less left in a pool, a failed write is put down to a lack of space."""


@dataclass(frozen=True)
class File:
    """``size`` is what it takes on the disk, ``length`` how far it reaches (both in bytes), ``capacity`` what the guest sees."""

    path: str
    format: str
    size: int
    length: int
    capacity: int
    backing: str | None


def folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def helper_name(vm_id: str) -> str:
    """The domain in which the images of a VM that is down are merged: it uses them, too, but is nobody else."""
    return f"diskwise-merge-{vm_id}"


def cover_of(image: str) -> str:
    """The empty image that such a helper has on top of one that it merges."""
    return f"{image}.merging"


class Storage:
    """The image files that one connection can see."""

    def __init__(self, conn: libvirt.virConnect) -> None:
        self._conn = conn
        self._fresh: dict[str, str] = {}
        self._transient: dict[str, libvirt.virStoragePool] = {}
        self._opened: tuple[str, ...] = ()

    def forget(self) -> None:
        """Look again: pools are refreshed anew when something is not found in them."""
        self._fresh.clear()

    @contextmanager
    def opened(self, folders: Iterable[str]) -> Iterator[None]:
        """Have a pool for each folder while the context is open."""
        self._opened = tuple(sorted(set(folders)))
        try:
            for folder in self._opened:
                self._open(folder)
            yield
        finally:
            self._opened = ()
            while self._transient:
                _name, pool = self._transient.popitem()
                with suppress(libvirt.libvirtError):  # another controller may have closed it
                    pool.destroy()  # a transient pool goes; its folder and files stay

    def _open(self, folder: str) -> None:
        """Have a pool for the folder; a transient one is closed at the end, also when another run left it."""
        pool = self._lookup(folder)
        if pool is None:
            with saying(f"opening the folder {folder} as a storage pool"):
                try:
                    pool = self._conn.storagePoolCreateXML(_pool_xml(folder))
                except libvirt.libvirtError:
                    pool = self._lookup(folder)  # another controller was faster
                    if pool is None:
                        pool = self._started(folder)
                    if pool is None:
                        raise
        if pool.name().startswith(POOL_PREFIX):
            self._transient[pool.name()] = pool

    def _started(self, folder: str) -> libvirt.virStoragePool | None:
        """The folder's pool that was defined but not active: libvirt lets no other have the folder. It is stopped again at the end."""
        for pool in self._conn.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE):
            if ElementTree.fromstring(pool.XMLDesc()).findtext("target/path") == folder:
                with suppress(libvirt.libvirtError):  # another controller was faster
                    pool.create()
                    self._transient[pool.name()] = pool
        return self._lookup(folder)

    def _pool(self, folder: str) -> libvirt.virStoragePool | None:
        """The folder's pool. One that was opened is opened again when another controller closed it."""
        pool = self._lookup(folder)
        if pool is None and folder in self._opened:
            self._open(folder)
            pool = self._lookup(folder)
        return pool

    def _lookup(self, folder: str) -> libvirt.virStoragePool | None:
        try:
            return self._conn.storagePoolLookupByTargetPath(folder)
        except libvirt.libvirtError as error:
            if error.get_error_code() in (libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_NO_SUPPORT):
                return None
            with saying(f"looking for the storage pool of {folder}"):
                raise

    def _need_pool(self, folder: str) -> libvirt.virStoragePool:
        pool = self._pool(folder)
        if pool is None:  # a transient pool that another controller closed
            self._open(folder)
            pool = self._pool(folder)
        if pool is None:
            raise BackendFailed(f"the folder {folder} cannot be opened as a storage pool", "no_storage", "define a storage pool of type dir for it")
        return pool

    def knows(self, folder: str) -> bool:
        return self._pool(folder) is not None

    def _in_pool(self, folder: str, call: Callable[[libvirt.virStoragePool], object], busy: int = -1) -> libvirt.virStoragePool | None:
        """Do something in the folder's pool, if it has one; again when another controller closed it meanwhile, or when libvirt answers ``busy``."""
        end = time.monotonic() + PATIENCE
        while True:
            pool = self._pool(folder)
            if pool is None:
                return None
            try:
                call(pool)
                return pool
            except libvirt.libvirtError as error:
                if (self._is_still(pool, folder) and error.get_error_code() != busy) or time.monotonic() > end:
                    raise
            time.sleep(PAUSE)

    def _is_still(self, pool: libvirt.virStoragePool | None, folder: str) -> bool:
        """Whether it is the folder's pool without having been closed meanwhile: each one that is opened has another UUID."""
        now = self._pool(folder)
        return (now.UUIDString() if now else None) == (pool.UUIDString() if pool else None)

    def refresh(self, folder: str) -> None:
        """Let libvirt see what QEMU or others made or removed in the folder."""
        with saying(f"reading the folder {folder}"):
            # That another controller makes a file in the pool right now is an internal error for libvirt.
            pool = self._in_pool(folder, lambda pool: pool.refresh(), libvirt.VIR_ERR_INTERNAL_ERROR)
        self._fresh[folder] = pool.UUIDString() if pool else ""

    def _is_fresh(self, folder: str) -> bool:
        pool = self._pool(folder)
        return self._fresh.get(folder) == (pool.UUIDString() if pool else "")

    def find(self, path: str) -> File | None:
        """The file; None when it is not there (or its folder has no pool: ask ``knows``)."""
        for _attempt in range(ATTEMPTS):
            volume = self._volume(path)
            if volume is None:
                return None
            try:
                return _file(volume.XMLDesc())
            except libvirt.libvirtError:
                self.refresh(folder_of(path))  # the pool remembers a file that is gone, or was closed
        return None

    def _volume(self, path: str) -> libvirt.virStorageVol | None:
        for _attempt in range(ATTEMPTS):
            try:
                return self._conn.storageVolLookupByPath(path)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
                    with saying(f"looking for {path}"):
                        raise
                if self._is_fresh(folder_of(path)):
                    return None
                self.refresh(folder_of(path))
        return None

    def users(self, paths: set[str], own: set[str], vm_id: str) -> dict[str, tuple[str, ...]]:
        """Path -> what else builds on it: files that are not ``own`` and have it as backing file, disks of other VMs."""
        found: dict[str, set[str]] = {path: set() for path in paths}
        with saying("looking for other users of the images"):
            for file in self._all_files():
                if file.backing in found and file.path not in own:
                    found[file.backing].add(file.path)
            for domain in self._conn.listAllDomains():
                if domain.UUIDString() == vm_id or domain.name() == helper_name(vm_id):
                    continue
                for text in self._definitions(domain):
                    for element in ElementTree.fromstring(text).iter("source"):
                        if element.get("file") in found:
                            found[str(element.get("file"))].add(f"VM {domain.name()}")
        return {path: tuple(sorted(users)) for path, users in found.items() if users}

    def _all_files(self) -> list[File]:
        """The files of every pool; looked for again when a pool was closed meanwhile, for none of the opened folders may be left out."""
        for attempt in range(ATTEMPTS):
            pools = self._conn.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
            try:
                volumes = [volume for pool in pools for volume in pool.listAllVolumes()]
            except libvirt.libvirtError:
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            files = []
            for volume in volumes:
                with suppress(libvirt.libvirtError):  # gone since the list was made
                    files.append(_file(volume.XMLDesc()))
            if all(any(self._is_still(pool, folder) for pool in pools) for folder in self._opened):
                break
        return files

    @staticmethod
    def _definitions(domain: libvirt.virDomain) -> list[str]:
        try:
            texts = [domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)]
            return [*texts, domain.XMLDesc(0)] if domain.isActive() else texts
        except libvirt.libvirtError:
            return []  # undefined since the list was made

    def create_overlay(self, path: str, base: Source) -> None:
        """A new qcow2 file on ``base``, readable by its owner alone."""
        self._create(path, _overlay_xml(path, base))
        made = self.find(path)
        if made is None or made.backing != base.path:
            raise BackendFailed(f"{path} was made, but is not built on {base.path}", "bad_overlay", "look at the file, remove it and run again")

    def reserve(self, path: str) -> None:
        """An empty file of mode 0600: libvirt would make its overlay readable by everybody, but keeps the mode of an empty file."""
        self._create(path, _empty_xml(path))

    def _create(self, path: str, xml: str) -> None:
        pool = self._need_pool(folder_of(path))

        def make(pool: libvirt.virStoragePool) -> None:
            if self._volume(path) is None:
                pool.createXML(xml)

        try:
            self._in_pool(folder_of(path), make)
        except libvirt.libvirtError as error:
            if self._is_full(pool):
                raise BackendFailed(f"no space left for {path}", "no_space", "make room in the folder and run again") from error
            if error.get_error_code() in (libvirt.VIR_ERR_STORAGE_VOL_EXIST, libvirt.VIR_ERR_OPERATION_INVALID) and self._refreshed(path):
                return
            with saying(f"creating {path}"):
                raise

    def _refreshed(self, path: str) -> bool:
        self.refresh(folder_of(path))
        return self._volume(path) is not None

    @staticmethod
    def _is_full(pool: libvirt.virStoragePool) -> bool:
        try:
            pool.refresh()
            return bool(pool.info()[3] < ROOM)
        except libvirt.libvirtError:
            return False

    def full_folder(self) -> str | None:
        """One of the opened folders that has no space left: most probably why something failed."""
        for folder in self._opened:
            pool = self._pool(folder)
            if pool is not None and self._is_full(pool):
                return folder
        return None

    def demand_absent(self, paths: Iterable[str]) -> None:
        """Refuse when a file that is to be made exists: it is not known whose it is."""
        wanted = list(paths)
        for folder in {folder_of(path) for path in wanted}:
            self.refresh(folder)
        for path in wanted:
            if self._volume(path) is not None:
                raise Refused(f"the file {path} exists already and is not known", "file_exists", "look at it; move it away if nothing needs it, then run again")

    def delete(self, path: str) -> None:
        """Delete a file; one that is gone already is fine."""
        self._need_pool(folder_of(path))

        def remove(pool: libvirt.virStoragePool) -> None:
            volume = self._volume(path)
            try:
                if volume is not None:
                    volume.delete()
            except libvirt.libvirtError:
                self.refresh(folder_of(path))
                if self._volume(path) is not None:
                    raise

        with saying(f"deleting {path}"):
            self._in_pool(folder_of(path), remove)


def _file(xml: str) -> File:
    volume = ElementTree.fromstring(xml)
    kind, backing = volume.find("target/format"), volume.findtext("backingStore/path")
    size = int(volume.findtext("allocation") or 0)
    return File(
        path=volume.findtext("target/path") or "",
        format=(kind.get("type") if kind is not None else None) or "raw",
        size=size,
        length=int(volume.findtext("physical") or size),
        capacity=int(volume.findtext("capacity") or 0),
        backing=backing or None,
    )


def _pool_xml(folder: str) -> str:
    pool = new("pool", type="dir")
    add(pool, "name", POOL_PREFIX + hashlib.sha256(folder.encode()).hexdigest()[:16])
    add(add(pool, "target"), "path", folder)
    return text_of(pool)


def _overlay_xml(path: str, base: Source) -> str:
    volume, target = _volume_xml(path, OVERLAY_FORMAT)
    add(target, "compat", "1.1")  # libvirt's own default is the format of 2010
    backing = add(volume, "backingStore")
    add(backing, "path", base.path)
    add(backing, "format", type=base.format)
    return text_of(volume)


def _empty_xml(path: str) -> str:
    volume, _target = _volume_xml(path, "raw")
    add(volume, "capacity", "0")
    return text_of(volume)


def _volume_xml(path: str, kind: str) -> tuple[Any, Any]:
    volume = new("volume")
    add(volume, "name", path.rpartition("/")[2])
    target = add(volume, "target")
    add(target, "format", type=kind)
    add(add(target, "permissions"), "mode", "0600")
    return volume, target
