# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""read, decide, plan, apply, read: the one runner of every verb."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Callable

from .changes import Change, Decision, Enter, Leave, Settle, Stop
from .errors import BackendFailed, Busy, CalledOff, Interrupted, Refused, VmError
from .model import Step, Vm
from .port import Backend, Meeting
from .render import differences, view
from .render import fingerprint as fingerprint_of

Decide = Callable[[Vm], Decision]


@dataclass(frozen=True)
class Outcome:
    """``after`` is what was read back; in check mode, what is foreseen."""

    before: Vm
    after: Vm
    steps: tuple[Step, ...]
    decision: Decision

    @property
    def changed(self) -> bool:
        return bool(self.steps)


def converge(backend: Backend, decide: Decide, check: bool, fingerprint: str = "", meeting: Meeting | None = None) -> Outcome:
    """Bring the VM to where the decision leads. Check mode stops before the first effect and foresees the rest.

    With a ``fingerprint``, only from the state that it is of; with a ``meeting``, together with the other VMs there. Raises VmError; once
    effects began it carries what was done, what is left, and the state that was found.
    """
    before, decision = _decide(backend, backend.read(), decide)
    if not decision.changes:
        if not check and any(problem.code == "stale_lock" for problem in before.problems):
            with suppress(Busy), backend.hold():
                pass  # to take the lock over and to give it back clears up what the dead one left
        return Outcome(before, before, (), decision)
    _demand(before, fingerprint)
    if check:
        foreseen = _foresee(backend, before, decision)
        with _moment(meeting, foreseen.steps):  # it fails where the real run would
            return foreseen
    with backend.hold() as waited:
        if waited:  # what was decided without the lock may be out of date
            before, decision = _decide(backend, backend.read(), decide)
            _demand(before, fingerprint)
        return _carry_out(backend, before, decision, decide, meeting)


def _demand(vm: Vm, fingerprint: str) -> None:
    if fingerprint and fingerprint != fingerprint_of(vm):
        error = Refused(
            f"VM {vm.name} has changed since this was decided: its fingerprint is {fingerprint_of(vm)}, not {fingerprint}",
            "fingerprint_differs",
            "look at the VM again and decide anew; state_after shows how it is now",
        )
        error.state_after = view(vm)
        raise error


def _decide(backend: Backend, vm: Vm, decide: Decide) -> tuple[Vm, Decision]:
    decision = decide(vm)
    while not vm.complete:
        vm = backend.look(vm, decision)
        decision = decide(vm)
    decision = replace(decision, warnings=decision.warnings + vm.notes)
    # An undo is never blocked: it brings back a state that was there before.
    wanted = [change for change in decision.changes if not isinstance(change, Stop) and change != Leave(False)]
    blocking = [problem for problem in vm.problems if problem.blocks]
    if blocking and wanted:
        raise Refused(f"VM {vm.name}: {blocking[0].says}", blocking[0].code, blocking[0].hint)
    if vm.unfinished:
        said = f"finished what an interrupted run left: {vm.unfinished}"
        decision = replace(decision, changes=(Settle(), *decision.changes), warnings=(*decision.warnings, said))
    return vm, decision


def _foresee(backend: Backend, before: Vm, decision: Decision) -> Outcome:
    vm = before
    steps: tuple[Step, ...] = ()
    for change in decision.changes:
        steps += backend.plan(vm, change)
        vm = change.expected(vm, backend.images(vm, change))
    return Outcome(before, vm, steps, decision)


def _carry_out(backend: Backend, before: Vm, decision: Decision, decide: Decide, meeting: Meeting | None) -> Outcome:
    vm = before
    steps: tuple[Step, ...] = ()
    for number, change in enumerate(decision.changes):
        expected = change.expected(vm, backend.images(vm, change))
        planned = backend.plan(vm, change)
        try:
            _apply(backend, steps, planned, meeting)
        except VmError as error:
            error.left += _foresee(backend, expected, replace(decision, changes=decision.changes[number + 1 :])).steps
            raise
        steps += planned
        vm = _read_back(backend, steps)
        wrong = differences(expected, vm)
        if wrong and isinstance(change, Settle):
            return _decide_anew(backend, Outcome(before, vm, steps, decision), decide, meeting)
        if isinstance(change, Stop) and vm.power != "down":
            wrong.append(f"power: expected down, found {vm.power}")
        if wrong:
            raise _not_as_planned(backend, vm, change, steps, wrong)
    return Outcome(before, vm, steps, decision)


def _decide_anew(backend: Backend, settled: Outcome, decide: Decide, meeting: Meeting | None) -> Outcome:
    """Go on from where interrupted work led, which was not where it seemed to lead: only the hypervisor knew how far it had come."""
    try:
        vm, decision = _decide(backend, settled.after, decide)
        found = _carry_out(backend, vm, decision, decide, meeting)
    except VmError as error:
        error.done = settled.steps + error.done
        error.state_after = error.state_after or view(settled.after)
        raise
    return Outcome(settled.before, found.after, settled.steps + found.steps, replace(decision, warnings=(*decision.warnings, settled.decision.warnings[-1])))


def _apply(backend: Backend, before: tuple[Step, ...], planned: tuple[Step, ...], meeting: Meeting | None = None) -> None:
    for number, step in enumerate(planned):
        try:
            with _moment(meeting, (step,)):
                backend.apply(step)
        except VmError as error:
            error.done, error.left = before + planned[:number], planned[number:]
            if isinstance(error, CalledOff):
                error.done += _settled(backend)
            error.state_after = _state_after(backend)
            raise


def _moment(meeting: Meeting | None, steps: tuple[Step, ...]) -> AbstractContextManager[None]:
    """Where these steps are to wait for other VMs, begins when all are there."""
    return meeting.moment() if meeting and any(step.meets for step in steps) else nullcontext()


def _settled(backend: Backend) -> tuple[Step, ...]:
    """Take back what was prepared."""
    vm = backend.read()
    steps = backend.plan(vm, Settle()) if vm.unfinished else ()
    _apply(backend, (), steps)
    return steps


def _read_back(backend: Backend, done: tuple[Step, ...]) -> Vm:
    try:
        return backend.read()
    except VmError as error:
        error.done = done
        raise


def _state_after(backend: Backend) -> dict[str, object] | None:
    """What can be seen after a failure; None when the hypervisor cannot even be read any more."""
    try:
        return view(backend.read())
    except VmError:
        return None


def _not_as_planned(backend: Backend, vm: Vm, change: Change, steps: tuple[Step, ...], wrong: list[str]) -> VmError:
    """Somebody else changed the VM in between. A preview is taken back before anybody can commit it."""
    said = "; ".join(wrong)
    error: VmError
    if isinstance(change, Enter) and vm.preview is not None:
        undo = backend.plan(vm, Leave(False))
        _apply(backend, steps, undo)
        steps += undo
        vm = _read_back(backend, steps)
        error = Interrupted(
            f"VM {vm.name} changed while the preview was opened, so the preview was undone: {said}", "changed_meanwhile", "look at the VM, then run again"
        )
    else:
        error = BackendFailed(f"VM {vm.name} is not as planned: {said}", "not_as_planned", "look at the VM, then run again")
    error.done, error.state_after = steps, view(vm)
    return error
