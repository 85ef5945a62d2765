# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to an effect: which file carries out a step, and what a failure of it means."""

from __future__ import annotations

from ..._engine.changes import remembered
from ..._engine.errors import BackendFailed
from ..._engine.model import Step
from .desk import Args, Desk, Effect
from .faults import saying
from .record import Record


def apply(desk: Desk, step: Step) -> None:
    if step.verb != "delete":
        desk.held = None
    try:
        with saying(f"VM {desk.name}: {step.says}"):
            _effect(step.verb)(desk, step.args)
    except BackendFailed as error:  # libvirt and QEMU tell a lack of space in many ways
        full = desk.storage.full_folder() if error.reason in ("backend_failed", "merge_failed") else None
        if full is None:
            raise
        raise BackendFailed(f"no space left in {full}: {error.message}", "no_space", "make room in the folder and run again") from error


def _effect(verb: str) -> Effect:
    """Imported only now: a task compiles all that it imports anew, so it gets what its own steps need."""
    if verb in ("note-create", "prepare", "snapshot"):
        from . import create

        return {"note-create": create.note, "prepare": create.prepare, "snapshot": create.take}[verb]
    if verb in ("note-preview", "overlay", "show"):
        from . import preview

        return {"note-preview": preview.note, "overlay": preview.overlay, "show": preview.show}[verb]
    if verb == "memory":
        from . import memory

        return memory.restore
    if verb in ("return", "keep"):
        from . import leave

        return {"return": leave.undo, "keep": leave.commit}[verb]
    if verb in ("note-remove", "merge", "settle-remove"):
        from . import remove

        return {"note-remove": remove.note, "merge": remove.merge_images, "settle-remove": remove.settle}[verb]
    if verb in ("redefine", "current"):
        from . import redefine

        return {"redefine": redefine.redefine, "current": redefine.current}[verb]
    if verb in ("drop", "delete", "clear"):
        from . import tail

        return {"drop": tail.drop, "delete": tail.delete, "clear": tail.clear}[verb]
    if verb == "settle":
        from . import settle

        return settle.settle
    return {"stop": stop, "remember": remember}[verb]


def stop(desk: Desk, args: Args) -> None:
    if not desk.domain.isActive():
        return
    if args["how"] == "poweroff":
        desk.domain.destroy()
        return
    desk.domain.shutdown()
    for _tick in desk.clock.ticks(f"the shutdown of VM {desk.name}"):
        if not desk.domain.isActive():
            return


def remember(desk: Desk, args: Args) -> None:
    record = desk.raw().record
    desk.write(Record(record.work, record.last, remembered(record.requests, args["request_id"], args["shows"])))
