# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Behaviour as tables: every entry of ``cases/<verb>/*.yml`` is a test.

The request is written with the options of the verb's module, and goes through that module's own argument spec. What is run is what
check mode runs: read, decide, foresee. Warnings, skipped disks and changes that a case does not mention must not be there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.diskwise.vm.plugins.module_utils._engine import hardware, render, select, session
from ansible_collections.diskwise.vm.plugins.module_utils._engine.changes import Change, Create, Decision, Enter, Leave, Remember, Remove, Settle, Stop
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide, Outcome, converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Capabilities, Step, Vm
from tests.unit import notation
from tests.unit.notation import known

CASES = Path(__file__).parent / "cases"
ENGINE = Path(__file__).parents[2] / "plugins" / "module_utils" / "_engine"
VERBS = ("create", "preview", "commit", "undo", "restore", "remove")
ELSEWHERE = {"changed_meanwhile": "test_converge.py", "fingerprint_differs": "test_converge.py", "not_as_planned": "test_converge.py"}
"""Reasons that more than one look at a VM is needed for, and the file that has their tests."""

NEVER_OTHER = ("create", "remove")
"""Verbs that mean no composition: to them an open preview is an open preview."""


@dataclass(frozen=True)
class Case:
    verb: str
    file: str
    written: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.verb}/{self.file}: {self.written.get('title')}"


def cases(*verbs: str) -> list[Case]:
    return [
        Case(file.parent.name, file.stem, written)
        for file in sorted(CASES.glob("*/*.yml"))
        if not verbs or file.parent.name in verbs
        for written in yaml.safe_load(file.read_text(encoding="utf-8"))
    ]


class Paper:
    """A hypervisor of which only the VM is known: enough to decide and to foresee. Each change is one step."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm

    def read(self) -> Vm:
        return self.vm

    def look(self, vm: Vm, decision: Decision) -> Vm:
        return vm

    def hold(self) -> nullcontext[bool]:
        return nullcontext(True)

    def images(self, vm: Vm, change: Change) -> Mapping[str, str]:
        return {}

    def plan(self, vm: Vm, change: Change) -> tuple[Step, ...]:
        return (Step(type(change).__name__.lower(), vm.name, in_words(vm, change)),)

    def apply(self, step: Step) -> None:
        raise AssertionError("check mode has no effects")


def in_words(vm: Vm, change: Change) -> str:
    """How the case files write a change."""
    if isinstance(change, Settle):
        return "settle"
    if isinstance(change, Stop):
        return f"stop: {change.how}"
    if isinstance(change, Create):
        quiesce = "" if change.quiesce == "never" else f", quiesce {change.quiesce}"
        return f"create {change.name}: {_disk_list(vm, change.disks)}{' with memory' if change.memory else ''}{quiesce}"
    if isinstance(change, Enter):
        return "enter"
    if isinstance(change, Remember):
        return f"remember {change.request_id}"
    if isinstance(change, Leave):
        return "undo" if not change.keep else f"commit as {change.request_id}" if change.request_id else "commit"
    assert isinstance(change, Remove)
    return f"remove {'' if change.whole else 'from '}{vm.snapshot_name(change.snapshot)}: {_disk_list(vm, change.disks)}"


def _disk_list(vm: Vm, disks: tuple[str, ...]) -> str:
    return ", ".join(vm.label(disk) for disk in disks) or "no disk"


@cache
def module(verb: str) -> tuple[Any, Any]:
    """A module's options and the function that makes a request of them: what it hands to the edge when it is run."""
    found = import_module(f"ansible_collections.diskwise.vm.plugins.modules.snapshot_{verb}")
    with mock.patch.object(found, "run") as run:
        found.main()
    options, request = run.call_args.args
    return options, request


def decision_of(verb: str, options: Mapping[str, Any]) -> Decide:
    declared, request = module(verb)
    known("request", options, set(declared.spec))
    checked = ArgumentSpecValidator(declared.spec, mutually_exclusive=declared.rules.get("mutually_exclusive")).validate({"vm": ["vm"], **options})
    assert not checked.error_messages, checked.error_messages
    decide: Decide = request(checked.validated_parameters)
    return decide


def fragments(written: Any) -> list[str]:
    return [written] if isinstance(written, str) else list(written or [])


