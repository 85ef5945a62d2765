# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finishing or taking back what the record says an interrupted run was doing; settled.py shows what it leads to."""

from __future__ import annotations

from typing import Any

from . import xml
from .desk import Args, Desk
from .faults import saying
from .raw import Raw
from .record import NAMESPACE, PREFIX
from .sdk import libvirt
from .settled import switched
from .tail import clear, delete, drop


def settle(desk: Desk, args: Args) -> None:
    _wait_for_calls(desk)
    raw = desk.raw()
    work = raw.record.work
    if work is None:
        return
    phase = raw.record.phase
    if phase == "open":
        from .memory import restore  # as in apply.py: each task gets what it needs

        restore(desk, {})
    elif phase == "creating":
        _create(desk, raw, work)
        clear(desk, {})
    elif phase == "entering":
        for _base, _kind, path in work["overlays"].values():
            desk.storage.delete(path)
        desk.note(raw, None)
    else:
        if phase == "removing":
            _remove(desk, work)
        _run_tail(desk)


def _wait_for_calls(desk: Desk) -> None:
    """Wait until libvirtd has done what a dead client asked for: it goes on with that. A change that changes nothing has its turn after it."""
    with saying(f"waiting for what is done to VM {desk.name}"):
        desk.domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, PREFIX, f"{NAMESPACE}:none", libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def _create(desk: Desk, raw: Raw, work: Args) -> None:
    """Note the snapshot if its disks are switched, else take everything back."""
    if work["snapshot"].get("quiesced") and raw.live is not None and xml.agent_connected(raw.live):
        from . import agent

        agent.thaw(desk.domain)
        agent.unlimited(desk.domain)
    if work["snapshot"]["name"] in raw.snapshots:
        return
    from . import snapshot, takeback

    if switched(work, raw.domain):
        snapshot.note_taken(desk, work)
    else:
        takeback.take_back(desk, work)


def _remove(desk: Desk, work: Args) -> None:
    from . import remove

    remove.merge_images(desk, work)
    remove.settle(desk, _removal(desk, work))


def _removal(desk: Desk, work: Args) -> Args:
    """What the snapshots and files of an interrupted removal must become: worked out again from what is there."""
    raw = desk.raw()
    moved = {above: below for below, above in work["merges"].values()}
    snapshots: dict[str, Any] = {}
    for name, element in raw.snapshots.items():
        images: dict[str, str | None] = {t: moved[s.path] for t, s in xml.held_images(element).items() if s.path in moved}
        if name == work["snapshot"]["name"]:
            images = {} if work["whole"] else dict.fromkeys(work["disks"])
        if images:
            snapshots[name] = {"images": images}
    dropped = [work["snapshot"]["name"]] if work["whole"] else []
    return {"snapshots": snapshots, "drop": dropped, "delete": sorted(moved)}


def _run_tail(desk: Desk) -> None:
    from .redefine import current, redefine

    raw = desk.raw()
    work = raw.record.work or {}
    for name in work["snapshots"]:
        if name in raw.snapshots:
            redefine(desk, {"snapshot": name})
    for name in work["drop"]:
        drop(desk, {"snapshot": name})
    config = work["done"][1]["config"] if work["verb"] == "commit" else None
    if config in raw.snapshots:
        current(desk, {"snapshot": config})
    desk.held = None
    for path in work["delete"]:
        delete(desk, {"path": path})
    clear(desk, {})
