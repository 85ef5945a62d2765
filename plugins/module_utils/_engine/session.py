# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine of a preview as a table: what each verb does in each state, and which power state it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .changes import Stop
from .errors import Refused
from .model import Composition, Vm
from .render import one_line

STATES: Mapping[str, str] = {
    "closed": "no preview is open",
    "committed": "no preview is open, and the VM still is exactly what a commit of this composition makes it",
    "shown": "a preview of this composition is open",
    "other": "a preview of another composition is open",
}

TABLE: Mapping[str, Mapping[str, str]] = {
    "create": {"closed": "create", "committed": "create", "shown": "refuse", "other": "refuse"},
    "preview": {"closed": "enter", "committed": "keep", "shown": "keep", "other": "switch"},
    "commit": {"closed": "keep", "committed": "keep", "shown": "leave", "other": "refuse"},
    "undo": {"closed": "keep", "committed": "keep", "shown": "leave", "other": "refuse"},
    "restore": {"closed": "enter", "committed": "keep", "shown": "leave", "other": "switch"},
    "remove": {"closed": "remove", "committed": "remove", "shown": "refuse", "other": "refuse"},
}
"""verb -> state -> what happens. ``keep`` changes nothing; ``switch`` undoes the open preview first, if the user allows it."""

NEEDS_DOWN: Mapping[str, tuple[str, ...]] = {
    "preview": ("down",),
    "restore": ("down",),
    "commit": ("down", "suspended"),
    "undo": ("down", "suspended"),
}
"""The power states in which a verb may work; create and remove also work on a running VM."""


def state(vm: Vm, wanted: Composition | None) -> str:
    """The row of the table; without ``wanted``, whatever is open counts as shown."""
    if vm.preview is None:
        return "committed" if wanted is not None and _is_done(vm, wanted) else "closed"
    shows = replace(vm.preview.shows, memory=wanted.memory) if wanted and vm.preview.memory_spent else vm.preview.shows
    return "shown" if wanted is None or shows == wanted else "other"


def _is_done(vm: Vm, wanted: Composition) -> bool:
    """Nothing is wanted that is not there, or it is what was committed last. A disk that the commit took off is not known by now, so it is not asked for."""
    if wanted == Composition():
        return True
    attached = {disk.id for disk in vm.disks if disk.plugged}
    done = vm.committed
    return done is not None and not attached.intersection(done.excluded) and replace(done, disks=done.sources) == wanted


def action(vm: Vm, verb: str, wanted: Composition | None, if_previewing: str = "fail") -> str:
    """What ``verb`` does now; Refused when the table says so, or when a switch is not allowed."""
    found = TABLE[verb][state(vm, wanted)]
    if found == "refuse" or (found == "switch" and if_previewing != "undo"):
        shown = one_line(vm, vm.preview.shows) if vm.preview else ""
        asked = f"; asked for: {one_line(vm, wanted)}" if wanted else ""
        if verb in ("commit", "undo"):
            raise Refused(
                f"VM {vm.name} shows another preview than the one to {verb}: {shown}{asked}", "other_preview", "leave the guard out, or name what is shown"
            )
        hint = "commit or undo it first" if found == "refuse" else "commit or undo it first, or set if_previewing: undo"
        raise Refused(f"VM {vm.name} is in a preview that shows: {shown}{asked}", "in_preview", hint)
    return found


def stops(vm: Vm, verb: str, if_running: str) -> tuple[Stop, ...]:
    """The change that brings the VM into a power state that the verb needs; empty when it is there already."""
    if vm.power in NEEDS_DOWN[verb]:
        return ()
    if vm.power == "suspended":
        raise Refused(
            f"VM {vm.name} is suspended: its saved memory belongs to the disks as they are",
            "vm_suspended",
            "start it and shut it down, or discard the saved memory, then run again",
        )
    if if_running == "fail":
        raise Refused(f"VM {vm.name} is {vm.power} and must be down to {verb}", "vm_running", "shut it down, or set if_running: shutdown or poweroff")
    return (Stop(if_running),)


_LEADS_TO: Mapping[str, Mapping[str, str]] = {
    "enter": {"preview": "shown", "restore": "committed"},
    "switch": {"preview": "shown", "restore": "committed"},
    "leave": {"commit": "committed", "undo": "closed", "restore": "committed"},
    "create": {"create": "closed"},
    "remove": {"remove": "closed"},
}
"""action -> verb -> the state afterwards; ``keep`` and ``refuse`` change nothing."""


def diagram() -> str:
    """The moves of the table as a Mermaid state diagram: made for the docs, so that they cannot differ from the code."""
    lines = ["stateDiagram-v2", "    [*] --> closed"]
    for source in STATES:
        moves: dict[str, list[str]] = {}
        for verb, row in TABLE.items():
            target = _LEADS_TO.get(row[source], {}).get(verb)
            if target:
                moves.setdefault(target, []).append(verb + (" (if_previewing: undo)" if row[source] == "switch" else ""))
        lines += [f"    {source} --> {target}: {', '.join(verbs)}" for target, verbs in moves.items()]
    return "\n".join(lines) + "\n"
