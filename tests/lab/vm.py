# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real VMs for tests: `make` defines one with its images in a folder, `Vm` is the handle."""

from __future__ import annotations

import os
import re
import shutil
import string
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import libvirt

from tests.lab import content, guest

libvirt.registerErrorHandler(lambda *_: None, None)  # errors come as exceptions; the copy on stderr is noise

PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}
AGENT = "org.qemu.guest_agent.0"


@dataclass(frozen=True)
class Disk:
    """One disk of a VM to be made. Most tests only name their disks; the functions below make the unusual kinds."""

    name: str  # also the serial number and the stem of the file name
    device: str = "disk"  # disk, cdrom, floppy
    source: str = "file"  # file, block, network, or none for an empty drive
    fmt: str | None = None  # None: as the VM's other disks
    size: str | int | None = None
    bus: str | None = None
    target: str | None = None  # None: the next free one of the bus
    path: str | os.PathLike | None = None  # use this file or device as it is; it is not made and not deleted
    template: str | os.PathLike | None = None  # start as a copy of this image, which also says the format
    backing: str | os.PathLike | None = None  # start as an overlay on this image
    bootable: bool = True  # visible to the BIOS, and so to the tape guest
    serial: bool = True
    readonly: bool = False
    shareable: bool = False
    transient: bool = False
    snapshot: str | None = None  # the attribute of the disk element: no, external, manual
    cache: str | None = None


def cdrom(name: str = "cd", media: str | os.PathLike | bool = False, **more) -> Disk:
    """A CD drive; `media` is a file, or True for a small one made here."""
    path = None if isinstance(media, bool) else media
    kind = {"device": "cdrom", "bus": "ide", "fmt": "raw", "size": "1M", "source": "file" if media else "none", "path": path}
    return Disk(name, **{**kind, "bootable": False, "serial": False, "readonly": True, **more})


def floppy(name: str = "fd", media: bool = True, **more) -> Disk:
    kind = {"device": "floppy", "bus": "fdc", "fmt": "raw", "size": "1440K", "source": "file" if media else "none"}
    return Disk(name, **{**kind, "bootable": False, "serial": False, **more})


def shareable(name: str = "shared", **more) -> Disk:
    return Disk(name, **{"fmt": "raw", "shareable": True, "bootable": False, **more})


def readonly(name: str = "fixed", **more) -> Disk:
    return Disk(name, **{"readonly": True, "bootable": False, **more})


def transient(name: str = "scratch", **more) -> Disk:
    return Disk(name, **{"transient": True, "bootable": False, **more})


def network(name: str = "remote", **more) -> Disk:
    """A disk on an NBD server which does not exist: the VM can be defined, not started."""
    return Disk(name, **{"source": "network", "fmt": "raw", "bootable": False, **more})


def block(name: str = "lun", **more) -> Disk:
    """A disk on a block device: a loop device made for it. Needs root; see `loop_devices`."""
    return Disk(name, **{"source": "block", "fmt": "raw", **more})


def loop_devices() -> bool:
    """Can this machine make loop devices?"""
    return os.geteuid() == 0 and bool(shutil.which("losetup")) and subprocess.run(["losetup", "-f"], capture_output=True, check=False).returncode == 0


def virt_type() -> str:
    """kvm or qemu. The device alone proves nothing: some nested set-ups interpret a guest's code far slower than TCG translates it."""
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    hardware = flags and {"vmx", "svm"} & set(flags.group(1).split())
    return "kvm" if hardware and os.access("/dev/kvm", os.R_OK | os.W_OK) else "qemu"


