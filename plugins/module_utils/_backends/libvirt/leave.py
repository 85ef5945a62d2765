# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaving a preview: undo goes back to the domain that the record kept, commit stays. Either is one call; the rest is the tail."""

from __future__ import annotations

from . import dom, edit, xml
from .define import before_defining, define
from .desk import Args, Desk
from .record import unpack
from .tail import memories_of


def undo(desk: Desk, args: Args) -> None:
    """The commit point of an undo."""
    raw = desk.raw()
    if raw.record.phase != "open":
        return
    before = before_defining(desk, raw)
    work = raw.record.work or {}
    if raw.saved:
        desk.domain.managedSaveRemove()  # it belongs to the preview's images
    text = unpack(work["origin"])
    origin, last = dom.document(text), xml.record_of(xml.parse(text)).last
    edit.carry_secrets(desk.document().documentElement, origin.documentElement)
    edit.rename(origin.documentElement, desk.name)
    tail = {"phase": "tail", "verb": "undo", "snapshots": {}, "drop": [], "delete": list(args["delete"]), "last": last}
    define(desk, origin, raw.record.with_work(tail), before)


def commit(desk: Desk, args: Args) -> None:
    """The commit point of a commit: the domain is the preview already, only the record changes."""
    raw = desk.raw()
    if raw.record.phase != "open":
        return
    work = raw.record.work or {}
    fresh = {target: [path, length] for target, (path, length) in work["fresh"].items() if _length(desk, path) == length}
    tail = {
        "phase": "tail",
        "verb": "commit",
        "snapshots": args["snapshots"],
        "drop": list(args["drop"]),
        "delete": list(args["delete"]) + memories_of(raw, args["drop"]),
        "overlays": work["overlays"],
        "last": {"shows": work["shows"], "fresh": fresh} if len(fresh) == len(work["overlays"]) else None,
        "done": [args["request_id"], work["shows"]],
    }
    desk.note(raw, tail)


def _length(desk: Desk, path: str) -> int | None:
    file = desk.storage.find(path)
    return file.length if file else None
