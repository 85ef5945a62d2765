# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a domain and its snapshots to a Vm: one reading, computed from XML; files are asked for their sizes and whether they are there.

What an interrupted run left is shown as the state that settling it leads to (see record.py for the phases).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any
from xml.etree import ElementTree

from ..._engine.changes import Remove
from ..._engine.errors import Busy, VmError
from ..._engine.model import Composition, Image, Preview, Problem, Snapshot, Vm
from . import xml
from .faults import saying
from .record import NAMESPACE, PREFIX, Record, unpack
from .sdk import libvirt
from .storage import Storage, folder_of
from .xml import Source

ATTEMPTS = 10
"""How often a VM is read that others change meanwhile."""
WARN_CHAIN = 25
"""libvirt 10.8 to 11.10 fail to start VMs with longer chains than about this."""

UNFINISHED = {
    "creating": "snapshot {name} was being created",
    "entering": "a preview was being opened",
    "removing": "snapshot {name} was being removed",
    "tail": "the files and snapshots of a {verb} were being cleaned up",
    "open": "the memory of the preview was being restored",
}


class Raw:
    """What libvirt says of a domain. The snapshots, one call each, are read when they are first asked for."""

    def __init__(self, domain: libvirt.virDomain) -> None:
        self._handle = domain
        self.live = xml.parse(domain.XMLDesc(0)) if domain.isActive() else None
        self.domain = xml.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        self.record = xml.record_of(self.domain)

    @cached_property
    def snapshots(self) -> Mapping[str, ElementTree.Element]:
        found = {snapshot.getName(): xml.parse(snapshot.getXMLDesc()) for snapshot in self._handle.listAllSnapshots()}
        changing = self.record.work["snapshots"] if self.record.work and self.record.phase == "tail" else {}
        anew = {name: changes["anew"] for name, changes in changing.items() if "anew" in changes and name not in found}
        return {**found, **{name: xml.parse(unpack(text)) for name, text in anew.items()}}

    @cached_property
    def saved(self) -> bool:
        """The memory is saved to disk, for the next start to resume."""
        return self.live is None and bool(self._handle.hasManagedSaveImage())


def read_raw(domain: libvirt.virDomain) -> Raw:
    with saying(f"reading VM {domain.name()}"):
        return Raw(domain)


def write_record(domain: libvirt.virDomain, record: Record) -> None:
    """Replace the record in the configuration; one call, which libvirt makes durable before it answers."""
    text = xml.record_xml(record) if record else None
    with saying(f"noting in VM {domain.name()} what is being done"):
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, PREFIX, NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def wait_for_calls(domain: libvirt.virDomain) -> None:
    """Wait until libvirtd has done what a dead client asked for: it goes on with that. A change that changes nothing has its turn after it."""
    with saying(f"waiting for what is done to VM {domain.name()}"):
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, PREFIX, f"{NAMESPACE}:none", libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def config_of(snapshot: ElementTree.Element) -> ElementTree.Element | None:
    """The configuration that a snapshot holds: what the next start would have used."""
    inactive = snapshot.find("inactiveDomain")
    return inactive if inactive is not None else snapshot.find("domain")


def made_overlays(snapshot: ElementTree.Element) -> dict[str, str]:
    """Target -> the file that was put on top of the disk by this snapshot."""
    found = {}
    for disk in snapshot.findall("disks/disk"):
        source = disk.find("source")
        if disk.get("snapshot") == "external" and source is not None and source.get("file"):
            found[str(disk.get("name"))] = str(source.get("file"))
    return found


def held_images(snapshot: ElementTree.Element) -> dict[str, Source]:
    """Target -> the image that the snapshot holds, for the disks that took part."""
    domain = snapshot.find("domain")
    frozen = xml.sources(domain) if domain is not None else {}
    return {target: frozen[target] for target in made_overlays(snapshot) if target in frozen}


def memory_of(snapshot: ElementTree.Element) -> str | None:
    memory = snapshot.find("memory")
    return memory.get("file") if memory is not None and memory.get("snapshot") == "external" else None


def read(domain: libvirt.virDomain, storage: Storage, with_users: bool) -> Vm:
    """``with_users``: also what else uses the images, which means a look at every file of every pool.

    Whoever works on the VM meanwhile notes each stage in the configuration. When that changed, what was read is of several moments.
    """
    for _attempt in range(ATTEMPTS):
        before = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        try:
            vm = _read(domain, storage, with_users)
        except (libvirt.libvirtError, VmError, LookupError):
            if domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == before:
                raise
            continue
        if domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == before:
            return vm
    raise Busy(f"VM {domain.name()} changes while it is read", "vm_busy", "something else works on the VM; run again when it is done")


