# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the session, carried out: in every state every verb does what the table says and leads where the diagram says."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine import create, preview, remove, session
from ansible_collections.diskwise.vm.plugins.module_utils._engine.changes import Stop
from ansible_collections.diskwise.vm.plugins.module_utils._engine.compose import Wish
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide, converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import Refused
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Composition, Vm
from tests.contract.fake import FakeBackend, new_store

WISH = Wish(disks=({"disk": "disk0", "snapshot": "s1"},))
OTHER = Wish(disks=({"disk": "disk1", "snapshot": "s1"},))

DECIDES: dict[str, Callable[[Wish, str], Decide]] = {
    "create": lambda wish, undo: lambda vm: create.decide(vm, create.Request("new")),
    "preview": lambda wish, undo: lambda vm: preview.decide_preview(vm, preview.PreviewRequest(wish, if_previewing=undo)),
    "commit": lambda wish, undo: lambda vm: preview.decide_leave(vm, preview.LeaveRequest(True, wish)),
    "undo": lambda wish, undo: lambda vm: preview.decide_leave(vm, preview.LeaveRequest(False, wish)),
    "restore": lambda wish, undo: lambda vm: preview.decide_restore(vm, preview.RestoreRequest(wish, if_previewing=undo)),
    "remove": lambda wish, undo: lambda vm: remove.decide(vm, remove.Request("spare")),
}
ROWS = [(verb, state) for verb, row in session.TABLE.items() for state in row]


def run(backend: FakeBackend, verb: str, wish: Wish = WISH, if_previewing: str = "fail") -> bool:
    return converge(backend, DECIDES[verb](wish, if_previewing), check=False).changed


def in_state(state: str) -> FakeBackend:
    """A VM that is in that state, seen from WISH."""
    backend = FakeBackend(new_store())
    for name, disks in (("s1", None), ("spare", [])):
        request = create.Request(name, disks=disks)
        converge(backend, lambda vm, request=request: create.decide(vm, request), check=False)  # type: ignore[misc]
    if state == "committed":
        run(backend, "restore")
    elif state != "closed":
        run(backend, "preview", WISH if state == "shown" else OTHER)
    assert seen(backend) == state
    return backend


def seen(backend: FakeBackend) -> str:
    vm = backend.read()
    return session.state(vm, Composition(disks={"d0": vm.snapshots[0].id}))


def arrows() -> dict[tuple[str, str], str]:
    """(verb, state) -> the state afterwards, as the diagram has it."""
    found = {}
    for line in session.diagram().splitlines():
        match = re.fullmatch(r"    (\w+) --> (\w+): (.+)", line)
        for verb in match[3].split(", ") if match else ():
            found[verb.split()[0], match[1]] = match[2]
    return found


@pytest.mark.parametrize(("verb", "state"), ROWS)
def test_a_verb_does_what_the_table_says(verb: str, state: str) -> None:
    backend = in_state(state)
    says = session.TABLE[verb][state]
    if says == "refuse":
        with pytest.raises(Refused) as raised:
            run(backend, verb, if_previewing="undo")
        assert raised.value.reason == ("other_preview" if verb in ("commit", "undo") else "in_preview")
        assert seen(backend) == state
    else:
        assert run(backend, verb, if_previewing="undo") is (says != "keep")
        assert seen(backend) == arrows().get((verb, state), state)


@pytest.mark.parametrize("verb", ["preview", "restore"])
def test_an_open_preview_is_only_undone_if_that_is_allowed(verb: str) -> None:
    backend = in_state("other")
    with pytest.raises(Refused) as raised:
        run(backend, verb)
    assert raised.value.reason == "in_preview"
    assert "if_previewing" in raised.value.hint
    assert seen(backend) == "other"


def test_the_diagram_shows_every_move_and_nothing_else() -> None:
    moves = {(verb, state) for verb, state in ROWS if session.TABLE[verb][state] not in ("keep", "refuse")}
    assert set(arrows()) == moves
    assert session.diagram().startswith("stateDiagram-v2\n    [*] --> closed\n")


def test_every_row_names_every_state() -> None:
    for row in session.TABLE.values():
        assert list(row) == list(session.STATES)


@pytest.mark.parametrize("verb", list(session.NEEDS_DOWN))
@pytest.mark.parametrize("power", ["down", "suspended", "paused", "up"])
def test_power_states(verb: str, power: str) -> None:
    vm = Vm("id", "vm1", power=power)
    if power in session.NEEDS_DOWN[verb]:
        assert session.stops(vm, verb, "fail") == ()
        assert session.stops(vm, verb, "poweroff") == ()
        return
    with pytest.raises(Refused) as raised:
        session.stops(vm, verb, "fail")
    assert raised.value.reason == ("vm_suspended" if power == "suspended" else "vm_running")
    if power == "suspended":
        with pytest.raises(Refused):
            session.stops(vm, verb, "poweroff")
    else:
        assert session.stops(vm, verb, "poweroff") == (Stop("poweroff"),)
