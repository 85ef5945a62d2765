# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defining a VM anew, disks and record in one call, while others may change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..._engine.errors import Interrupted
from . import dom, edit, xml
from .desk import Desk
from .raw import Raw
from .record import Record
from .sdk import libvirt
from .storage import OVERLAY_FORMAT


@dataclass(frozen=True)
class Before:
    """What a domain had when its new definition was worked out: its snapshots, and its definition."""

    snapshots: frozenset[str]
    text: str


def before_defining(desk: Desk, raw: Raw) -> Before:
    return Before(frozenset(raw.snapshots), desk.text())


def define(desk: Desk, doc: Any, record: Record, before: Before) -> None:
    """Define the VM. libvirt cannot do this only if nothing has changed, so look afterwards, and take it back if something has.

    A snapshot that others took in between put its own images on top, and a VM that was started in between runs on the old ones.
    """
    edit.put_record(doc.documentElement, record)
    text = dom.text_of(doc)
    desk.conn.defineXML(text)
    snapshots = desk.domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
    foreign = [snapshot for snapshot in snapshots if snapshot.getName() not in before.snapshots]
    if not foreign and not _runs_on_others(desk, text):
        return
    back = dom.document(before.text)
    nodes = edit.disk_nodes(back.documentElement)
    for snapshot in foreign:
        for target, path in xml.made_overlays(xml.parse(snapshot.getXMLDesc())).items():
            edit.point(nodes[target], xml.Source(path, OVERLAY_FORMAT))
    desk.conn.defineXML(dom.text_of(back))
    what = f"a snapshot {foreign[0].getName()} was taken" if foreign else "it was started"
    raise Interrupted(f"VM {desk.name} changed meanwhile: {what}", "changed_meanwhile", "look at the VM, then run again")


def _runs_on_others(desk: Desk, text: str) -> bool:
    if not desk.domain.isActive():
        return False
    running, defined = xml.sources(xml.parse(desk.domain.XMLDesc(0))), xml.sources(xml.parse(text))
    return any(target in defined and defined[target].path != source.path for target, source in running.items())