def _read(domain: libvirt.virDomain, storage: Storage, with_users: bool) -> Vm:
    raw = read_raw(domain)
    origin = _origin(raw)
    vm = Vm(
        id=domain.UUIDString(),
        name=domain.name(),
        power=_power(domain, raw),
        disks=xml.disks(origin),
        snapshots=_snapshots(raw),
        leaf={target: source.path for target, source in xml.sources(origin).items()},
        agent=xml.agent_connected(raw.live) if raw.live is not None else None,
        requests={key: Composition.from_dict(shows) for key, shows in _requests(raw.record).items()},
        checkpoints=_checkpoints(domain),
    )
    vm = _settled(replace(vm, images=_graph(vm, raw)), raw)
    vm = _with_files(vm, raw, storage, with_users)
    return replace(vm, committed=_committed(vm, raw, domain), problems=_problems(vm, raw, domain, storage))


def _requests(record: Record) -> Mapping[str, Any]:
    """What was carried out, with a request whose commit is past its point of no return."""
    work = record.work or {}
    request_id, shows = work.get("done", ("", {}))
    return {**record.requests, request_id: shows} if request_id else record.requests


def _last(record: Record) -> Mapping[str, Any] | None:
    """The last commit, as it is noted once unfinished work is settled."""
    if record.phase == "tail":
        return record.work.get("last") if record.work else None
    return record.last if record.phase in ("", "entering") else None


def _origin(raw: Raw) -> ElementTree.Element:
    """The configuration outside a preview."""
    return xml.parse(unpack(raw.record.work["origin"])) if raw.record.work and raw.record.phase == "open" else raw.domain


def _power(domain: libvirt.virDomain, raw: Raw) -> str:
    if raw.live is not None:
        return "paused" if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED else "up"
    return "suspended" if raw.saved else "down"


def _checkpoints(domain: libvirt.virDomain) -> tuple[str, ...]:
    try:
        return tuple(sorted(checkpoint.getName() for checkpoint in domain.listAllCheckpoints()))
    except (libvirt.libvirtError, AttributeError):
        return ()  # a libvirt without checkpoints has none


def _snapshots(raw: Raw) -> tuple[Snapshot, ...]:
    """In the order in which they were made; parents before their children."""
    parents = {name: element.findtext("parent/name") for name, element in raw.snapshots.items()}
    found = {name: _snapshot(name, element) for name, element in raw.snapshots.items()}
    made: dict[str, tuple[float, float, int]] = {}
    for name in parents:
        path: list[str] = []
        level: str | None = name
        while level in parents and level not in made and level not in path:
            path.append(level)
            level = parents[level]
        latest = made.get(level or "", (0.0, 0.0, -1))
        for member in reversed(path):
            exact = _note(member, config_of(raw.snapshots[member])).get("created", 0.0)  # libvirt itself counts in seconds
            latest = (*max(latest[:2], (float(found[member].created or 0), float(exact))), latest[2] + 1)
            made[member] = latest
    return tuple(sorted(found.values(), key=lambda snapshot: (made[snapshot.id], snapshot.name)))


def _snapshot(name: str, element: ElementTree.Element) -> Snapshot:
    config = config_of(element)
    note = _note(name, config)
    return Snapshot(
        id=name,
        name=name,
        description=element.findtext("description") or "",
        created=int(element.findtext("creationTime") or 0) or None,
        memory=memory_of(element) is not None,
        has_config=config is not None,
        images={target: source.path for target, source in held_images(element).items()},
        disks=xml.disks(config) if config is not None else (),
        quiesced=note.get("quiesced"),
        own=bool(note),
        parent=element.findtext("parent/name"),
        unusable=_unusable(element),
    )


def _note(name: str, config: ElementTree.Element | None) -> Mapping[str, Any]:
    """What the record said while the snapshot was made: libvirt keeps a copy of the domain's metadata in each snapshot."""
    try:
        record = xml.record_of(config) if config is not None else Record()
    except ValueError:
        return {}
    if record.work and record.phase == "creating" and record.work["snapshot"]["name"] == name:
        return dict(record.work["snapshot"])
    return {}


