# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing a snapshot, or some disks from it: the image above each of its images is merged into it."""

from __future__ import annotations

from ..._engine.errors import Interrupted
from . import edit, xml
from .define import before_defining, define
from .desk import Args, Desk
from .dom import document
from .merge import merge
from .raw import Raw
from .storage import folder_of
from .tail import memories_of
from .xml import Source


def note(desk: Desk, args: Args) -> None:
    desk.note(desk.raw(), {"phase": "removing", **args})


def merge_images(desk: Desk, args: Args) -> None:
    merge(desk, args["merges"])


def settle(desk: Desk, args: Args) -> None:
    """The merged images are the disks now: what libvirt noted of the old chain goes."""
    raw = desk.raw()
    if raw.record.phase != "removing":
        return
    _demand_merged(desk, raw)
    formats = {source.path: source.format for element in raw.snapshots.values() for source in xml.held_images(element).values()}
    before = before_defining(desk, raw)
    doc = document(before.text)
    merges = (raw.record.work or {})["merges"]
    merged = {above: below for below, above in merges.values()}
    nodes = edit.disk_nodes(doc.documentElement)
    for target, source in xml.sources(raw.domain).items():
        path = merged.get(source.path, source.path)
        if target in merges:
            edit.point(nodes[target], Source(path, formats.get(path, source.format)))
    snapshots = {
        name: {"images": {t: [path, formats[path]] if path else None for t, path in changes["images"].items()}, "overlays": {}}
        for name, changes in args["snapshots"].items()
    }
    tail = {
        "phase": "tail",
        "verb": "removal",
        "snapshots": snapshots,
        "drop": list(args["drop"]),
        "delete": list(args["delete"]) + memories_of(raw, args["drop"]),
        "last": None,
    }
    define(desk, doc, raw.record.with_work(tail), before)


def _demand_merged(desk: Desk, raw: Raw) -> None:
    """A snapshot that others took while the images were merged has put files on top of them, which still name the image that will go."""
    merges = (raw.record.work or {})["merges"]
    for folder in {folder_of(above) for _below, above in merges.values()}:
        desk.storage.refresh(folder)
    tops = xml.sources(raw.domain)
    for target, (_below, above) in merges.items():
        if target in tops and above in _files_below(desk, tops[target].path):
            raise Interrupted(f"disk {target} changed while its images were merged", "changed_meanwhile", "run again, it merges them anew")


def _files_below(desk: Desk, path: str) -> list[str]:
    """The files that this one is built on, as they say themselves."""
    found: list[str] = []
    file = desk.storage.find(path)
    while file and file.backing and file.backing not in found:
        found.append(file.backing)
        file = desk.storage.find(file.backing)
    return found
