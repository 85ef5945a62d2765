# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a preview: new images on top of what the snapshots hold, and the domain that shows them."""

from __future__ import annotations

from typing import Any

from ..._engine.errors import Refused
from ..._engine.model import Composition
from . import dom, edit, xml
from .compose import composed
from .define import before_defining, define
from .desk import Args, Desk
from .raw import Raw
from .record import pack
from .storage import OVERLAY_FORMAT
from .xml import Source


def note(desk: Desk, args: Args) -> None:
    raw = desk.raw()
    shows = Composition.from_dict(args["shows"])
    overlays = {}
    for target, (base, path) in args["overlays"].items():
        held = xml.held_images(raw.snapshots[shows.disks[target]])
        overlays[target] = [base, held[target].format, path]
    desk.storage.demand_absent(path for _base, _kind, path in overlays.values())
    work = {"phase": "entering", "shows": shows.as_dict(), "overlays": overlays}
    _composed(desk, raw, work)  # what cannot be composed is refused before anything is made
    desk.note(raw, work)


def overlay(desk: Desk, args: Args) -> None:
    work = desk.raw().record.work or {}
    kinds = {path: kind for _base, kind, path in work["overlays"].values()}
    desk.storage.create_overlay(args["path"], Source(args["base"], kinds[args["path"]]))


def show(desk: Desk, args: Args) -> None:
    """The commit point of a preview: disks, configuration and record change in one call."""
    raw = desk.raw()
    if raw.record.phase == "open":
        return
    before = before_defining(desk, raw)
    work = dict(raw.record.work or {})
    doc = _composed(desk, raw, work)
    origin = desk.document(secure=False)
    edit.put_record(origin.documentElement, raw.record.with_work(None))
    files = {target: desk.storage.find(path) for target, (_base, _kind, path) in work["overlays"].items()}
    work.update(
        {
            "phase": "open",
            "memory": "pending" if work["shows"]["memory"] else "",
            "origin": pack(edit.without_secrets(dom.text_of(origin))),
            "fresh": {target: [file.path, file.length] for target, file in files.items() if file},
        }
    )
    define(desk, doc, raw.record.with_work(work), before)


def _composed(desk: Desk, raw: Raw, work: Args) -> Any:
    shows = Composition.from_dict(work["shows"])
    files = {target: Source(path, OVERLAY_FORMAT) for target, (_base, _kind, path) in work["overlays"].items()}
    config = dom.text_of(_config(desk, shows.config)) if shows.config else None
    doc, lost = composed(desk.text(), config, files, _coming_back(desk, raw, shows), shows.excluded)
    if lost:
        raise Refused(
            f"VM {desk.name}: the password of its {', '.join(lost)} display has no place in configuration {shows.config}: an undo would lose it",
            "secrets_in_config",
            "use config: current, or remove the password first",
        )
    return doc


def _coming_back(desk: Desk, raw: Raw, shows: Composition) -> dict[str, Any]:
    """Target -> its element in the snapshot that it is taken from, for the disks that the VM does not have now."""
    attached = xml.sources(raw.domain)
    names = {target: name for target, name in shows.sources.items() if target not in attached}
    return {target: edit.disk_nodes(_config(desk, name))[target] for target, name in names.items()}


def _config(desk: Desk, snapshot: str) -> Any:
    root = dom.document(desk.domain.snapshotLookupByName(snapshot).getXMLDesc()).documentElement
    config = (dom.children(root, "inactiveDomain") or dom.children(root, "domain"))[0]
    config.tagName = config.nodeName = "domain"
    return config
