# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files through libvirt's storage API: no path is opened here, so it works on every URI.

A file is reached through the storage pool of its folder. Where the folder has none, ``opened`` makes one that lives only as long as it is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from xml.dom import minidom
from xml.etree import ElementTree

from ..._engine.errors import BackendFailed, Refused
from .faults import saying
from .sdk import libvirt
from .xml import Source

POOL_PREFIX = "diskwise-"
OVERLAY_FORMAT = "qcow2"
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


class Storage:
    """The image files that one connection can see."""

    def __init__(self, conn: libvirt.virConnect) -> None:
        self._conn = conn
        self._fresh: set[str] = set()
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
        pool = self._pool(folder)
        if pool is None:
            with saying(f"opening the folder {folder} as a storage pool"):
                try:
                    pool = self._conn.storagePoolCreateXML(_pool_xml(folder))
                except libvirt.libvirtError:
                    pool = self._pool(folder)  # another controller was faster
                    if pool is None:
                        raise
        if pool.name().startswith(POOL_PREFIX):
            self._transient[pool.name()] = pool

    def _pool(self, folder: str) -> libvirt.virStoragePool | None:
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

    def refresh(self, folder: str) -> None:
        """Let libvirt see what QEMU or others made or removed in the folder."""
        pool = self._pool(folder)
        if pool is not None:
            with saying(f"reading the folder {folder}"):
                pool.refresh()
        self._fresh.add(folder)

    def find(self, path: str) -> File | None:
        """The file; None when it is not there (or its folder has no pool: ask ``knows``)."""
        volume = self._volume(path)
        try:
            return _file(volume.XMLDesc()) if volume else None
        except libvirt.libvirtError:
            if folder_of(path) in self._fresh:
                return None
        self.refresh(folder_of(path))  # the pool remembers a file that is gone
        return self.find(path)

    def _volume(self, path: str) -> libvirt.virStorageVol | None:
        for _attempt in range(2):
            try:
                return self._conn.storageVolLookupByPath(path)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
                    with saying(f"looking for {path}"):
                        raise
                if folder_of(path) in self._fresh:
                    return None
                self.refresh(folder_of(path))
        return None

    def users(self, paths: set[str], own: set[str], vm_id: str) -> dict[str, tuple[str, ...]]:
        """Path -> what else builds on it: files that are not ``own`` and have it as backing file, disks of other VMs."""
        found: dict[str, set[str]] = {path: set() for path in paths}
        with saying("looking for other users of the images"):
            for pool in self._conn.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
                for volume in pool.listAllVolumes():
                    try:
                        file = _file(volume.XMLDesc())
                    except libvirt.libvirtError:
                        continue  # gone since the list was made
                    if file.backing in found and file.path not in own:
                        found[file.backing].add(file.path)
            for domain in self._conn.listAllDomains():
                if domain.UUIDString() == vm_id:
                    continue
                for text in self._definitions(domain):
                    for element in ElementTree.fromstring(text).iter("source"):
                        if element.get("file") in found:
                            found[str(element.get("file"))].add(f"VM {domain.name()}")
        return {path: tuple(sorted(users)) for path, users in found.items() if users}

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
        if self._volume(path) is not None:
            return
        pool = self._need_pool(folder_of(path))
        try:
            pool.createXML(xml)
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
        volume = self._volume(path)
        if volume is None:
            return
        try:
            volume.delete()
        except libvirt.libvirtError:
            self.refresh(folder_of(path))
            if self._volume(path) is None:
                return
            with saying(f"deleting {path}"):
                raise


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
    doc: Any = minidom.Document()
    pool = doc.appendChild(doc.createElement("pool"))
    pool.setAttribute("type", "dir")
    _leaf(pool, "name", POOL_PREFIX + hashlib.sha256(folder.encode()).hexdigest()[:16])
    _leaf(pool.appendChild(doc.createElement("target")), "path", folder)
    return str(pool.toxml())


def _overlay_xml(path: str, base: Source) -> str:
    volume, target = _volume_xml(path, OVERLAY_FORMAT)
    _leaf(target, "compat", "1.1")  # libvirt's own default is the format of 2010
    backing = volume.appendChild(volume.ownerDocument.createElement("backingStore"))
    _leaf(backing, "path", base.path)
    backing.appendChild(volume.ownerDocument.createElement("format")).setAttribute("type", base.format)
    return str(volume.toxml())


def _empty_xml(path: str) -> str:
    volume, _target = _volume_xml(path, "raw")
    _leaf(volume, "capacity", "0")
    return str(volume.toxml())


def _volume_xml(path: str, kind: str) -> tuple[Any, Any]:
    doc: Any = minidom.Document()
    volume = doc.appendChild(doc.createElement("volume"))
    _leaf(volume, "name", path.rpartition("/")[2])
    target = volume.appendChild(doc.createElement("target"))
    target.appendChild(doc.createElement("format")).setAttribute("type", kind)
    _leaf(target.appendChild(doc.createElement("permissions")), "mode", "0600")
    return volume, target


def _leaf(parent: Any, name: str, text: str) -> None:
    parent.appendChild(parent.ownerDocument.createElement(name)).appendChild(parent.ownerDocument.createTextNode(text))
