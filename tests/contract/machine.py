# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM of whatever backend as the tests see it: its disks as bytes, and the backend that the engine drives."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import libvirt

from ansible_collections.diskwise.vm.plugins.module_utils._backends.libvirt.connection import Libvirt
from ansible_collections.diskwise.vm.plugins.module_utils._engine import render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Disk, Vm
from ansible_collections.diskwise.vm.plugins.module_utils._engine.port import Backend
from tests.contract import calls
from tests.contract.fake import FakeBackend, content_of, new_store
from tests.lab import content
from tests.lab import vm as vms
from tests.lab.daemon import Daemon

SLOT = 64 << 10
"""Bytes. A test fills whole slots of a disk with one value each."""
SIZE = 8 * SLOT
BLOCK = 4 << 10
_NOTHING = bytes(BLOCK)
TIMEOUT, INTERVAL = 60, 1

Content = Any
"""All that is in a disk, byte for byte, to be compared and shown."""


class Machine(ABC):
    """One VM. Disks are called by their names everywhere."""

    name: str

    @abstractmethod
    def connect(self) -> Backend:
        """The VM over a new connection, as another control node would have it."""

    @abstractmethod
    def write(self, disk: str, slot: int, value: int) -> None:
        """Fill a slot of what the disk is now: as the guest if it is up, else in the image."""

    @abstractmethod
    def disks(self) -> list[str]:
        """The disks that the VM has now, sorted."""

    @abstractmethod
    def contents(self) -> dict[str, Content]:
        """What is in each disk that the VM has now, while a preview is open in those of the preview."""

    @abstractmethod
    def image_content(self, image: str) -> Content:
        """What a disk would hold whose image is this one."""

    @abstractmethod
    def slot(self, disk: str, slot: int) -> int:
        """The value that was last written to the slot; 0 if none was."""

    @abstractmethod
    def start(self) -> None:
        """Start it; a memory that was saved is resumed."""

    @abstractmethod
    def stop(self) -> None:
        """Pull the plug; nothing when it is off."""

    @abstractmethod
    def suspend(self) -> None:
        """Save the memory of the running VM, as an administrator may do at any time."""

    @abstractmethod
    def attach(self, disk: str) -> None:
        """Add a new disk to the VM, which is down."""

    @abstractmethod
    def foreign_snapshot(self, name: str) -> None:
        """Another client takes a snapshot of every disk."""

    @abstractmethod
    def files(self) -> frozenset[str]:
        """The images and memory files that exist for the VM."""

    @abstractmethod
    def config(self) -> str:
        """The configuration, without what this collection notes in it."""

    @abstractmethod
    def other_name(self, disk: str) -> str:
        """Another way to name the disk."""

    @abstractmethod
    def left_behind(self, disk: str) -> str:
        """What stays of a disk that a commit takes off the VM, as the result lists it."""

    @abstractmethod
    def only_reads(self) -> AbstractContextManager[None]:
        """While the context is open, nothing may be called that does more than read."""

    def busy(self) -> bool:
        """A guest runs that writes by itself."""
        return False

    def read(self) -> Vm:
        return self.connect().read()

    def view(self) -> dict[str, Any]:
        return render.view(self.read())

    def info(self) -> dict[str, Any]:
        return render.info(self.read())

    def state(self) -> tuple[Any, ...]:
        """All that a refusal and an undo must leave as they were."""
        view = self.view()
        contents = {} if self.busy() else self.contents()
        return {key: view[key] for key in view if key != "power"}, self.config(), contents, self.snapshot_contents()

    def snapshots(self) -> dict[str, list[str]]:
        """Each snapshot, in order, with the disks it holds."""
        return {snapshot["name"]: snapshot["disks"] for snapshot in self.view()["snapshots"]}

    def snapshot_contents(self) -> dict[str, dict[str, Content]]:
        """What each snapshot holds."""
        vm = self.read()
        return {s.name: {vm.label(disk): self.image_content(image) for disk, image in s.images.items()} for s in vm.snapshots}

    def write_all(self, slot: int, value: int) -> None:
        """Another value for each disk: the first disk gets ``value``, the second the next one, ..."""
        for number, disk in enumerate(self.disks()):
            self.write(disk, slot, value + number)


