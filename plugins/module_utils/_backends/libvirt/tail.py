# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tail of each verb: what nothing needs any more goes, then the record says that the work is done."""

from __future__ import annotations

from collections.abc import Iterable

from ..._engine.changes import remembered
from ..._engine.errors import BackendFailed
from . import xml
from .committed import config_digest
from .desk import Args, Desk
from .raw import Raw
from .record import Record
from .sdk import libvirt


def drop(desk: Desk, args: Args) -> None:
    for snapshot in desk.domain.listAllSnapshots():
        if snapshot.getName() == args["snapshot"]:
            path = xml.memory_of(xml.parse(snapshot.getXMLDesc()))
            snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
            if path:
                desk.storage.delete(path)


def memories_of(raw: Raw, names: Iterable[str]) -> list[str]:
    files = [xml.memory_of(raw.snapshots[name]) for name in names if name in raw.snapshots]
    return [path for path in files if path]


def delete(desk: Desk, args: Args) -> None:
    """Delete a file, unless anything of this VM still shows it: then it is kept, and that is an error."""
    path = args["path"]
    raw = desk.raw()
    work = raw.record.work or {}
    if path not in work.get("delete", ()):
        return
    shown = {source.path for source in xml.sources(raw.domain).values()}
    shown |= {file for _target, element in xml.disk_elements(raw.live if raw.live is not None else raw.domain) for file in xml.chain_of(element)}
    shown |= _held_by_snapshots(desk, raw, work)
    if path in shown:
        raise BackendFailed(f"{path} was to be deleted, but VM {desk.name} still uses it; it was kept", "still_used", "look at the VM's disks and snapshots")
    desk.storage.delete(path)


def _held_by_snapshots(desk: Desk, raw: Raw, work: Args) -> frozenset[str]:
    """Read once per tail: nobody else changes snapshots while this run holds the lock, and it is done with changing them."""
    if desk.held is None:
        kept = [element for name, element in raw.snapshots.items() if name not in work["drop"]]
        desk.held = frozenset(source.path for element in kept for source in xml.held_images(element).values())
    return desk.held


def clear(desk: Desk, args: Args) -> None:
    """The work is done; what stays in the record is the last commit and the request ids."""
    raw = desk.raw()
    work = raw.record.work
    if work is None or work["phase"] == "open":
        return
    last = work.get("last")
    if last and "config" not in last:
        last = {**last, "config": config_digest(raw.domain)}
    request_id, shows = work.get("done", ("", {}))
    desk.write(Record(None, last, remembered(raw.record.requests, request_id, shows)))
