# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The effects: each step of a plan, and what finishes or takes back the work of an interrupted run. Every one may be applied twice."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Callable

from ..._engine.changes import remembered
from ..._engine.errors import BackendFailed, Interrupted, Refused
from ..._engine.model import Composition, Step
from . import xml
from .faults import saying
from .merge import merge
from .read import Raw, config_digest, held_images, memory_of, read_raw, wait_for_calls, write_record
from .record import Record, pack, unpack
from .sdk import libvirt, qemu
from .storage import OVERLAY_FORMAT, Storage
from .take import Taker
from .waiting import Clock
from .xml import Source

Args = Mapping[str, Any]


class Effects:
    """What can be done to one domain."""

    def __init__(self, conn: libvirt.virConnect, domain: libvirt.virDomain, storage: Storage, clock: Clock) -> None:
        self._conn = conn
        self._domain = domain
        self._storage = storage
        self._clock = clock
        self._taker = Taker(domain, storage, clock)
        self._held: frozenset[str] | None = None

    def apply(self, step: Step) -> None:
        if step.verb != "delete":
            self._held = None
        try:
            with saying(f"VM {self._domain.name()}: {step.says}"):
                _VERBS[step.verb](self, step.args)
        except BackendFailed as error:  # libvirt and QEMU tell a lack of space in many ways
            full = self._storage.full_folder() if error.reason in ("backend_failed", "merge_failed") else None
            if full is None:
                raise
            raise BackendFailed(f"no space left in {full}: {error.message}", "no_space", "make room in the folder and run again") from error

    # --- create --------------------------------------------------------------------------------------------------------------

    def _note_create(self, args: Args) -> None:
        raw = read_raw(self._domain)
        formats = {source.path: source.format for source in xml.sources(raw.domain).values()}
        disks = {target: [base, formats.get(base, OVERLAY_FORMAT), path] for target, (base, path) in args["disks"].items()}
        note = dict(args["snapshot"])
        note.update({"created": time.time(), "quiesced": True if note.pop("quiesce") != "never" else None})
        self._storage.demand_absent([path for _base, _kind, path in disks.values()] + ([note["memory"]] if note["memory"] else []))
        self._note(raw, {"phase": "creating", "snapshot": note, "disks": disks})

    def _snapshot(self, args: Args) -> None:
        self._taker.take(read_raw(self._domain), args["quiesce"])

    # --- preview -------------------------------------------------------------------------------------------------------------

    def _note_preview(self, args: Args) -> None:
        raw = read_raw(self._domain)
        shows = Composition.from_dict(args["shows"])
        overlays = {}
        for target, (base, path) in args["overlays"].items():
            held = held_images(raw.snapshots[shows.disks[target]])
            overlays[target] = [base, held[target].format, path]
        self._storage.demand_absent(path for _base, _kind, path in overlays.values())
        work = {"phase": "entering", "shows": shows.as_dict(), "overlays": overlays}
        self._composed(raw, work)  # what cannot be composed is refused before anything is made
        self._note(raw, work)

    def _overlay(self, args: Args) -> None:
        work = read_raw(self._domain).record.work or {}
        kinds = {path: kind for _base, kind, path in work["overlays"].values()}
        self._storage.create_overlay(args["path"], Source(args["base"], kinds[args["path"]]))

    def _show(self, args: Args) -> None:
        """The commit point of a preview: disks, configuration and record change in one call."""
        raw = read_raw(self._domain)
        if raw.record.phase == "open":
            return
        work = dict(raw.record.work or {})
        doc = self._composed(raw, work)
        origin = xml.document(self._text(secure=False))
        xml.put_record(origin.documentElement, raw.record.with_work(None))
        files = {target: self._storage.find(path) for target, (_base, _kind, path) in work["overlays"].items()}
        work.update(
            {
                "phase": "open",
                "memory": "pending" if work["shows"]["memory"] else "",
                "origin": pack(xml.without_secrets(xml.text_of(origin))),
                "fresh": {target: [file.path, file.length] for target, file in files.items() if file},
            }
        )
        xml.put_record(doc.documentElement, raw.record.with_work(work))
        self._conn.defineXML(xml.text_of(doc))

    def _composed(self, raw: Raw, work: Args) -> Any:
        shows = Composition.from_dict(work["shows"])
        files = {target: Source(path, OVERLAY_FORMAT) for target, (_base, _kind, path) in work["overlays"].items()}
        config = self._config_text(shows.config) if shows.config else None
        doc, lost = xml.composed(self._text(secure=True), config, files, self._coming_back(raw, shows), shows.excluded)
        if lost:
            raise Refused(
                f"VM {self._domain.name()}: the password of its {', '.join(lost)} display has no place in configuration {shows.config}: an undo would lose it",
                "secrets_in_config",
                "use config: current, or remove the password first",
            )
        return doc

    def _coming_back(self, raw: Raw, shows: Composition) -> dict[str, Any]:
        """Target -> its element in the snapshot that it is taken from, for the disks that the VM does not have now."""
        attached = xml.sources(raw.domain)
        names = {target: name for target, name in shows.sources.items() if target not in attached}
        return {target: xml.disk_nodes(xml.document(self._config_text(name)).documentElement)[target] for target, name in names.items()}

    def _config_text(self, snapshot: str) -> str:
        root = xml.document(self._domain.snapshotLookupByName(snapshot).getXMLDesc()).documentElement
        config = (xml.children(root, "inactiveDomain") or xml.children(root, "domain"))[0]
        config.tagName = config.nodeName = "domain"
        return xml.text_of(config)

    def _memory(self, args: Args) -> None:
        """Load the saved memory, and let libvirt keep it as the domain's own saved state: the next start resumes it."""
        raw = read_raw(self._domain)
        work = dict(raw.record.work or {})
        if work.get("memory") != "pending":
            return
        if not raw.saved:
            if raw.live is None or self._gave_up_half_saved():
                self._load_memory(raw, work["shows"]["config"])
            elif self._domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
                raise Interrupted(f"VM {self._domain.name()} was started before its memory was restored", "vm_running", "shut it down, then run again")
            self._domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
        self._note(raw, {**work, "memory": "saved"})

    def _gave_up_half_saved(self) -> bool:
        """Power the VM off if libvirtd died while it saved this memory: QEMU will not save it twice. The guest has not run since it was loaded."""
        if self._domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
            return False
        answer = json.loads(qemu().qemuMonitorCommand(self._domain, json.dumps({"execute": "query-status"}), 0))
        if answer["return"]["status"] != "postmigrate":
            return False
        self._domain.destroy()
        return True

    def _load_memory(self, raw: Raw, snapshot: str) -> None:
        path = memory_of(raw.snapshots[snapshot])
        doc = xml.document(self._conn.saveImageGetXMLDesc(path, 0))
        nodes = xml.disk_nodes(doc.documentElement)
        for target, source in xml.sources(raw.domain).items():
            if target in nodes:
                xml.point(nodes[target], source)
        self._conn.restoreFlags(path, xml.text_of(doc), libvirt.VIR_DOMAIN_SAVE_PAUSED)

    def _return(self, args: Args) -> None:
        """The commit point of an undo."""
        raw = read_raw(self._domain)
        if raw.record.phase != "open":
            return
        work = raw.record.work or {}
        if raw.saved:
            self._domain.managedSaveRemove()  # it belongs to the preview's images
        origin = xml.document(unpack(work["origin"]))
        before = Record() if not (found := xml.record_of(xml.parse(unpack(work["origin"])))) else found
        xml.carry_secrets(xml.document(self._text(secure=True)).documentElement, origin.documentElement)
        xml.rename(origin.documentElement, self._domain.name())
        tail = {"phase": "tail", "verb": "undo", "snapshots": {}, "drop": [], "delete": list(args["delete"]), "last": before.last}
        xml.put_record(origin.documentElement, raw.record.with_work(tail))
        self._conn.defineXML(xml.text_of(origin))

    def _keep(self, args: Args) -> None:
        """The commit point of a commit: the domain is the preview already, only the record changes."""
        raw = read_raw(self._domain)
        if raw.record.phase != "open":
            return
        work = raw.record.work or {}
        fresh = {target: [path, length] for target, (path, length) in work["fresh"].items() if self._length(path) == length}
        tail = {
            "phase": "tail",
            "verb": "commit",
            "snapshots": args["snapshots"],
            "drop": list(args["drop"]),
            "delete": list(args["delete"]) + self._memories(raw, args["drop"]),
            "overlays": work["overlays"],
            "last": {"shows": work["shows"], "fresh": fresh} if len(fresh) == len(work["overlays"]) else None,
            "done": [args["request_id"], work["shows"]],
        }
        self._note(raw, tail)

    def _length(self, path: str) -> int | None:
        file = self._storage.find(path)
        return file.length if file else None

    @staticmethod
    def _memories(raw: Raw, names: list[str]) -> list[str]:
        files = [memory_of(raw.snapshots[name]) for name in names if name in raw.snapshots]
        return [path for path in files if path]

    # --- remove --------------------------------------------------------------------------------------------------------------

    def _note_remove(self, args: Args) -> None:
        self._note(read_raw(self._domain), {"phase": "removing", **args})

    def _merge(self, args: Args) -> None:
        raw = read_raw(self._domain)
        merge(self._conn, self._domain, xml.sources(raw.domain), args["merges"], self._clock)

    def _settle_remove(self, args: Args) -> None:
        """The merged images are the disks now: what libvirt noted of the old chain goes."""
        raw = read_raw(self._domain)
        if raw.record.phase != "removing":
            return
        formats = self._formats(raw)
        doc = xml.document(self._text(secure=True))
        merged = {above: below for below, above in (raw.record.work or {})["merges"].values()}
        for target, source in xml.sources(raw.domain).items():
            path = merged.get(source.path, source.path)
            if target in (raw.record.work or {})["merges"]:
                xml.point(xml.disk_nodes(doc.documentElement)[target], Source(path, formats.get(path, source.format)))
        snapshots = {
            name: {"images": {t: [path, formats[path]] if path else None for t, path in changes["images"].items()}, "overlays": {}}
            for name, changes in args["snapshots"].items()
        }
        tail = {
            "phase": "tail",
            "verb": "removal",
            "snapshots": snapshots,
            "drop": list(args["drop"]),
            "delete": list(args["delete"]) + self._memories(raw, args["drop"]),
            "last": None,
        }
        xml.put_record(doc.documentElement, raw.record.with_work(tail))
        self._conn.defineXML(xml.text_of(doc))

    @staticmethod
    def _formats(raw: Raw) -> dict[str, str]:
        return {source.path: source.format for element in raw.snapshots.values() for source in held_images(element).values()}

    # --- the tail: snapshot metadata and files --------------------------------------------------------------------------------

    def _redefine(self, args: Args) -> None:
        name = args["snapshot"]
        raw = read_raw(self._domain)
        changes = (raw.record.work or {})["snapshots"][name]
        images = {target: Source(*source) if source else None for target, source in changes["images"].items()}
        if "anew" in changes or xml.would_be_empty(raw.snapshots[name], images):
            self._make_anew(raw, name, images)
        else:
            self._rewrite(name, lambda text: xml.redefined(text, images, changes["overlays"]), False)

    def _make_anew(self, raw: Raw, name: str, images: Mapping[str, Source | None]) -> None:
        """Let a snapshot hold the configuration alone.

        libvirt has one kind of snapshot for this and another for those of a VM that was down, and changes none into the other. So the
        snapshot is forgotten and made again, from the record if this run dies in between.
        """
        work = raw.record.work or {}
        changes = dict(work["snapshots"][name])
        if "anew" not in changes:
            old = self._domain.snapshotLookupByName(name)
            children = [child.getName() for child in old.listAllChildren()]
            changes.update({"anew": pack(xml.configuration_alone(old.getXMLDesc(), images)), "current": bool(old.isCurrent()), "children": children})
            self._note(raw, {**work, "snapshots": {**work["snapshots"], name: changes}})
        for snapshot in self._domain.listAllSnapshots():
            if snapshot.getName() == name and not xml.is_configuration_alone(xml.parse(snapshot.getXMLDesc())):
                snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if changes["current"] else 0)
        self._domain.snapshotCreateXML(unpack(changes["anew"]), flags)
        for child in changes["children"]:  # libvirt gave them to the parent of the forgotten one
            self._rewrite(child, lambda text: xml.with_parent(text, name), False)

    def _current(self, args: Args) -> None:
        self._rewrite(args["snapshot"], lambda text: text, True)

    def _rewrite(self, name: str, change: Callable[[str], str], current: bool) -> None:
        snapshot = self._domain.snapshotLookupByName(name)
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
        if current or snapshot.isCurrent():
            flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
        self._domain.snapshotCreateXML(change(snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)), flags)

    def _drop(self, args: Args) -> None:
        for snapshot in self._domain.listAllSnapshots():
            if snapshot.getName() == args["snapshot"]:
                path = memory_of(xml.parse(snapshot.getXMLDesc()))
                snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
                if path:
                    self._storage.delete(path)

    def _delete(self, args: Args) -> None:
        """Delete a file, unless anything of this VM still shows it: then it is kept, and that is an error."""
        path = args["path"]
        raw = read_raw(self._domain)
        work = raw.record.work or {}
        if path not in work.get("delete", ()):
            return
        shown = {source.path for source in xml.sources(raw.domain).values()}
        shown |= {file for _target, element in xml.disk_elements(raw.live if raw.live is not None else raw.domain) for file in xml.chain_of(element)}
        shown |= self._held_by_snapshots(raw, work)
        if path in shown:
            raise BackendFailed(
                f"{path} was to be deleted, but VM {self._domain.name()} still uses it; it was kept", "still_used", "look at the VM's disks and snapshots"
            )
        self._storage.delete(path)

    def _held_by_snapshots(self, raw: Raw, work: Args) -> frozenset[str]:
        """Read once per tail: nobody else changes snapshots while this run holds the lock, and it is done with changing them."""
        if self._held is None:
            kept = [element for name, element in raw.snapshots.items() if name not in work["drop"]]
            self._held = frozenset(source.path for element in kept for source in held_images(element).values())
        return self._held

    def _clear(self, args: Args) -> None:
        """The work is done; what stays in the record is the last commit and the request ids."""
        raw = read_raw(self._domain)
        work = raw.record.work
        if work is None or work["phase"] == "open":
            return
        last = work.get("last")
        if last and "config" not in last:
            last = {**last, "config": config_digest(raw.domain)}
        request_id, shows = work.get("done", ("", {}))
        write_record(self._domain, Record(None, last, remembered(raw.record.requests, request_id, shows)))

    def _remember(self, args: Args) -> None:
        record = read_raw(self._domain).record
        write_record(self._domain, Record(record.work, record.last, remembered(record.requests, args["request_id"], args["shows"])))

    # --- others --------------------------------------------------------------------------------------------------------------

    def _stop(self, args: Args) -> None:
        if not self._domain.isActive():
            return
        if args["how"] == "poweroff":
            self._domain.destroy()
            return
        self._domain.shutdown()
        for _tick in self._clock.ticks(f"the shutdown of VM {self._domain.name()}"):
            if not self._domain.isActive():
                return

    def _settle(self, args: Args) -> None:
        """Finish or take back what the record says an interrupted run was doing."""
        wait_for_calls(self._domain)
        raw = read_raw(self._domain)
        work = raw.record.work
        if work is None:
            return
        phase = raw.record.phase
        if phase == "open":
            self._memory({})
        elif phase == "creating":
            self._settle_create(raw, work)
            self._clear({})
        elif phase == "entering":
            for _base, _kind, path in work["overlays"].values():
                self._storage.delete(path)
            write_record(self._domain, raw.record.with_work(None))
        elif phase == "removing":
            self._merge(work)
            self._settle_remove(self._removal(work))
            self._run_tail()
        else:
            self._run_tail()

    def _settle_create(self, raw: Raw, work: Args) -> None:
        if work["snapshot"].get("quiesced") and raw.live is not None and xml.agent_connected(raw.live):
            self._taker.thaw()
            self._taker.unlimited_agent()
        if work["snapshot"]["name"] in raw.snapshots:
            return
        self._taker.complete(raw, work)

    def _removal(self, work: Args) -> Args:
        """What the snapshots and files of an interrupted removal must become: worked out again from what is there."""
        raw = read_raw(self._domain)
        moved = {above: below for below, above in work["merges"].values()}
        snapshots: dict[str, Any] = {}
        for name, element in raw.snapshots.items():
            images: dict[str, str | None] = {t: moved[s.path] for t, s in held_images(element).items() if s.path in moved}
            if name == work["snapshot"]["name"]:
                images = {} if work["whole"] else dict.fromkeys(work["disks"])
            if images:
                snapshots[name] = {"images": images}
        drop = [work["snapshot"]["name"]] if work["whole"] else []
        return {"snapshots": snapshots, "drop": drop, "delete": sorted(moved)}

    def _run_tail(self) -> None:
        raw = read_raw(self._domain)
        work = raw.record.work or {}
        for name in work["snapshots"]:
            if name in raw.snapshots:
                self._redefine({"snapshot": name})
        for name in work["drop"]:
            self._drop({"snapshot": name})
        config = work["done"][1]["config"] if work["verb"] == "commit" else None
        if config in raw.snapshots:
            self._current({"snapshot": config})
        self._held = None
        for path in work["delete"]:
            self._delete({"path": path})
        self._clear({})

    # --- reading and noting --------------------------------------------------------------------------------------------------

    def _note(self, raw: Raw, work: Args) -> None:
        write_record(self._domain, raw.record.with_work(work))

    def _text(self, secure: bool) -> str:
        return str(self._domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | (libvirt.VIR_DOMAIN_XML_SECURE if secure else 0)))


_VERBS: Mapping[str, Callable[[Effects, Args], None]] = {
    "settle": Effects._settle,
    "stop": Effects._stop,
    "note-create": Effects._note_create,
    "snapshot": Effects._snapshot,
    "note-preview": Effects._note_preview,
    "overlay": Effects._overlay,
    "show": Effects._show,
    "memory": Effects._memory,
    "return": Effects._return,
    "keep": Effects._keep,
    "note-remove": Effects._note_remove,
    "merge": Effects._merge,
    "settle-remove": Effects._settle_remove,
    "redefine": Effects._redefine,
    "current": Effects._current,
    "drop": Effects._drop,
    "delete": Effects._delete,
    "clear": Effects._clear,
    "remember": Effects._remember,
}