class LibvirtMachine(Machine):
    """A VM of tests.lab on a real libvirt."""

    def __init__(self, daemon: Daemon, vm: vms.Vm) -> None:
        self.daemon = daemon
        self.vm = vm
        self.name = vm.name
        self._names = {disk.target: disk.name for disk in vm.disks}

    def busy(self) -> bool:
        return self.vm.active and self.vm.boot != "halt" and self.dom.state()[0] != libvirt.VIR_DOMAIN_PAUSED

    @property
    def dom(self) -> libvirt.virDomain:
        return self.vm.dom

    @contextmanager
    def only_reads(self) -> Iterator[None]:
        with calls.recorded() as made:
            yield
        assert set(made) <= calls.READS

    def connect(self) -> Backend:
        found = Libvirt(self.daemon.uri, TIMEOUT, INTERVAL).find([self.vm.uuid])[0]
        if isinstance(found, Exception):
            raise found
        return found

    def write(self, disk: str, slot: int, value: int) -> None:
        if self.vm.active:
            content.write_running(self.dom, self.target(disk), slot * SLOT, value, SLOT)
        else:
            content.write(self.image(disk), slot * SLOT, value, SLOT)

    def disks(self) -> list[str]:
        return sorted(self._names[target] for target in self.vm.images())

    def contents(self) -> dict[str, Content]:
        return {self._names[target]: self.image_content(str(path)) for target, path in self.vm.images().items()}

    def image_content(self, image: str) -> Content:
        try:
            return _blocks(content.read(image))
        except (OSError, content.ContentError):
            return f"{image} cannot be read"

    def slot(self, disk: str, slot: int) -> int:
        data = content.peek(self.image(disk), slot * SLOT, SLOT)
        assert len(set(data)) == 1, f"slot {slot} of {disk} is not of one value"
        return data[0]

    def other_name(self, disk: str) -> str:
        return self.target(disk)

    def left_behind(self, disk: str) -> str:
        return str(self.image(disk))

    def target(self, disk: str) -> str:
        return next(target for target, name in self._names.items() if name == disk)

    def image(self, disk: str) -> Path:
        """What the disk writes to now."""
        return self.vm.images()[self.target(disk)]

    def start(self) -> None:
        if self.dom.hasManagedSaveImage():
            self.dom.create()
        else:
            self.vm.start()

    def stop(self) -> None:
        self.vm.destroy()

    def suspend(self) -> None:
        self.dom.managedSave()

    def attach(self, disk: str) -> None:
        target = next(f"vd{letter}" for letter in "bcdefgh" if f"vd{letter}" not in self.vm.images())
        path = content.create(self.vm.folder / f"{self.name}.{disk}.qcow2", SIZE)
        root = ET.fromstring(self.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        root.find("devices").append(
            ET.fromstring(
                f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
                f"<target dev='{target}' bus='virtio'/><serial>{disk}</serial></disk>"
            )
        )
        self.vm.conn.defineXML(ET.tostring(root, encoding="unicode"))
        self._names[target] = disk

    def foreign_snapshot(self, name: str) -> None:
        self.vm.snapshot(name)

    def files(self) -> frozenset[str]:
        return frozenset(path.name for path in self.vm.folder.iterdir() if path.suffix != ".log")

    def config(self) -> str:
        root = ET.fromstring(self.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        for metadata in root.findall("metadata"):
            root.remove(metadata)
        return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


class FakeMachine(Machine):
    """A VM of fake.py."""

    _controllers = itertools.count(1)

    def __init__(self, name: str, disks: Sequence[str]) -> None:
        self.name = name
        self.store = new_store(name, [Disk(f"vd{x}", disk, f"vd{x}", bootable=x == "a", serial=disk) for x, disk in zip("abcdefgh", disks)])

    @contextmanager
    def only_reads(self) -> Iterator[None]:
        before = self.store.copy()
        yield
        assert self.store == before

    def connect(self) -> FakeBackend:
        return FakeBackend(self.store, f"controller {next(self._controllers)}")

    def write(self, disk: str, slot: int, value: int) -> None:
        self.connect().write(disk, slot, str(value))

    def other_name(self, disk: str) -> str:
        return next(found.target for found in self.store.disks if found.name == disk)

    def left_behind(self, disk: str) -> str:
        return self.store.attached[self.other_name(disk)]

    def disks(self) -> list[str]:
        return sorted(disk.name for disk in self.store.disks if disk.id in self.store.attached)

    def contents(self) -> dict[str, Content]:
        return {disk.name: self.connect().content(disk.id) for disk in self.store.disks if disk.id in self.store.attached}

    def image_content(self, image: str) -> Content:
        return content_of(self.store, image)

    def slot(self, disk: str, slot: int) -> int:
        return int(self.connect().content(disk).get(slot, 0))

    def start(self) -> None:
        self.connect().start()

    def stop(self) -> None:
        self.connect().stop()

    def suspend(self) -> None:
        self.connect().suspend()

    def attach(self, disk: str) -> None:
        target = next(f"vd{x}" for x in "bcdefgh" if f"vd{x}" not in {d.target for d in self.store.disks})
        self.connect().attach(Disk(target, disk, target, serial=disk))

    def foreign_snapshot(self, name: str) -> None:
        self.connect().foreign_snapshot(name)

    def files(self) -> frozenset[str]:
        return frozenset(self.store.files)

    def config(self) -> str:
        return repr([self.store.name, sorted(self.store.disks, key=lambda disk: disk.id), self.store.attached])


def _blocks(data: bytes) -> Mapping[int, int | bytes]:
    """The same bytes in a form that a failed assertion can show: for each block that is not all zero its one value or its bytes, and the size."""
    blocks = {start: data[start : start + BLOCK] for start in range(0, len(data), BLOCK)}
    found = {start: block[0] if block == block[:1] * BLOCK else block for start, block in blocks.items() if block != _NOTHING}
    return {**found, len(data): 0}