def make(
    conn: libvirt.virConnect,
    folder: str | os.PathLike,
    name: str,
    disks: Iterable[str | Disk] = ("os", "data", "logs"),
    *,
    size: str | int = "8M",
    fmt: str = "qcow2",
    bus: str = "virtio",
    boot: str | None = "tape",
    version: str = "1",
    ticks: int = 1,
    memory: int = 4,
    machine: str = "pc",
    agent: bool = False,
    serials: bool = True,
    cache: str | None = None,
    pool: bool = False,
    console: bool = True,
    virt: str | None = None,
    kernel: Sequence[str | os.PathLike] = (),
    extra_devices: Sequence[ET.Element | str] | str = (),
    title: str | None = None,
    description: str | None = None,
    uuid: str | None = None,
    define: bool = True,
    kind: type[Vm] | None = None,
) -> Vm:
    """Make the images in `folder` and define the VM.

    boot: "tape" or "halt" into the first disk, or None for blank disks (then start it paused). memory in MiB. kernel: (kernel, initrd,
    command line) for a direct boot. extra_devices: device elements as XML or elements. pool: also a libvirt pool on the folder, named
    like the VM. Without `define` only the images and `Vm.xml` are made. kind: the class of the handle.
    """
    folder = Path(folder)
    vm = (kind or Vm)(conn, folder, name)
    vm.boot = boot
    vm.pool = name if pool else None
    letters: dict[str, Iterable[str]] = {}
    for disk in disks:
        disk = Disk(disk) if isinstance(disk, str) else disk
        disk = replace(disk, fmt=disk.fmt or fmt, size=disk.size or size, bus=disk.bus or bus, cache=disk.cache or cache)
        if disk.target is None:
            prefix = PREFIX[disk.bus]
            taken = {d.target for d in vm.disks}
            letter = letters.setdefault(prefix, iter(string.ascii_lowercase))
            disk = replace(disk, target=next(prefix + x for x in letter if prefix + x not in taken))
        vm.disks.append(vm._material(disk))
    if boot and vm.disks:
        first = vm.disks[0].path
        if boot == "tape":
            guest.write_boot_sector(first, version, ticks)
        elif boot == "halt":
            guest.write_halt(first)
        else:
            raise ValueError(f"boot {boot!r}: tape, halt or None")
    root = _domain(vm, memory, machine, virt or virt_type(), kernel, title, description, uuid)
    devices = root.find("devices")
    for number, disk in enumerate(vm.disks, 1):
        devices.append(_disk_element(disk, number, serials))
    if agent:
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "target", type="virtio", name=AGENT)
    if console:
        serial = ET.SubElement(devices, "serial", type="file")
        ET.SubElement(serial, "source", path=str(vm.serial), append="on")
    for element in [extra_devices] if isinstance(extra_devices, str) and extra_devices else extra_devices:
        devices.append(ET.fromstring(element) if isinstance(element, str) else element)
    vm.xml = ET.tostring(root, encoding="unicode")
    if pool:
        vm._make_pool()
    if define:
        conn.defineXML(vm.xml)
    return vm


