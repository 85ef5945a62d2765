# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs as tests write them, and the one way in which tests carry them out.

Whatever a test is about, each verb in it is also run in check mode before (which may only read, and must foresee the plan and the result)
and once more afterwards over a new connection (which must find nothing to do).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine import create as creating
from ansible_collections.diskwise.vm.plugins.module_utils._engine import preview as previewing
from ansible_collections.diskwise.vm.plugins.module_utils._engine import remove as removing
from ansible_collections.diskwise.vm.plugins.module_utils._engine import render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.compose import Wish
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide, Outcome, converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.machine import Machine

EXCLUDED = "-"
"""In ``disks`` of a composition: leave the disk out of the VM."""

Disks = Mapping[str, str]
"""Disk -> the snapshot it shall be taken from, or EXCLUDED."""


@dataclass(frozen=True)
class Verb:
    """A request, ready to be decided."""

    name: str
    decide: Decide


def create(name: str, **options: Any) -> Verb:
    request = creating.Request(name, **options)
    return Verb("create", lambda vm: creating.decide(vm, request))


def preview(snapshot: str | None = None, *, if_running: str = "fail", if_previewing: str = "fail", **options: Any) -> Verb:
    request = previewing.PreviewRequest(composition(snapshot, **options), if_running, if_previewing)
    return Verb("preview", lambda vm: previewing.decide_preview(vm, request))


def restore(
    snapshot: str | None = None,
    *,
    if_running: str = "fail",
    if_previewing: str = "fail",
    allow_disk_removal: bool = False,
    request_id: str = "",
    **options: Any,
) -> Verb:
    request = previewing.RestoreRequest(composition(snapshot, **options), if_running, if_previewing, allow_disk_removal, request_id)
    return Verb("restore", lambda vm: previewing.decide_restore(vm, request))


def commit(wish: Wish | None = None, **options: Any) -> Verb:
    request = previewing.LeaveRequest(True, wish, **options)
    return Verb("commit", lambda vm: previewing.decide_leave(vm, request))


def undo(wish: Wish | None = None, **options: Any) -> Verb:
    request = previewing.LeaveRequest(False, wish, **options)
    return Verb("undo", lambda vm: previewing.decide_leave(vm, request))


def remove(snapshot: str, disks: Sequence[Any] | None = None) -> Verb:
    request = removing.Request(snapshot, disks)
    return Verb("remove", lambda vm: removing.decide(vm, request))


def composition(snapshot: str | None = None, *, disks: Disks | None = None, **options: Any) -> Wish:
    """What a preview shall show; also the guard of commit and undo."""
    choices = [{"disk": disk, "exclude": True} if source == EXCLUDED else {"disk": disk, "snapshot": source} for disk, source in (disks or {}).items()]
    return Wish(snapshot, disks=choices, **options)


def run(machine: Machine, verb: Verb, changed: bool = True, foreseen: bool = True) -> Outcome:
    """Foresee it, do it, and find nothing to do then: each over a connection of its own, like three control nodes.

    Without ``foreseen``, for what check mode cannot know, it may differ from what is done.
    """
    expected = check(machine, verb)
    done = converge(machine.connect(), verb.decide, False)
    assert done.changed is changed
    if foreseen:
        _compare(expected, done)
    again = converge(machine.connect(), verb.decide, False)
    assert not again.changed, [step.says for step in again.steps]
    assert not again.after.unfinished
    return done


def _compare(foreseen: Outcome, done: Outcome) -> None:
    assert foreseen.changed is done.changed
    assert [step.as_dict() for step in foreseen.steps] == [step.as_dict() for step in done.steps]
    assert render.view(foreseen.before) == render.view(done.before)
    assert render.view(foreseen.after) == render.view(done.after)
    losses = [render.loss_view(outcome.decision.loss) for outcome in (foreseen, done)]
    if losses[0]["bytes"] is None:  # sizes in a folder that is no storage pool: only known once the folder was opened as one
        losses[1]["bytes"] = None
    assert losses[0] == losses[1]
    assert foreseen.decision.warnings == done.decision.warnings


def check(machine: Machine, verb: Verb) -> Outcome:
    """Check mode, in which nothing may be called that does more than read."""
    with machine.only_reads():
        return converge(machine.connect(), verb.decide, True)


def refused(machine: Machine, verb: Verb, reason: str) -> VmError:
    """It is refused for this reason, says what to do, and changes nothing; check mode says the same."""
    before, files, power = machine.state(), machine.files(), machine.view()["power"]
    errors = []
    for checking in (True, False):
        with pytest.raises(VmError) as raised:
            converge(machine.connect(), verb.decide, checking)
        errors.append(raised.value)
    foreseen, error = errors
    assert error.reason == reason, f"{error.reason}: {error.message}"
    assert error.hint
    assert (foreseen.reason, foreseen.message) == (error.reason, error.message)
    assert (error.done, error.left) == ((), ())
    assert machine.state() == before
    assert machine.files() == files
    assert machine.view()["power"] == power
    return error


def failed(machine: Machine, verb: Verb, reason: str) -> VmError:
    """It fails for this reason, perhaps in the middle."""
    with pytest.raises(VmError) as raised:
        converge(machine.connect(), verb.decide, False)
    assert raised.value.reason == reason, f"{raised.value.reason}: {raised.value.message}"
    assert raised.value.hint
    return raised.value


def shown_by(machine: Machine, snapshot: str) -> dict[str, Any]:
    """What is in the disks that the snapshot holds, seen through a preview, which is undone. The machine must be down."""
    disks = machine.snapshots()[snapshot]
    run(machine, preview(config="current", disks=dict.fromkeys(disks, snapshot)))
    found = {disk: content for disk, content in machine.contents().items() if disk in disks}
    run(machine, undo())
    return found
