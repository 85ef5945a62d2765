# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a snapshot: the one call of libvirt that does it, and what must be right before and after."""

from __future__ import annotations

import time

from ..._engine.errors import BackendFailed, Interrupted, VmError
from . import agent, xml
from .desk import Args, Desk
from .faults import AGENT_SILENT, is_one_of, translate
from .raw import Raw
from .sdk import libvirt
from .settled import switched
from .snapshot import note_taken, snapshot_xml
from .storage import OVERLAY_FORMAT
from .xml import Source


def note(desk: Desk, args: Args) -> None:
    raw = desk.raw()
    formats = {source.path: source.format for source in xml.sources(raw.domain).values()}
    disks = {target: [base, formats.get(base, OVERLAY_FORMAT), path] for target, (base, path) in args["disks"].items()}
    snapshot = dict(args["snapshot"])
    snapshot.update({"created": time.time(), "quiesced": True if snapshot.pop("quiesce") != "never" else None})
    desk.storage.demand_absent([path for _base, _kind, path in disks.values()] + ([snapshot["memory"]] if snapshot["memory"] else []))
    desk.note(raw, {"phase": "creating", "snapshot": snapshot, "disks": disks})


def prepare(desk: Desk, args: Args) -> None:
    """Make the overlays, which the snapshot would make otherwise."""
    raw = desk.raw()
    work = raw.record.work or {}
    if work["snapshot"]["name"] in raw.snapshots or switched(work, raw.domain):
        return
    _demand_same(raw, work)
    for base, kind, path in work["disks"].values():
        desk.storage.create_overlay(path, Source(base, kind))


def take(desk: Desk, args: Args) -> None:
    """Make the snapshot; one that is there already is left alone."""
    raw = desk.raw()
    work = raw.record.work or {}
    if work["snapshot"]["name"] in raw.snapshots:
        return
    if switched(work, raw.domain) or not (work["disks"] or work["snapshot"]["memory"]):
        note_taken(desk, work)
        return
    _demand_same(raw, work)
    if args["quiesce"] != "never":
        _take_frozen(desk, raw, work, args["quiesce"])
        return
    if raw.live is None:
        for _base, _kind, path in work["disks"].values():
            desk.storage.reserve(path)
    desk.domain.snapshotCreateXML(snapshot_xml(raw, work), _flags(desk, work))


def _demand_same(raw: Raw, work: Args) -> None:
    now = xml.sources(raw.domain)
    for target, (base, _kind, _path) in work["disks"].items():
        if target not in now or now[target].path != base:
            raise Interrupted(f"disk {target} changed while the snapshot was prepared", "changed_meanwhile", "run again")


def _flags(desk: Desk, work: Args) -> int:
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    if not work["snapshot"]["memory"]:
        return int(flags | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
    running = desk.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    return int(flags | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE if running else 0))


def _take_frozen(desk: Desk, raw: Raw, work: Args, quiesce: str) -> None:
    """With the overlays that are prepared. libvirtd itself thaws, even if this process dies."""
    text = snapshot_xml(raw, work)
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
    with agent.limited(desk.domain):
        try:
            desk.domain.snapshotCreateXML(text, flags | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE)
        except libvirt.libvirtError as error:
            if not is_one_of(error, AGENT_SILENT):
                raise
            agent.thaw(desk.domain)
            if quiesce == "required":
                raise _refusal(desk, work, error) from error
            desk.note(raw, {**work, "snapshot": {**work["snapshot"], "quiesced": False}})
            desk.domain.snapshotCreateXML(text, flags)
    _demand_right_bases(desk, work)


def _refusal(desk: Desk, work: Args, error: libvirt.libvirtError) -> VmError:
    from .takeback import take_back  # rarely needed

    take_back(desk, work)
    said = translate(error, f"freezing the guest of VM {desk.name}")
    return BackendFailed(said.message, "quiesce_failed", "look at qemu-guest-agent in the guest, or set quiesce: preferred")


def _demand_right_bases(desk: Desk, work: Args) -> None:
    """An overlay that was made beforehand may name another image than it now stands on, if others changed the chain: take it out again."""
    made = desk.raw().snapshots[work["snapshot"]["name"]]
    held = xml.held_images(made)
    wrong = {target: held[target].path for target, (base, _kind, _path) in work["disks"].items() if held[target].path != base}
    if not wrong:
        return
    from .merge import commit  # rarely needed

    for target, (_base, _kind, path) in work["disks"].items():
        commit(desk.domain, target, held[target].path, path, desk.clock)
        desk.storage.delete(path)
    desk.domain.snapshotLookupByName(work["snapshot"]["name"]).delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    raise Interrupted(f"others changed disk {', '.join(sorted(wrong))} while the snapshot was taken; it was taken back", "changed_meanwhile", "run again")
