# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a snapshot: the one call of libvirt that does it, and what must be right before and after."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from xml.dom import minidom

from ..._engine.errors import BackendFailed, Interrupted, VmError
from . import xml
from .faults import AGENT_SILENT, is_one_of, translate
from .merge import commit
from .read import Raw, held_images, read_raw, switched, write_record
from .sdk import libvirt, qemu
from .storage import OVERLAY_FORMAT, Storage
from .waiting import Clock
from .xml import Source

AGENT_SECONDS = 10
"""How long the guest agent may take to freeze or thaw."""
THAW_SECONDS = 20

Work = Mapping[str, Any]


class Taker:
    """Takes, takes back or completes the snapshot that the record's work describes."""

    def __init__(self, domain: libvirt.virDomain, storage: Storage, clock: Clock) -> None:
        self._domain = domain
        self._storage = storage
        self._clock = clock

    def take(self, raw: Raw, quiesce: str) -> None:
        """Make the snapshot; one that is there already is left alone."""
        work = raw.record.work or {}
        if work["snapshot"]["name"] in raw.snapshots:
            return
        if switched(work, raw.domain) or not (work["disks"] or work["snapshot"]["memory"]):
            self.define(work)
            return
        self._demand_same(raw, work)
        if quiesce != "never":
            self._take_frozen(raw, quiesce)
            return
        if raw.live is None:
            for _base, _kind, path in work["disks"].values():
                self._storage.reserve(path)
        self._create(raw, work, self._flags(work))

    def _demand_same(self, raw: Raw, work: Work) -> None:
        now = xml.sources(raw.domain)
        for target, (base, _kind, _path) in work["disks"].items():
            if target not in now or now[target].path != base:
                raise Interrupted(f"disk {target} changed while the snapshot was prepared", "changed_meanwhile", "run again")

    def _flags(self, work: Work) -> int:
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
        if not work["snapshot"]["memory"]:
            return int(flags | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        running = self._domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        return int(flags | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE if running else 0))

    def _create(self, raw: Raw, work: Work, flags: int) -> None:
        self._domain.snapshotCreateXML(snapshot_xml(raw, work), flags)

    def _take_frozen(self, raw: Raw, quiesce: str) -> None:
        """The overlays are made before the freeze, which is what takes long. libvirtd itself thaws, even if this process dies."""
        work = raw.record.work or {}
        for base, kind, path in work["disks"].values():
            self._storage.create_overlay(path, Source(base, kind))
        raw = read_raw(self._domain)
        self._demand_same(raw, work)
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
        self._domain.agentSetResponseTimeout(AGENT_SECONDS, 0)
        try:
            self._create(raw, work, flags | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE)
        except libvirt.libvirtError as error:
            if not is_one_of(error, AGENT_SILENT):
                raise
            self.thaw()
            if quiesce == "required":
                raise self._refusal(work, error) from error
            write_record(self._domain, raw.record.with_work({**work, "snapshot": {**work["snapshot"], "quiesced": False}}))
            self._create(raw, work, flags)
        finally:
            self.unlimited_agent()
        self._demand_right_bases(work)

    def _refusal(self, work: Work, error: libvirt.libvirtError) -> VmError:
        self.take_back(work)
        said = translate(error, f"freezing the guest of VM {self._domain.name()}")
        return BackendFailed(said.message, "quiesce_failed", "look at qemu-guest-agent in the guest, or set quiesce: preferred")

    def unlimited_agent(self) -> None:
        with suppress(libvirt.libvirtError):  # if the VM stopped, the setting went with it
            self._domain.agentSetResponseTimeout(libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0)

    def thaw(self) -> None:
        """Until the agent confirms it: an agent that was late may freeze the guest when nobody waits for it any more."""
        end = time.monotonic() + THAW_SECONDS
        while True:
            try:
                self._domain.fsThaw()
                return
            except libvirt.libvirtError as error:
                if not is_one_of(error, AGENT_SILENT) or not self._domain.isActive():
                    return
                if is_one_of(error, ("ARGUMENT_UNSUPPORTED",)) or "connected" not in self._domain.XMLDesc(0):
                    return
                if time.monotonic() > end:
                    raise Interrupted(
                        f"the guest agent of VM {self._domain.name()} does not answer; its file systems may be frozen",
                        "maybe_frozen",
                        "virsh domfsthaw, or restart the agent in the guest; the next run tries again",
                    ) from error
            time.sleep(0.5)

    def _demand_right_bases(self, work: Work) -> None:
        """An overlay that was made beforehand may name another image than it now stands on, if others changed the chain: take it out again."""
        made = read_raw(self._domain).snapshots[work["snapshot"]["name"]]
        held = held_images(made)
        wrong = {target: held[target].path for target, (base, _kind, _path) in work["disks"].items() if held[target].path != base}
        if not wrong:
            return
        for target, (_base, _kind, path) in work["disks"].items():
            commit(self._domain, target, held[target].path, path, self._clock)
            self._storage.delete(path)
        self._domain.snapshotLookupByName(work["snapshot"]["name"]).delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        raise Interrupted(f"others changed disk {', '.join(sorted(wrong))} while the snapshot was taken; it was taken back", "changed_meanwhile", "run again")

    def complete(self, raw: Raw, work: Work) -> None:
        """After a death in the middle: note the snapshot whose disks are switched, take everything else back."""
        if switched(work, raw.domain):
            self.define(work)
        else:
            self.take_back(work)

    def define(self, work: Work) -> None:
        """Note a snapshot without taking it: of the configuration alone, or one whose disks were switched when libvirtd died."""
        text = self._domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        parent = self._domain.snapshotCurrent().getName() if self._domain.hasCurrentSnapshot() else None
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
        self._domain.snapshotCreateXML(definition_xml(text, work, parent), flags)

    def take_back(self, work: Work) -> None:
        """Delete what was prepared for a snapshot that was not taken; on a running VM only after asking QEMU, whom libvirt may have lost."""
        overlays = [path for _base, _kind, path in work["disks"].values()]
        if self._domain.isActive() and overlays:
            used = self._used_by_qemu() & set(overlays)
            if used:
                self._adopt(work, used)
                return
            self._let_go(set(overlays))
        for path in overlays + ([work["snapshot"]["memory"]] if work["snapshot"]["memory"] else []):
            self._storage.delete(path)

    def _ask_qemu(self, command: str, **arguments: Any) -> Any:
        return json.loads(qemu().qemuMonitorCommand(self._domain, json.dumps({"execute": command, "arguments": arguments}), 0)).get("return")

    def _used_by_qemu(self) -> set[str]:
        """The files in the chains of the guest's disks. Files that QEMU has only opened do not count: nothing is written to them."""
        used = set()
        for device in self._ask_qemu("query-block"):
            image = device.get("inserted", {}).get("image")
            while image:
                used.add(file_of(image["filename"]))
                image = image.get("backing-image")
        return used

    def _let_go(self, overlays: set[str]) -> None:
        """Let QEMU close overlays that it opened for a snapshot which libvirtd did not live to take: it would refuse to open them anew."""
        nodes = [node for node in self._ask_qemu("query-named-block-nodes", flat=True) if file_of(node["file"]) in overlays]
        for node in sorted(nodes, key=lambda node: bool(node["drv"] == "file")):  # the image before the file that it is in
            self._ask_qemu("blockdev-del", **{"node-name": node["node-name"]})

    def _adopt(self, work: Work, used: set[str]) -> None:
        """libvirtd died between QEMU's switch and its own note of it: the guest writes to the overlays, so they are the disks now."""
        if used != {path for _base, _kind, path in work["disks"].values()}:
            raise BackendFailed(
                f"QEMU uses some of the new images only: {', '.join(sorted(used))}",
                "half_switched",
                "shut the VM down before anything else, and look at its disks",
            )
        doc = xml.document(self._domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        nodes = xml.disk_nodes(doc.documentElement)
        for target, (_base, _kind, path) in work["disks"].items():
            xml.point(nodes[target], Source(path, OVERLAY_FORMAT))
        self._domain.connect().defineXML(xml.text_of(doc))
        self.define(work)


def file_of(name: str) -> str:
    """The path in what QEMU calls the file of a node: the path itself, or all options of the node as JSON."""
    if not name.startswith("json:"):
        return name
    options = json.loads(name.partition(":")[2])
    while isinstance(options.get("file"), dict):
        options = options["file"]
    return str(options.get("filename", ""))


def snapshot_xml(raw: Raw, work: Work) -> str:
    """One line for *every* disk: libvirt snapshots each disk that is not mentioned."""
    doc, root = _head(work)
    memory = root.appendChild(doc.createElement("memory"))
    memory.setAttribute("snapshot", "external" if work["snapshot"]["memory"] else "no")
    if work["snapshot"]["memory"]:
        memory.setAttribute("file", work["snapshot"]["memory"])
    _disk_lines(doc, root, [target for target, _element in xml.disk_elements(raw.domain)], work)
    return xml.text_of(doc)


def definition_xml(domain_text: str, work: Work, parent: str | None) -> str:
    """A snapshot as libvirt itself would have noted it."""
    doc, root = _head(work)
    _leaf(doc, root, "state", "disk-snapshot")
    _leaf(doc, root, "creationTime", str(int(work["snapshot"]["created"])))
    if parent:
        _leaf(doc, root.appendChild(doc.createElement("parent")), "name", parent)
    root.appendChild(doc.createElement("memory")).setAttribute("snapshot", "no")
    domain = doc.importNode(xml.document(domain_text).documentElement, True)
    nodes = xml.disk_nodes(domain)
    _disk_lines(doc, root, list(nodes), work)
    for target, (base, kind, _path) in work["disks"].items():
        xml.point(nodes[target], Source(base, kind))
    root.appendChild(domain)
    return xml.text_of(doc)


def _head(work: Work) -> tuple[Any, Any]:
    doc: Any = minidom.Document()
    root = doc.appendChild(doc.createElement("domainsnapshot"))
    _leaf(doc, root, "name", work["snapshot"]["name"])
    if work["snapshot"]["description"]:
        _leaf(doc, root, "description", work["snapshot"]["description"])
    return doc, root


def _leaf(doc: Any, parent: Any, name: str, text: str) -> None:
    parent.appendChild(doc.createElement(name)).appendChild(doc.createTextNode(text))


def _disk_lines(doc: Any, root: Any, targets: list[str], work: Work) -> None:
    disks = root.appendChild(doc.createElement("disks"))
    for target in targets:
        disk = disks.appendChild(doc.createElement("disk"))
        disk.setAttribute("name", target)
        chosen = work["disks"].get(target)
        disk.setAttribute("snapshot", "external" if chosen else "no")
        if chosen:
            disk.appendChild(doc.createElement("driver")).setAttribute("type", OVERLAY_FORMAT)
            disk.appendChild(doc.createElement("source")).setAttribute("file", chosen[2])
