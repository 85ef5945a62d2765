# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to libvirt, and one VM on it as the engine wants it."""

from __future__ import annotations

import errno
import gc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from xml.etree import ElementTree

from ..._engine.changes import Change, Decision
from ..._engine.errors import BackendFailed, NotFound, VmError
from ..._engine.model import Problem, Step, Vm
from . import xml
from .desk import Desk
from .disks import disks
from .faults import NOT_ALLOWED, is_one_of, saying, translate
from .lock import held, is_abandoned
from .raw import read_raw
from .read import read
from .sdk import demand, libvirt
from .storage import Storage, folder_of
from .waiting import Clock

CALLS_AT_ONCE = 5
"""How many calls of one connection libvirtd carries out at a time, as it is shipped (max_client_requests)."""
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Libvirt:
    """An open connection. Raises BackendFailed when it cannot be opened.

    ``timeout`` and ``interval`` in seconds. ``users``: find out what else uses the VMs' images; only what deletes or merges images needs it.
    ``together``: all VMs will be worked on at the same time.
    """

    workers = 1

    def __init__(self, uri: str, timeout: int, interval: int, users: bool = True, together: bool = False) -> None:
        demand()
        # Freeing a libvirt object forgets the last error of the thread: a collection between a call and its exception would blank it.
        gc.disable()
        self._clock = Clock(timeout, interval)
        self._users = users
        self._uri = uri
        self._together = together
        self._conn = self._open()
        self._more: list[libvirt.virConnect] = []

    def _open(self) -> libvirt.virConnect:
        try:
            return libvirt.open(self._uri)
        except libvirt.libvirtError as error:
            said = error.get_error_message() or str(error)
            if is_one_of(error, NOT_ALLOWED) or (is_one_of(error, ("SYSTEM_ERROR",)) and error.get_int1() == errno.EACCES):
                raise BackendFailed(
                    f"libvirt at {self._uri} refuses this user: {said}", "no_permission", "join the group libvirt, or run the task with become"
                ) from error
            raise BackendFailed(
                f"libvirt at {self._uri} cannot be reached: {said}", "cannot_connect", "is the daemon running, and is the uri right?"
            ) from error

    def find(self, names: Sequence[str]) -> Sequence[LibvirtVm | VmError]:
        return [self._find(name, self._connection(number)) for number, name in enumerate(names)]

    def _connection(self, number: int) -> libvirt.virConnect:
        """The one for the VM of this number."""
        if not self._together or number < CALLS_AT_ONCE:
            return self._conn
        if number % CALLS_AT_ONCE == 0:
            self._more.append(self._open())
        return self._more[-1]

    def _find(self, name: str, conn: libvirt.virConnect) -> LibvirtVm | VmError:
        try:
            domain = conn.lookupByUUIDString(name) if UUID.fullmatch(name) else conn.lookupByName(name)
        except libvirt.libvirtError as error:
            if is_one_of(error, ("NO_DOMAIN",)):
                return NotFound(f"there is no VM {name!r}", "unknown_vm", self._known())
            return translate(error, f"looking for VM {name}")
        return LibvirtVm(conn, domain, self._clock, self._users)

    def _known(self) -> str:
        with saying("listing the VMs"):
            names = sorted(domain.name() for domain in self._conn.listAllDomains())
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        return f"VMs of this connection: {', '.join(names[:20]) or 'none'}{more}"

    def owner_of(self, disk: str) -> Sequence[str]:
        with saying("looking for the disk"):
            found = [domain for domain in self._conn.listAllDomains() if _has(domain, disk)]
            if not found:  # not what a disk writes to now, but perhaps what a snapshot holds of it
                with_snapshots = self._conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT)
                found = [domain for domain in with_snapshots if _holds(domain, disk)]
        if not found:
            raise NotFound(f"no VM has a disk {disk!r}", "unknown_disk", "give the path of its image, or its serial")
        return [domain.UUIDString() for domain in sorted(found, key=lambda domain: str(domain.name()))]

    def close(self) -> None:
        for conn in (self._conn, *self._more):
            with suppress(libvirt.libvirtError):
                conn.close()


def _has(domain: libvirt.virDomain, disk: str) -> bool:
    root = ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    return disk in {source.path for source in xml.sources(root).values()} | {found.serial for found in disks(root)}


def _holds(domain: libvirt.virDomain, path: str) -> bool:
    return any(path == image.path for snapshot in read_raw(domain).snapshots.values() for image in xml.held_images(snapshot).values())


class LibvirtVm:
    """One domain."""

    def __init__(self, conn: libvirt.virConnect, domain: libvirt.virDomain, clock: Clock, users: bool) -> None:
        self._desk = Desk(conn, domain, Storage(conn), clock)
        self._users = users
        self._folders: frozenset[str] = frozenset()

    def read(self) -> Vm:
        self._desk.storage.forget()
        with saying(f"reading VM {self._desk.name}"):
            try:
                vm = self._picture()
            except ValueError as error:
                raise BackendFailed(
                    f"VM {self._desk.name}: its record in <metadata> cannot be read: {error}",
                    "bad_record",
                    "restore the domain's XML from a backup, or remove the element",
                ) from error
            fixed = {disk.id for disk in vm.disks if disk.fixed}  # their folders are not needed, and a medium's may be gone
            self._folders = frozenset(folder_of(path) for path, image in vm.images.items() if image.disk not in fixed)
            if not is_abandoned(self._desk.conn, vm.id):
                return vm
            stale = Problem("stale_lock", vm.name, "a controller died while it worked on the VM, and its lock is left", "run its task again, it clears up")
            return replace(vm, problems=(*vm.problems, stale))

    def _picture(self) -> Vm:
        """A snapshot may go between the call that lists it and the one that asks for it, when another controller is at work."""
        for last in (False, False, True):
            try:
                return read(self._desk.domain, self._desk.storage, self._users)
            except libvirt.libvirtError as error:
                if last or not is_one_of(error, ("NO_DOMAIN_SNAPSHOT",)):
                    raise
        raise BackendFailed(f"reading VM {self._desk.name}")  # not reached: the last turn returns or raises

    def look(self, vm: Vm, decision: Decision) -> Vm:
        return vm

    @contextmanager
    def hold(self) -> Iterator[bool]:
        with ExitStack() as stack:
            stack.enter_context(held(self._desk.conn, self._desk.domain.UUIDString(), self._desk.name, int(self._desk.clock.timeout)))
            stack.enter_context(self._desk.storage.opened(self._folders))
            yield True

    def images(self, vm: Vm, change: Change) -> Mapping[str, str]:
        from .plan import made_images  # as in apply.py: a task that only reads does not need it

        return made_images(vm, change)

    def plan(self, vm: Vm, change: Change) -> tuple[Step, ...]:
        from .plan import plan

        return plan(vm, change)

    def apply(self, step: Step) -> None:
        from .apply import apply

        apply(self._desk, step)
