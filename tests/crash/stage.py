# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM with a history that can be put back to its start as often as one likes, and everything that can be seen of it.

The start is kept as files and XML. Names, paths and UUID are the same each time, so that two runs from it must end alike to the byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import struct
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import libvirt

from tests.crash.controller import Run, Trouble, play
from tests.lab import content
from tests.lab import vm as vms
from tests.lab.daemon import Daemon, DaemonError
from tests.lab.fixtures import close

Call = tuple[str, Mapping[str, Any]]
State = dict[str, Any]

DISKS = ("os", "data", "logs", "scratch")
SIZE = 1 << 20
SLOT = 64 << 10
NAMESPACE = "{urn:diskwise:vm:1}"
LOCK = "/diskwise.vm/lock/"
POOL = "diskwise-"


@dataclass
class Stage:
    """The VM, its folder, and the start that it can be put back to."""

    daemon: Daemon
    folder: Path
    vm: vms.Vm = field(init=False)
    _kept: Path = field(init=False)
    _xml: str = field(init=False)
    _snapshots: list[tuple[str, bool]] = field(init=False)
    _digests: dict[str, str] = field(default_factory=dict)

    def build(self) -> Stage:
        """s1 holds all disks; then the configuration changes; m holds os and data with the memory; s3 holds data and logs."""
        self.vm = vms.make(libvirt.open(self.daemon.uri), self.folder, "vm", DISKS, size=SIZE, boot="halt", console=False, description="first")
        self.write(1)
        self.demand("create", snapshot="s1")
        self._describe("second")
        self.write(2)
        self.vm.start()
        self.demand("create", snapshot="m", disks=["os", "data"], memory=True, allow_partial_memory=True)
        self.vm.destroy()
        self.write(3)
        self.demand("create", snapshot="s3", disks=["data", "logs"])
        self.write(4)
        self._kept = self.folder.with_name(self.folder.name + "-kept")
        shutil.copytree(self.folder, self._kept)
        self._xml = self.vm.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        found = {s.getName(): s for s in self.vm.dom.listAllSnapshots()}
        self._snapshots = [(found[name].getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE), found[name].isCurrent() == 1) for name in ("s1", "m", "s3")]
        return self

    def write(self, number: int) -> None:
        """Give each disk of the stopped VM what none had before: one slot that is written again each time, and one that is new."""
        for position, image in enumerate(self.vm.images(True).values()):
            content.write(image, SLOT, 16 * number + position, SLOT)
            content.write(image, SLOT * (1 + number), 16 * number + position, SLOT)

    def _describe(self, text: str) -> None:
        root = ElementTree.fromstring(self.vm.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        root.find("description").text = text
        self.vm.conn.defineXML(ElementTree.tostring(root, encoding="unicode"))

    def reset(self, scenario: Any) -> None:
        """To where a scenario begins."""
        self.reset_to(scenario.power, scenario.before, scenario.written)

    def reset_to(self, power: str = "down", before: tuple[Call, ...] = (), written: bool = False) -> None:
        """Back to the start, then start the VM if it shall be up, then these calls, then let a stopped VM's disks be written to."""
        try:
            self.connect()
            self.clear()
        except (libvirt.libvirtError, DaemonError) as error:
            # What a libvirtd that was killed too often does not let go of must not fail the tests that come after.
            warnings.warn(f"libvirtd is replaced, with its guests: {error}", stacklevel=1)
            self.daemon.replace()
            self.connect()
            self.clear()
        subprocess.run(["cp", "-a", "--sparse=always", f"{self._kept}/.", str(self.folder)], check=True)
        domain = self.vm.conn.defineXML(self._xml)
        for text, current in self._snapshots:
            flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if current else 0)
            domain.snapshotCreateXML(text, flags)
        if power != "down":
            self.vm.start(paused=power == "paused")
        for verb, options in before:
            self.demand(verb, **options)
        if written:
            self.write(5)

    def connect(self) -> None:
        """A connection that works, to a daemon that runs."""
        if self.daemon.pid is None:
            self.daemon.restart()
        try:
            self.vm.conn.getLibVersion()
        except libvirt.libvirtError:
            close(self.vm.conn)
            self.vm.conn = libvirt.open(self.daemon.uri)

    def clear(self) -> None:
        for domain in self.vm.conn.listAllDomains():
            persistent = domain.isPersistent()
            if domain.isActive():
                domain.destroy()
            if persistent:  # snapshots go with it: each alone could not, if it holds a disk that the domain has no more
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
        vms.remove_all(self.vm.conn)
        for file in self.folder.iterdir():
            file.unlink()

    def forgotten(self) -> int | None:
        """The QEMU of the VM, if it runs and libvirtd does not know it."""
        with contextlib.suppress(ProcessLookupError):
            return None if self.vm.active else self.vm.pid
        return None

    def play(self, verb: str, options: Mapping[str, Any], trouble: Trouble | None = None) -> Run:
        return play(self.daemon.uri, verb, options, trouble)

    def demand(self, verb: str, **options: Any) -> Run:
        run = self.play(verb, options)
        if run.failed:
            raise AssertionError(f"{verb} {options}: {run}")
        return run

    # --- what can be seen -----------------------------------------------------------------------------------------------------

    def observe(self) -> State:
        """Everything that two runs must agree on; only times and numbers that libvirt hands out are left out."""
        domain = self.vm.dom
        inactive = ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        snapshots = {snapshot.getName(): snapshot for snapshot in domain.listAllSnapshots()}
        live = domain.XMLDesc(0) if domain.isActive() else None
        return {
            "power": domain.state()[0],
            "saved": domain.hasManagedSaveImage(),
            "record": record_of(inactive),
            "configuration": normal(inactive),
            "disks": {target: self.digest(path) for target, path in sources(inactive).items()},
            "chains": {target: header_chain(path) for target, path in sources(inactive).items()},
            "running": running_chains(live) if live else {},
            "snapshots": {name: self._snapshot(snapshot) for name, snapshot in snapshots.items()},
            "current": domain.snapshotCurrent().getName() if domain.hasCurrentSnapshot() else None,
            "files": {file.name: f"{file.stat().st_mode & 0o777:o}" for file in sorted(self.folder.iterdir())},
        }

    def _snapshot(self, snapshot: libvirt.virDomainSnapshot) -> State:
        root = ElementTree.fromstring(snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE))
        frozen = sources(root.find("domain"))
        taken = {disk.get("name"): disk.find("source").get("file") for disk in root.iterfind("disks/disk") if disk.get("snapshot") == "external"}
        memory = root.find("memory").get("file") if root.find("memory") is not None else None
        config = root.find("inactiveDomain") if root.find("inactiveDomain") is not None else root.find("domain")
        return {
            "parent": root.findtext("parent/name"),
            "description": root.findtext("description"),
            "disks": {target: self.digest(frozen[target]) for target in taken},
            "images": {target: frozen[target] for target in taken},
            "overlays": taken,
            "memory": hashlib.sha256(Path(memory).read_bytes()).hexdigest() if memory and self._is_kept(memory) else bool(memory),
            "configuration": normal(config),
        }

    def _is_kept(self, path: str) -> bool:
        return (self._kept / Path(path).name).exists()

    def leftovers(self) -> list[str]:
        """What no run may leave behind: a lock, a pool of its own, a helper domain."""
        conn = self.vm.conn
        found = [f"lock {secret.usageID()}" for secret in conn.listAllSecrets() if secret.usageID().startswith(LOCK)]
        found += [f"pool {pool.name()}" for pool in conn.listAllStoragePools() if pool.name().startswith(POOL)]
        return found + [f"domain {domain.name()}" for domain in conn.listAllDomains() if domain.name() != "vm"]

    def digest(self, path: str | Path) -> str:
        """Of what the guest would see. Equal bytes in all files of a chain show the same, so these are worked out once."""
        files = header_chain(path)
        key = hashlib.sha256(b"\0".join(hashlib.sha256(Path(file).read_bytes()).digest() for file in files)).hexdigest()
        if key not in self._digests:
            self._digests[key] = content.digest(path)
        return self._digests[key]

    def go_on(self) -> State:
        """Let the guest write to each disk, pull the plug, and look: what is seen now is what the next boot sees."""
        for position, target in enumerate(sources(ElementTree.fromstring(self.vm.dom.XMLDesc(0)))):
            content.write_running(self.vm.dom, target, SLOT * 14, 0xE0 + position, SLOT)
        self.vm.destroy()
        return self.observe()


