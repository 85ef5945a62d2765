# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM on the engine emulator as the tests see it: real HTTPS, the real SDK, and the contents that the emulator follows through its chains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.connection import Ovirt
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.login import Login
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Vm
from ansible_collections.diskwise.vm.plugins.module_utils._engine.port import Backend
from tests.contract.machine import Content, Machine
from tests.emulator.control import Emulator

TIMEOUT, INTERVAL = 30, 0.01
BEFORE_THE_PREVIEW = "Active VM before the preview"


class EngineMachine(Machine):
    """A VM of the emulator."""

    def __init__(self, engine: Emulator, name: str, disks: Sequence[str], **options: Any) -> None:
        self.engine = engine
        self.name = name
        self.id = engine.make_vm(name, list(disks), **options)
        self.login = Login(engine.url, engine.username, engine.password, ca_file=str(engine.ca))

    def connect(self, login: Login | None = None, **options: Any) -> Backend:
        found = Ovirt(login or self.login, TIMEOUT, INTERVAL, **options).find([self.id])[0]
        if isinstance(found, Exception):
            raise found
        return found

    @contextmanager
    def only_reads(self) -> Iterator[None]:
        self.engine.clear_log()
        yield
        sent = self.engine.log()
        assert sent, "the emulator's log shows nothing"
        assert [request.path for request in sent if request.method != "GET"] == []

    def other_name(self, disk: str) -> str:
        return self.ids()[disk]

    def left_behind(self, disk: str) -> str:
        return f"{disk} ({self.ids()[disk]})"

    def ids(self) -> dict[str, str]:
        """Disk name -> disk id, of those that the guest would see."""
        vm = self._raw()
        return {each.disk.alias: each.disk.id for each in vm.disk_attachments if each.active}

    def _raw(self) -> Any:
        return self._desk().look()

    def _desk(self) -> Any:
        return self.connect()._desk  # type: ignore[attr-defined]

    def write(self, disk: str, slot: int, value: int) -> None:
        """A guest writes. When the VM is down, it runs for a moment: nobody else writes into an engine's images."""
        was_down = str(self._raw().status) == "down"
        if was_down:
            self.start()
        self.engine.write(self.ids()[disk], str(slot), str(value))
        if was_down:
            self.stop()

    def write_all(self, slot: int, value: int) -> None:
        was_down = str(self._raw().status) == "down"
        if was_down:
            self.start()
        for number, (_disk, disk_id) in enumerate(sorted(self.ids().items())):
            self.engine.write(disk_id, str(slot), str(value + number))
        if was_down:
            self.stop()

    def disks(self) -> list[str]:
        return sorted(self.ids())

    def contents(self) -> dict[str, Content]:
        return {name: self.engine.disk_content(disk_id) for name, disk_id in self.ids().items()}

    def image_content(self, image: str) -> Content:
        return self.engine.image_content(image)

    def slot(self, disk: str, slot: int) -> int:
        return int(self.engine.disk_content(self.ids()[disk]).get(str(slot), 0))

    def _power(self, action: str, status: str) -> None:
        from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.sdk import types

        desk = self._desk()
        desk.send(f"{action} for a test", "t", (), "POST", f"/{action}", types.Action(), lambda vm: str(vm.status) == status)
        for _passed in desk.engine.clock.ticks(action):
            if str(desk.look().status) == status:
                return

    def start(self) -> None:
        self._power("start", "up")

    def stop(self) -> None:
        if str(self._raw().status) != "down":
            self._power("stop", "down")

    def suspend(self) -> None:
        self._power("suspend", "suspended")

    def plug(self, disk: str) -> None:
        """Plug in again a disk that a commit left unplugged."""
        from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.preview import set_flags

        disk_id = next(each.disk.id for each in self._raw().disk_attachments if each.disk.alias == disk)
        set_flags(self._desk(), disk_id, active=True)

    def attach(self, disk: str) -> None:
        self.engine.attach_disk(self.id, disk)

    def foreign_snapshot(self, name: str) -> None:
        from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.sdk import types

        desk = self._desk()
        body = types.Snapshot(description=name, persist_memorystate=False)
        desk.ask("somebody's snapshot", "f", (name,), "POST", "/snapshots", body, lambda vm: False)
        desk.at_rest()

    def files(self) -> frozenset[str]:
        return frozenset(self.engine.volumes(self.id))

    def config(self) -> str:
        vm = self._raw()
        disks = sorted((each.disk.alias, each.bootable, each.active, each.read_only, str(each.interface)) for each in vm.disk_attachments)
        return repr((vm.name, vm.description, vm.memory, disks))

    def snapshot_contents(self) -> dict[str, dict[str, Content]]:
        vm: Vm = self.read()
        found: dict[str, dict[str, Content]] = {}
        for snapshot in vm.snapshots:
            images: Mapping[str, str] = snapshot.images
            found[snapshot.name] = {vm.label(disk): self.image_content(image) for disk, image in images.items()}
        return found