def _unusable(element: ElementTree.Element) -> str:
    memory = element.find("memory")
    internal = [disk.get("name") for disk in element.findall("disks/disk") if disk.get("snapshot") == "internal"]
    if internal or (memory is not None and memory.get("snapshot") == "internal"):
        return "it is an internal snapshot"
    return ""


def _graph(vm: Vm, raw: Raw) -> dict[str, Image]:
    """Every image that the XML knows, with its parent: a snapshot's overlay is built on what the snapshot holds."""
    images: dict[str, Image] = {}
    for element in raw.snapshots.values():
        held = held_images(element)
        for target, overlay in made_overlays(element).items():
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


def _settled(vm: Vm, raw: Raw) -> Vm:
    """The state that finishing or taking back interrupted work leads to."""
    work = raw.record.work
    if not work:
        return vm
    phase = raw.record.phase
    unfinished = UNFINISHED[phase].format(name=work.get("snapshot", {}).get("name"), verb=work.get("verb"))
    if phase == "open":
        shows = Composition.from_dict(work["shows"])
        preview = Preview(shows, {target: path for target, (_base, _kind, path) in work["overlays"].items()})
        if work.get("memory") == "pending":
            return replace(vm, preview=preview, power="suspended", unfinished=unfinished)
        return replace(vm, preview=preview)
    if phase == "creating":
        vm = _settled_create(vm, raw)
    elif phase == "removing":
        known = {snapshot.id for snapshot in vm.snapshots}
        if work["snapshot"]["name"] in known:
            vm = Remove(work["snapshot"]["name"], tuple(work["disks"]), work["whole"]).expected(vm, {})
    elif phase == "tail":
        vm = _settled_tail(vm, work)
    return replace(vm, unfinished=unfinished)


def _settled_create(vm: Vm, raw: Raw) -> Vm:
    work = raw.record.work or {}
    note, disks = work["snapshot"], work["disks"]
    if note["name"] in raw.snapshots or not switched(work, raw.domain):
        return vm
    made = Snapshot(
        note["name"],
        note["name"],
        note["description"],
        created=int(note["created"]),
        memory=False,
        images={target: base for target, (base, _kind, _path) in disks.items()},
        disks=vm.disks,
        own=True,
    )
    images = {**vm.images, **{base: Image(base, target) for target, (base, _kind, _path) in disks.items()}}
    images.update({path: Image(path, target, base) for target, (base, _kind, path) in disks.items()})
    return replace(vm, snapshots=(*vm.snapshots, made), images=images)


def switched(work: Mapping[str, Any], domain: ElementTree.Element) -> bool:
    """Whether the domain already sits on the overlays of a snapshot that libvirt did not get to note."""
    now = xml.sources(domain)
    return bool(work["disks"]) and all(target in now and now[target].path == path for target, (_base, _kind, path) in work["disks"].items())


def _settled_tail(vm: Vm, work: Mapping[str, Any]) -> Vm:
    snapshots = []
    for snapshot in vm.snapshots:
        if snapshot.id in work["drop"]:
            continue
        changes = work["snapshots"].get(snapshot.id, {}).get("images", {})
        images = {**snapshot.images, **{target: source[0] for target, source in changes.items() if source}}
        snapshots.append(replace(snapshot, images={t: path for t, path in images.items() if changes.get(t, True)}))
    gone = set(work["delete"])
    images = {path: image for path, image in vm.images.items() if path not in gone}
    for target, (base, _kind, path) in work.get("overlays", {}).items():
        images[path] = Image(path, target, base)
    return replace(vm, snapshots=tuple(snapshots), images=images)


class _Known(dict[str, bool]):
    """Folder -> whether its files can be seen; each is looked up once."""

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage

    def __missing__(self, folder: str) -> bool:
        self[folder] = self._storage.knows(folder)
        return self[folder]


def _with_files(vm: Vm, raw: Raw, storage: Storage, with_users: bool) -> Vm:
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
    return replace(vm, images=images, disks=disks)


def files_of(work: Mapping[str, Any]) -> set[str]:
    """The files that unfinished work has made or will delete."""
    made = {path for key in ("disks", "overlays") if isinstance(work.get(key), Mapping) for _base, _kind, path in work[key].values()}
    merged = {path for pair in work.get("merges", {}).values() for path in pair}
    return made | merged | set(work.get("delete", ()))