def only_what_differs(before: Any, after: Any) -> tuple[Any, Any]:
    """Two views, less what is the same in both; snapshots by name."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return before, after
    differing = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    pairs = {key: only_what_differs(before.get(key), after.get(key)) for key in differing}
    return {key: pair[0] for key, pair in pairs.items() if key in before}, {key: pair[1] for key, pair in pairs.items() if key in after}


def view(vm: Vm) -> dict[str, Any]:
    shown = render.view(vm)
    snapshots: dict[str, Any] = {}
    for snapshot in shown["snapshots"]:
        name = snapshot.pop("name")
        snapshots[f"{name} again" if name in snapshots else name] = snapshot
    return {**shown, "snapshots": snapshots}


def check_error(expected: Mapping[str, Any], error: VmError) -> None:
    known("error", expected, {"kind", "reason", "says", "hint"})
    assert error.reason == expected["reason"], f"{error.reason}: {error.message}"
    assert type(error).__name__ == expected.get("kind", "Refused")
    for fragment in fragments(expected.get("says")):
        assert fragment in error.message
    for fragment in fragments(expected.get("hint")):
        assert fragment in error.hint
    assert error.hint, "every error says what to do"
    assert (error.done, error.left) == ((), ()), "an error of a decision comes before anything happens"


def check_fragments(what: str, expected: list[str], found: list[str]) -> None:
    assert len(expected) == len(found), f"{what}: expected {expected}, found {found}"
    for fragment, text in zip(expected, found):
        assert fragment in text, what


def check_outcome(expected: Mapping[str, Any], outcome: Outcome) -> None:
    known("expect", expected, {"changed", "changes", "shows", "diff", "loss", "warnings", "skipped"})
    decision, vm = outcome.decision, outcome.before
    assert [step.says for step in outcome.steps] == expected.get("changes", []), "changes"
    assert outcome.changed is expected["changed"]
    check_fragments("warnings", fragments(expected.get("warnings")), list(decision.warnings))
    skipped = expected.get("skipped", {})
    assert [name for name, _why in decision.skipped] == list(skipped), "skipped disks"
    check_fragments("reasons of skipped disks", list(skipped.values()), [why for _name, why in decision.skipped])
    if "shows" in expected:
        assert decision.shows is not None
        assert render.row(vm, decision.shows) == {"config": "current", "memory": False, **expected["shows"]}
    if "diff" in expected:
        before, after = only_what_differs(view(outcome.before), view(outcome.after))
        assert {"before": before, "after": after} == known("diff", expected["diff"], {"before", "after"})
    loss = render.loss_view(decision.loss)
    if expected.get("loss") == "none":
        assert loss == render.loss_view(type(decision.loss)())
    elif "loss" in expected:
        known("loss", expected["loss"], set(loss))
        says = fragments(expected["loss"].get("says"))
        assert {key: loss[key] for key in expected["loss"] if key != "says"} == {key: value for key, value in expected["loss"].items() if key != "says"}
        for fragment in says:
            assert any(fragment in text for text in loss["says"]), loss["says"]


def check_state(verb: str, state: str, outcome: Outcome) -> None:
    """What the table says for the state is what the case expects."""
    action, vm = session.TABLE[verb][state], outcome.before
    done = {"keep": False, "refuse": None}.get(action, True)
    assert outcome.changed is done
    if outcome.decision.shows:
        assert session.state(vm, outcome.decision.shows) == state
    else:
        assert (vm.preview is None) == (state in ("closed", "committed"))
        assert (vm.committed is not None) == (state == "committed")


@pytest.mark.parametrize("case", cases(*VERBS), ids=str)
def test_verb(case: Case) -> None:
    written = known("case", case.written, {"title", "vm", "can", "state", "request", "expect"})
    vm = replace(notation.vm_of(written["vm"]), can=Capabilities(**written.get("can", {})))
    decide = decision_of(case.verb, written.get("request") or {})
    expected = written["expect"]
    if "error" in expected:
        known("expect", expected, {"error"})
        with pytest.raises(VmError) as raised:
            converge(Paper(vm), decide, check=True)
        check_error(expected["error"], raised.value)
        if "state" in written:
            assert session.TABLE[case.verb][written["state"]] == "refuse"
            assert raised.value.reason in ("in_preview", "other_preview")
    else:
        outcome = converge(Paper(vm), decide, check=True)
        check_outcome(expected, outcome)
        if "state" in written:
            check_state(case.verb, written["state"], outcome)


@pytest.mark.parametrize("case", cases("select"), ids=str)
def test_select(case: Case) -> None:
    written = known("case", case.written, {"title", "vm", "request", "expect"})
    vm = notation.vm_of(written["vm"])
    request = known("request", written["request"], {"disks", "disk", "snapshot"})
    expected = known("expect", written["expect"], {"disks", "explicit", "snapshot", "error"})

    def chosen() -> dict[str, Any]:
        if "snapshot" in request:
            return {"snapshot": select.snapshot(vm, request["snapshot"]).id}
        if "disk" in request:
            return {"disks": [select.one(vm.known_disks(), request["disk"], vm.name).name]}
        picked = select.several(vm.disks, request["disks"], vm.name)
        return {"disks": [disk.name for disk in picked.disks], "explicit": [disk.name for disk in picked.disks if disk.id in picked.explicit]}

    if "error" in expected:
        with pytest.raises(VmError) as raised:
            chosen()
        check_error(expected["error"], raised.value)
    else:
        found = chosen()
        assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("case", cases("info"), ids=str)
def test_info(case: Case) -> None:
    written = known("case", case.written, {"title", "vm", "shows", "expect"})
    vm = notation.vm_of(written["vm"])
    disks = {disk.name: disk for disk in vm.known_disks()}
    shows = notation.composition(written["shows"], disks, vm.snapshots) if "shows" in written else None
    info = render.info(vm)
    if shows:
        info.update(matrix=render.matrix(vm, shows), composition=render.row(vm, shows), config_changes=hardware.changes(vm, shows))
    for path, expected in written["expect"].items():
        found: Any = info
        for key in re.findall(r"[^.\[\]]+", path):
            found = found[int(key) if isinstance(found, list) else key]
        assert (found.strip("\n") if isinstance(found, str) else found) == (expected.strip("\n") if isinstance(expected, str) else expected), path


FINGERPRINTS = [
    ("web", {"like": "web", "power": "up", "name": "web", "id": "id-web"}, True),
    ("web", {"like": "web", "images": {"root.1": {"size": 99}}, "name": "web", "id": "id-web"}, True),
    ("web", {"like": "web", "preview": {"disks": {"root": "before"}}}, False),
    ("web", {"like": "web", "snapshots": [{"before": ["root", "data"]}]}, False),
    ("web", {"like": "web", "disks": ["root", "data", "new"]}, False),
    ("web", {"like": "web", "unfinished": "removing before"}, False),
]


@pytest.mark.parametrize(("one", "other", "same"), FINGERPRINTS)
def test_a_fingerprint_tells_disks_and_snapshots_apart_and_not_power_or_sizes(one: str, other: Mapping[str, Any], same: bool) -> None:
    assert (render.fingerprint(notation.vm_of(one)) == render.fingerprint(notation.vm_of(other))) is same


def test_titles_are_unique() -> None:
    titles = [str(case) for case in cases()]
    assert sorted(titles) == sorted(set(titles))


def reasons_in_source() -> Iterator[str]:
    """Every reason that the engine can give: the second argument of what it raises."""
    kinds = {"NotFound", "Ambiguous", "Refused", "Busy", "Interrupted", "BackendFailed"}
    for file in ENGINE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                reason = node.args[1]
                if isinstance(reason, ast.Constant):
                    yield str(reason.value)
                else:
                    assert ast.unparse(reason) == "blocking[0].code", f"{file.name}:{node.lineno}: a reason is a constant"


def test_every_reason_has_a_case() -> None:
    expected = {case.written["expect"]["error"]["reason"] for case in cases() if "error" in case.written["expect"]}
    for reason, file in ELSEWHERE.items():
        assert f'"{reason}"' in (Path(__file__).parent / file).read_text(encoding="utf-8")
    assert set(reasons_in_source()) - set(ELSEWHERE) - expected == set()


def test_every_row_of_the_session_table_has_a_case() -> None:
    found = {(case.verb, case.written["state"]) for case in cases(*VERBS) if "state" in case.written}
    rows = {(verb, state) for verb, row in session.TABLE.items() for state in row if state != "other" or verb not in NEVER_OTHER}
    assert rows - found == set()


def test_every_selector_key_has_a_case() -> None:
    used = set()
    for case in cases("select"):
        request = case.written["request"]
        for selector in [*request.get("disks", []), request.get("disk")]:
            used |= set(selector) if isinstance(selector, dict) else set()
    assert set(select._KEYS) - used == set()