def sources(domain: ElementTree.Element) -> dict[str, str]:
    return {disk.find("target").get("dev"): disk.find("source").get("file") for disk in domain.iterfind("devices/disk")}


def sources_of(domain: libvirt.virDomain) -> dict[str, str]:
    return sources(ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)))


def header_chain(path: str | Path) -> list[str]:
    """The image and its backing files, as their headers have it (content.chain does the same, by a process each time)."""
    found = []
    following: str | None = str(path)
    while following:
        found.append(following)
        with open(following, "rb") as file:
            head = file.read(20)
            following = None
            if head[:4] == content.QCOW2:
                offset, length = struct.unpack(">QI", head[8:20])
                file.seek(offset)
                following = file.read(length).decode() if offset else None
    return found


def running_chains(live: str) -> dict[str, list[str]]:
    found = {}
    for disk in ElementTree.fromstring(live).iterfind("devices/disk"):
        level: ElementTree.Element | None = disk
        chain = found.setdefault(disk.find("target").get("dev"), [])
        while level is not None and level.find("source") is not None:
            chain.append(level.find("source").get("file"))
            level = level.find("backingStore")
    return found


def record_of(domain: ElementTree.Element) -> Any:
    element = domain.find(f"metadata/{NAMESPACE}record")
    return json.loads(re.sub(r'"created": [0-9.]+', '"created": "then"', element.text)) if element is not None else None


def normal(domain: ElementTree.Element) -> str:
    """The XML without metadata, without what libvirt counts up while the VM runs, and without what it notes of chains: those are looked at themselves."""
    copy = ElementTree.fromstring(ElementTree.tostring(domain))
    copy.tag = "domain"
    for metadata in copy.findall("metadata"):
        copy.remove(metadata)
    for disk in copy.iterfind("devices/disk"):
        for chain in disk.findall("backingStore"):
            disk.remove(chain)
    copy.attrib.pop("id", None)
    for element in copy.iter():
        element.attrib.pop("index", None)
        element.text, element.tail = (element.text or "").strip(), None
    return ElementTree.tostring(copy, encoding="unicode")


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where two states differ, in words."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = list(dict.fromkeys([*wanted, *found]))
        return [line for key in keys for line in differences(wanted.get(key, "(nothing)"), found.get(key, "(nothing)"), f"{path}/{key}")]
    return [] if wanted == found else [f"{path}: wanted {wanted!s:.400}, found {found!s:.400}"]