def _committed(vm: Vm, raw: Raw, domain: libvirt.virDomain) -> Composition | None:
    """The last commit's composition, if nothing was written or changed since: a fresh overlay grows with the first write to it."""
    last = _last(raw.record)
    if not last or vm.preview:
        return None
    shows = Composition.from_dict(last["shows"])
    if (vm.power == "suspended") != shows.memory or vm.power not in ("down", "suspended"):
        return None
    digest = config_digest(raw.domain)
    if last.get("config", digest) != digest:  # absent in a commit's tail, until that is cleared up
        return None
    sources = {*shows.sources.values(), *([shows.config] if shows.config else [])}
    if not sources <= {snapshot.id for snapshot in vm.snapshots}:
        return None
    for target, (path, length) in last["fresh"].items():
        held = vm.snapshot(shows.disks[target]).images.get(target)
        image = vm.images.get(path)
        if vm.leaf.get(target) != path or image is None or image.parent != held or image.missing or _length(domain, target) != length:
            return None
    return shows if all(disk not in vm.leaf for disk in shows.excluded) else None


def _length(domain: libvirt.virDomain, target: str) -> int | None:
    """How far the disk's file reaches, in bytes; None when it cannot be read."""
    try:
        return int(domain.blockInfo(target)[2])
    except libvirt.libvirtError:
        return None


def config_digest(domain: ElementTree.Element) -> str:
    """What stays the same as long as nobody edits the configuration."""
    copy = ElementTree.fromstring(ElementTree.tostring(domain))
    for metadata in copy.findall("metadata"):
        copy.remove(metadata)
    for element in copy.iter():
        element.tail, element.text = None, (element.text or "").strip() or None
    return hashlib.sha256(ElementTree.tostring(copy)).hexdigest()[:16]


def _problems(vm: Vm, raw: Raw, domain: libvirt.virDomain, storage: Storage) -> tuple[Problem, ...]:
    found = []
    if not domain.isPersistent():
        found.append(
            Problem("transient_vm", vm.name, "it is transient: libvirt forgets it when it stops", "define it first (virsh dumpxml, virsh define)", True)
        )
    if raw.domain.find("os/nvram") is not None or raw.domain.find("devices/tpm") is not None:
        found.append(Problem("firmware_state", vm.name, "the variables of its firmware and the state of its TPM are not part of snapshots of disks"))
    internal = [snapshot.name for snapshot in vm.snapshots if snapshot.unusable]
    if internal:
        found.append(
            Problem(
                "internal_snapshots",
                ", ".join(internal),
                f"it has internal snapshots ({', '.join(internal)}); mixing them with external ones loses data",
                "delete them with virsh snapshot-delete first",
                True,
            )
        )
    found += _live_problems(vm, raw)
    found += [Problem("missing_image", path, f"image {path} is not there", "bring the file back") for path, image in vm.images.items() if image.missing]
    for disk in vm.disks:
        length = len(vm.chain(vm.leaf.get(disk.id)))
        if length >= WARN_CHAIN:
            found.append(Problem("long_chain", disk.name, f"its chain has {length} images; some libvirt versions cannot start it", "remove old snapshots"))
    if vm.unfinished:
        found.append(Problem("unfinished", vm.name, vm.unfinished, "run the task again, it finishes this first"))
    for folder in sorted({folder_of(path) for path in vm.images}):
        if not storage.knows(folder):
            found.append(
                Problem("no_pool", folder, f"{folder} is no storage pool, so sizes and missing files in it are not known", "define a pool of type dir for it")
            )
    repeated = [name for name, count in Counter(disk.name for disk in vm.disks).items() if count > 1]
    found += [Problem("ambiguous_disk", name, f"several disks are named {name}", "name them by target") for name in repeated]
    return tuple(found)


def _live_problems(vm: Vm, raw: Raw) -> list[Problem]:
    """A running VM whose disks are not those of its configuration: a job is under way, or libvirt and QEMU disagree."""
    if raw.live is None:
        return []
    found = []
    kept = xml.sources(raw.domain)
    for target, element in xml.disk_elements(raw.live):
        if element.find("mirror") is not None:
            found.append(Problem("block_job", target, f"a block job runs on disk {target}", "wait for it, or abort it with virsh blockjob", not vm.unfinished))
        source = element.find("source")
        running = source.get("file") if source is not None else None
        if running and target in kept and kept[target].path != running and not vm.unfinished:
            found.append(
                Problem(
                    "stale_view",
                    target,
                    f"disk {target} runs on {running}, but its configuration says {kept[target].path}",
                    "shut the VM down, then run again",
                    True,
                )
            )
    return found
