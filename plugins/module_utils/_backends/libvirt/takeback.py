# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking back what was prepared for a snapshot that was not taken, unless the guest already writes to it."""

from __future__ import annotations

import json

from ..._engine.errors import BackendFailed
from . import edit
from .desk import Args, Desk
from .dom import text_of
from .sdk import ask_qemu
from .snapshot import note_taken
from .storage import OVERLAY_FORMAT
from .xml import Source


def take_back(desk: Desk, work: Args) -> None:
    """Delete what was prepared for a snapshot that was not taken; on a running VM only after asking QEMU, whom libvirt may have lost."""
    overlays = [path for _base, _kind, path in work["disks"].values()]
    if desk.domain.isActive() and overlays:
        used = _used_by_qemu(desk) & set(overlays)
        if used:
            _adopt(desk, work, used)
            return
        _let_go(desk, set(overlays))
    for path in overlays + ([work["snapshot"]["memory"]] if work["snapshot"]["memory"] else []):
        desk.storage.delete(path)


def _used_by_qemu(desk: Desk) -> set[str]:
    """The files in the chains of the guest's disks. Files that QEMU has only opened do not count: nothing is written to them."""
    used = set()
    for device in ask_qemu(desk.domain, "query-block"):
        image = device.get("inserted", {}).get("image")
        while image:
            used.add(_file_of(image["filename"]))
            image = image.get("backing-image")
    return used


def _let_go(desk: Desk, overlays: set[str]) -> None:
    """Let QEMU close overlays that it opened for a snapshot which libvirtd did not live to take: it would refuse to open them anew."""
    nodes = [node for node in ask_qemu(desk.domain, "query-named-block-nodes", flat=True) if _file_of(node["file"]) in overlays]
    for node in sorted(nodes, key=lambda node: bool(node["drv"] == "file")):  # the image before the file that it is in
        ask_qemu(desk.domain, "blockdev-del", **{"node-name": node["node-name"]})


def _file_of(name: str) -> str:
    """The path in what QEMU calls the file of a node: the path itself, or all options of the node as JSON."""
    if not name.startswith("json:"):
        return name
    options = json.loads(name.partition(":")[2])
    while isinstance(options.get("file"), dict):
        options = options["file"]
    return str(options.get("filename", ""))


def _adopt(desk: Desk, work: Args, used: set[str]) -> None:
    """libvirtd died between QEMU's switch and its own note of it: the guest writes to the overlays, so they are the disks now."""
    if used != {path for _base, _kind, path in work["disks"].values()}:
        raise BackendFailed(
            f"QEMU uses some of the new images only: {', '.join(sorted(used))}",
            "half_switched",
            "shut the VM down before anything else, and look at its disks",
        )
    doc = desk.document()
    nodes = edit.disk_nodes(doc.documentElement)
    for target, (_base, _kind, path) in work["disks"].items():
        edit.point(nodes[target], Source(path, OVERLAY_FORMAT))
    desk.conn.defineXML(text_of(doc))
    note_taken(desk, work)