class Vm:
    """One VM. Holds no domain object, so it lives on when the connection is replaced: set `conn`."""

    def __init__(self, conn: libvirt.virConnect, folder: str | os.PathLike, name: str) -> None:
        self.conn = conn
        self.folder = Path(folder)
        self.name = name
        self.disks: list[Disk] = []  # as made: complete, with target and path
        self.boot: str | None = None
        self.pool: str | None = None
        self.xml = ""  # what was defined
        self._loops: list[str] = []

    @property
    def serial(self) -> Path:
        """The log of the serial port."""
        return self.folder / f"{self.name}.serial.log"

    @property
    def dom(self) -> libvirt.virDomain:
        return self.conn.lookupByName(self.name)

    @property
    def active(self) -> bool:
        return bool(self.dom.isActive())

    @property
    def uuid(self) -> str:
        return self.dom.UUIDString()

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    command = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"-uuid" in command and self.uuid.encode() in command:
                    return int(entry)
        raise ProcessLookupError(f"no QEMU of {self.name}")

    def target(self, name: str) -> str:
        """The target of the disk that was made with this name."""
        return next(d.target for d in self.disks if d.name == name)

    def images(self, inactive: bool = False) -> dict[str, Path]:
        """Which file or device each disk (not drive) writes to now, by target; empty of network disks."""
        root = ET.fromstring(self.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0))
        found = {}
        for disk in root.iterfind("devices/disk"):
            source = disk.find("source")
            path = source is not None and (source.get("file") or source.get("dev"))
            if path and disk.get("device", "disk") == "disk":
                found[disk.find("target").get("dev")] = Path(path)
        return found

    def image(self, name: str) -> Path:
        """The current image of a disk, by the name it was made with or by its target."""
        return self.images()[next((d.target for d in self.disks if d.name == name), name)]

    def counters(self) -> list[int]:
        """The tape guest's rounds on the current images of its disks, in their order."""
        images = self.images()
        return [guest.counter(images[d.target]) for d in self.disks if d.bootable and d.target in images]

    def start(self, paused: bool = False, timeout: float = 60) -> None:
        """Start it; a tape guest is awaited until it has looked at its disks."""
        start = guest.size(self.serial)
        self.dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)
        if self.boot == "tape" and not paused:
            guest.wait_for(self.serial, guest.BOOT, timeout, start)

    def shutdown(self, timeout: float = 60) -> None:
        """Press the power button and wait until it is off."""
        self.dom.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
        self.wait_off(timeout)

    def wait_off(self, timeout: float = 60) -> None:
        end = time.monotonic() + timeout
        while self.active:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} is still on after {timeout} s")
            time.sleep(0.01)

    def wait_rounds(self, more: int = 3, timeout: float = 30) -> list[int]:
        """Wait until the tape guest has played that many rounds more; returns the counters then."""
        goal = min(self.counters()) + more
        end = time.monotonic() + timeout
        while min(now := self.counters()) < goal:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} stands at {now}, {goal} wanted")
            time.sleep(0.02)
        return now

    def destroy(self) -> None:
        """Pull the plug; nothing when it is off."""
        if self.active:
            self.dom.destroy()

    def snapshot(self, name: str, disks: Iterable[str] | None = None, memory: bool = False, quiesce: bool = False) -> Path | None:
        """A snapshot with libvirt's own means; `disks` are names or targets, None is all disks of files or devices. Returns the memory file."""
        root = ET.Element("domainsnapshot")
        ET.SubElement(root, "name").text = name
        file = self.folder / f"{self.name}.{name}.mem" if memory else None
        if file:
            ET.SubElement(root, "memory", snapshot="external", file=str(file))
        chosen = {d.target for d in self.disks if disks is None and d.device == "disk" and d.source in ("file", "block") and not (d.readonly or d.shareable)}
        chosen |= {next((d.target for d in self.disks if d.name == x), x) for x in disks or ()}
        images = self.images()
        lines = ET.SubElement(root, "disks")
        for target in (d.target for d in self.disks):
            line = ET.SubElement(lines, "disk", name=target, snapshot="external" if target in chosen else "no")
            if target in chosen:
                folder = self.folder if str(images[target]).startswith("/dev/") else images[target].parent
                ET.SubElement(line, "source", file=str(folder / f"{self.name}.{target}.{name}.qcow2"))
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC if self.active else 0
        flags |= 0 if memory else libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE if quiesce else 0
        self.dom.snapshotCreateXML(ET.tostring(root, encoding="unicode"), flags)
        return file

    def snapshots(self) -> list[str]:
        # not snapshotListNames: it can take libvirtd 9.0 down when somebody creates a snapshot at the same time
        return [s.getName() for s in self.dom.listAllSnapshots()]

    def restore(self, memory: str | os.PathLike, images: dict[str, str | os.PathLike] | None = None, paused: bool = False) -> None:
        """Start from a memory file with these images by target. The default are the images of that moment: it writes to them."""
        root = ET.fromstring(self.conn.saveImageGetXMLDesc(str(memory), 0))
        repoint(root, images or {})
        flags = libvirt.VIR_DOMAIN_SAVE_PAUSED if paused else libvirt.VIR_DOMAIN_SAVE_RUNNING
        self.conn.restoreFlags(str(memory), ET.tostring(root, encoding="unicode"), flags)

    def define(self, images: dict[str, str | os.PathLike]) -> None:
        """Give the VM, while off, other images by target."""
        root = ET.fromstring(self.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        repoint(root, images)
        self.conn.defineXML(ET.tostring(root, encoding="unicode"))

    def undefine(self) -> None:
        """Remove the VM from libvirt, running or not, with its snapshots' metadata. Files stay. Nothing when there is none."""
        try:
            remove(self.dom)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise

    def clean(self) -> None:
        """undefine(), and give back pool and loop devices."""
        self.undefine()
        if self.pool:
            for pool in self.conn.listAllStoragePools():
                if pool.name() == self.pool:
                    remove_pool(pool)
        while self._loops:
            subprocess.run(["losetup", "-d", self._loops.pop()], check=True)

    def _material(self, disk: Disk) -> Disk:
        """Make what the disk element will point to."""
        if disk.path is not None or disk.source in ("none", "network"):
            return disk
        if disk.template is not None:
            fmt = content.format_of(disk.template)
            path = self.folder / f"{self.name}.{disk.name}.{fmt}"
            subprocess.run(["cp", "--reflink=auto", "--sparse=always", str(disk.template), str(path)], check=True)
            disk = replace(disk, fmt=fmt)
        else:
            path = self.folder / f"{self.name}.{disk.name}.{'img' if disk.fmt == 'raw' else disk.fmt}"
            content.create(path, disk.size, disk.fmt, disk.backing)
        if disk.source == "block":
            device = subprocess.run(["losetup", "--find", "--show", str(path)], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            self._loops.append(device)
            path = Path(device)
        return replace(disk, path=path)

    def _make_pool(self) -> None:
        root = ET.Element("pool", type="dir")
        ET.SubElement(root, "name").text = self.pool
        ET.SubElement(ET.SubElement(root, "target"), "path").text = str(self.folder)
        self.conn.storagePoolDefineXML(ET.tostring(root, encoding="unicode"), 0).create()


def repoint(root: ET.Element, images: dict[str, str | os.PathLike]) -> None:
    """Point the disks of a domain element to other files, by target. The recorded chains go, libvirt finds them again."""
    for disk in root.iterfind("devices/disk"):
        for chain in disk.findall("backingStore"):
            disk.remove(chain)
        image = images.get(disk.find("target").get("dev"))
        if image is not None:
            disk.find("source").set("dev" if disk.get("type") == "block" else "file", str(image))
            disk.find("driver").set("type", content.format_of(image))


def remove(dom: libvirt.virDomain) -> None:
    """Remove a domain in whatever state, with all its metadata. Its files stay."""
    persistent = dom.isPersistent()
    if dom.isActive():
        dom.destroy()
    if persistent:  # a transient one is gone now
        for snapshot in dom.listAllSnapshots():
            snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        dom.undefineFlags(
            libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
            | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        )


def remove_pool(pool: libvirt.virStoragePool) -> None:
    """Remove a pool from libvirt; its files stay."""
    persistent = pool.isPersistent()
    if pool.isActive():
        pool.destroy()
    if persistent:
        pool.undefine()


def remove_all(conn: libvirt.virConnect, folder: str | os.PathLike | None = None) -> None:
    """Remove every domain, pool and secret (with `folder`: every domain and pool that mentions it). For a private daemon only."""
    for dom in conn.listAllDomains():
        if folder is None or f"{folder}/" in dom.XMLDesc():
            remove(dom)
    for pool in conn.listAllStoragePools():
        path = ET.fromstring(pool.XMLDesc()).findtext("target/path", "")
        if folder is None or f"{path}/".startswith(f"{folder}/"):
            remove_pool(pool)
    if folder is None:
        for secret in conn.listAllSecrets():
            secret.undefine()


def _domain(vm: Vm, memory: int, machine: str, virt: str, kernel: Sequence, title: str | None, description: str | None, uuid: str | None) -> ET.Element:
    root = ET.Element("domain", type=virt)
    for tag, text in (("name", vm.name), ("uuid", uuid), ("title", title), ("description", description)):
        if text is not None:
            ET.SubElement(root, tag).text = text
    ET.SubElement(root, "memory", unit="MiB").text = str(memory)
    ET.SubElement(root, "vcpu").text = "1"
    system = ET.SubElement(root, "os")
    ET.SubElement(system, "type", arch="x86_64", machine=machine).text = "hvm"
    for tag, value in zip(("kernel", "initrd", "cmdline"), kernel):
        ET.SubElement(system, tag).text = str(value)
    ET.SubElement(ET.SubElement(root, "features"), "acpi")
    ET.SubElement(root, "clock", offset="utc")
    devices = ET.SubElement(root, "devices")
    ET.SubElement(devices, "controller", type="usb", model="none")
    if any(disk.bus == "scsi" for disk in vm.disks):
        ET.SubElement(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    ET.SubElement(devices, "memballoon", model="none")
    return root


def _disk_element(disk: Disk, order: int, serials: bool) -> ET.Element:
    element = ET.Element("disk", type="file" if disk.source == "none" else disk.source, device=disk.device)
    if disk.snapshot:
        element.set("snapshot", disk.snapshot)
    driver = ET.SubElement(element, "driver", name="qemu", type=disk.fmt)
    if disk.cache:
        driver.set("cache", disk.cache)
    if disk.source == "network":
        source = ET.SubElement(element, "source", protocol="nbd", name=disk.name)
        ET.SubElement(source, "host", name="127.0.0.1", port="10809")
    elif disk.source != "none":
        ET.SubElement(element, "source", {"dev" if disk.source == "block" else "file": str(disk.path)})
    ET.SubElement(element, "target", dev=disk.target, bus=disk.bus)
    for flag in ("readonly", "shareable", "transient"):
        if getattr(disk, flag):
            ET.SubElement(element, flag)
    if serials and disk.serial:
        ET.SubElement(element, "serial").text = disk.name
    if disk.bootable:  # SeaBIOS leaves out a disk without an order, and the tape guest sees only what the BIOS sees
        ET.SubElement(element, "boot", order=str(order))
    return element
