# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of a preview: loaded once, then libvirt keeps it as the domain's own saved state, which the next start resumes."""

from __future__ import annotations

from ..._engine.errors import Interrupted
from . import dom, edit, xml
from .desk import Args, Desk
from .raw import Raw
from .sdk import ask_qemu, libvirt


def restore(desk: Desk, args: Args) -> None:
    raw = desk.raw()
    work = dict(raw.record.work or {})
    if work.get("memory") != "pending":
        return
    if not raw.saved:
        if raw.live is None or _gave_up_half_saved(desk):
            _load(desk, raw, work["shows"]["config"])
        elif desk.domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
            raise Interrupted(f"VM {desk.name} was started before its memory was restored", "vm_running", "shut it down, then run again")
        desk.domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
    desk.note(raw, {**work, "memory": "saved"})


def _gave_up_half_saved(desk: Desk) -> bool:
    """Power the VM off if libvirtd died while it saved this memory: QEMU will not save it twice. The guest has not run since it was loaded."""
    if desk.domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
        return False
    if ask_qemu(desk.domain, "query-status")["status"] != "postmigrate":
        return False
    desk.domain.destroy()
    return True


def _load(desk: Desk, raw: Raw, snapshot: str) -> None:
    path = xml.memory_of(raw.snapshots[snapshot])
    doc = dom.document(desk.conn.saveImageGetXMLDesc(path, 0))
    nodes = edit.disk_nodes(doc.documentElement)
    for target, source in xml.sources(raw.domain).items():
        if target in nodes:
            edit.point(nodes[target], source)
    desk.conn.restoreFlags(path, dom.text_of(doc), libvirt.VIR_DOMAIN_SAVE_PAUSED)
