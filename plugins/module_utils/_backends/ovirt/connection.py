# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to an engine, and one VM on it as the core wants it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..._engine.changes import Change, Decision
from ..._engine.errors import Ambiguous, BackendFailed, NotFound, VmError
from ..._engine.model import Problem, Step, Vm
from . import ovf, raw, source
from .clock import Clock
from .desk import Desk
from .engine import Engine
from .login import Login
from .problems import stuck
from .read import Closer, read
from .sdk import demand

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NAME = re.compile(r"[\w.+-]+")
"""What an engine takes as the name of a VM. Nothing else is searched for: a search would take it as an operator or a pattern."""

AT_ONCE = 50
"""VMs that one search asks for: with more, its URL becomes too long for some proxies."""


class Ovirt:
    """An open connection. Raises VmError when the engine does not let the user in.

    ``timeout`` and ``interval`` in seconds. ``patient``: wait until the engine has done what it is at; without, show that.
    ``names_storage``: storage domains are asked for by their names.
    """

    workers = 20
    """How many VMs are served side by side: nearly all of the time is the engine's own."""

    def __init__(self, login: Login, timeout: float, interval: float, patient: bool = True, names_storage: bool = False) -> None:
        demand()
        self._clock = Clock(timeout, interval)
        self._login = login
        self._patient, self._names_storage = patient, names_storage
        self._main = Engine(login, self._clock)
        self._main.token()
        self._others: list[Engine] = []
        self._of_thread = threading.local()
        self._of_thread.engine = self._main
        self._lock = threading.Lock()

    def engine(self) -> Engine:
        """The connection of this thread; the SDK's cannot be shared."""
        found: Engine | None = getattr(self._of_thread, "engine", None)
        if found is None:
            with self._lock:
                found = self._main.another(self._clock)
                found.lists_jobs, found.reached = self._main.lists_jobs, self._main.reached
                self._others.append(found)
            self._of_thread.engine = found
        return found

    def find(self, names: Sequence[str]) -> Sequence[OvirtVm | VmError]:
        found: dict[str, list[Any]] = {}
        wanted = [name for name in dict.fromkeys(names) if NAME.fullmatch(name)]
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            search = " or ".join(f"id={name}" if UUID.fullmatch(name) else f'name="{name}"' for name in some)
            for vm in self._search(search):
                for key in (str(vm.id), str(vm.name)):
                    found.setdefault(key, []).append(vm)
        storage = self._storage()
        return [self._one(name, found.get(name.lower() if UUID.fullmatch(name) else name, []), storage) for name in names]

    def _search(self, search: str) -> list[Any]:
        try:
            return self._main.vms(search, configs=not self._patient)
        except NotFound as error:
            raise BackendFailed(f"there is no API of an engine at {self._login.url}", "cannot_connect", "the URL ends in /ovirt-engine/api") from error

    def _one(self, name: str, hits: Sequence[Any], storage: Mapping[str, str]) -> OvirtVm | VmError:
        of_id = {vm.id: vm for vm in hits}
        if len(of_id) > 1:
            return Ambiguous(f"{len(of_id)} VMs are named {name!r}: {', '.join(sorted(of_id))}", "ambiguous_vm", "name the VM by its id")
        if not of_id:
            return NotFound(f"there is no VM {name!r}, or the user may not see it", "unknown_vm", self._known())
        return OvirtVm(self, next(iter(of_id.values())), storage, self._patient)

    def _known(self) -> str:
        service = self._main.system.vms_service()
        names = sorted(str(vm.name) for vm in self._main.read("listing the VMs", lambda: service.list(max=21)))
        return f"VMs that this user sees: {', '.join(names[:20]) or 'none'}{' and more' if len(names) > 20 else ''}"

    def _storage(self) -> Mapping[str, str]:
        if not self._names_storage:
            return {}
        service = self._main.system.storage_domains_service()
        return {domain.id: domain.name for domain in self._main.read("listing the storage domains", service.list)}

    def owner_of(self, disk: str) -> Sequence[str]:
        service = self._main.system.vms_service()
        vms = self._main.read("looking for the disk", lambda: service.list(follow="disk_attachments.disk"))
        found = [vm for vm in vms if any(disk in (each.disk.id, each.disk.alias) for each in vm.disk_attachments or ())]
        if not found:
            raise NotFound(f"no VM has a disk {disk!r}, or the user may not see it", "unknown_disk", "give the disk's id or name")
        return [str(vm.id) for vm in sorted(found, key=lambda vm: str(vm.name))]

    def close(self) -> None:
        # A token that was handed over is its owner's: others may go on with it.
        for engine in self._others:
            engine.close(logout=False)
        self._main.close(logout=not self._login.token)


class OvirtVm:
    """One VM of an engine, by its id: names come and go with previews."""

    def __init__(self, hypervisor: Ovirt, vm: Any, storage: Mapping[str, str], patient: bool) -> None:
        self._desk = Desk(hypervisor.engine, vm.id, vm.name)
        self._desk.latest = (time.monotonic(), vm)
        self._storage, self._patient = storage, patient
        self._configs: dict[str, ovf.Config] = {}
        self._vm: Any = None

    def read(self) -> Vm:
        desk = self._desk
        self._vm = desk.at_rest() if self._patient else desk.now()
        self._configs.update({row.id: ovf.config(row) for row in raw.rows(self._vm, "regular") if row.initialization})
        row = raw.row(self._vm, "preview")
        found = read(self._vm, self._closer([row.id] if row is not None else []), self._storage)
        ours = tuple(replace(each, own=each.id in desk.made) for each in found.snapshots)
        found = replace(found, snapshots=ours, requests=dict(desk.done))
        if not self._patient:
            from .look import health

            return replace(health(desk, self._vm, found), complete=True)
        return self._with(found, stuck(self._vm)) if raw.is_locked(self._vm) else found

    def _with(self, vm: Vm, problem: Problem) -> Vm:
        return replace(vm, problems=(*vm.problems, problem))

    def _closer(self, wanted: Sequence[str]) -> Closer:
        """Ask single snapshots for their disks and configurations. Where a preview hides a disk, every snapshot is asked."""
        disks = {each: self._ask(each) for each in wanted}
        attached = {each.disk.id for each in raw.attachments(self._vm)}
        row = raw.row(self._vm, "preview")
        if row is not None and any(disk.id not in attached for disk in disks.get(row.id, ())):
            others = [each.id for each in raw.rows(self._vm, "regular") if not source.is_own(each) and each.id not in disks]
            disks.update({each: self._ask(each) for each in others})
        return Closer(disks, self._configs)

    def _ask(self, snapshot_id: str) -> tuple[Any, ...]:
        found = self._desk.engine.snapshot(self._desk.id, snapshot_id, config=snapshot_id not in self._configs)
        self._configs.setdefault(snapshot_id, ovf.config(found))
        return tuple(found.disks or ())

    def look(self, vm: Vm, decision: Decision) -> Vm:
        from .look import look  # what is decided without it does not load it

        return look(self._desk, self._vm, vm, decision, lambda wanted: read(self._vm, self._closer(wanted), self._storage), self._configs)

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """The engine lets only one at work on a VM, and what it accepts in spite of a change in between is found by comparing afterwards."""
        yield False

    def images(self, vm: Vm, change: Change) -> Mapping[str, str]:
        return {}

    def plan(self, vm: Vm, change: Change) -> tuple[Step, ...]:
        from .plan import plan

        return plan(vm, change)

    def apply(self, step: Step) -> None:
        from .apply import apply

        apply(self._desk, step)
