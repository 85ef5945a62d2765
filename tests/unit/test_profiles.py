# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles and retention as tables: ``cases/profile`` and ``cases/retain``. What a profile means in a task is in ``cases/create/profiles.yml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine import profiles, retain
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.unit import notation
from tests.unit.notation import known
from tests.unit.test_cases import Case, cases, check_error

NOW = 1_800_000_000


def by_disk(found: list[dict[str, str]]) -> dict[str, str]:
    return {entry["disk"]: entry["why"] for entry in found}


@pytest.mark.parametrize("case", cases("profile"), ids=str)
def test_overview(case: Case) -> None:
    written = known("case", case.written, {"title", "vm", "profiles", "expect"})
    vm, own, expected = notation.vm_of(written["vm"]), written.get("profiles", {}), written["expect"]
    if "error" in expected:
        with pytest.raises(VmError) as raised:
            profiles.overview(vm, own)
        check_error(expected["error"], raised.value)
        return
    found = profiles.overview(vm, own)
    assert set(found) == {*profiles.SHIPPED, *own}
    for name, entry in expected.items():
        shown: dict[str, Any] = found[name]
        refused = shown["refused"]["reason"] if shown["refused"] else None
        assert {**shown, "takes": by_disk(shown["takes"]), "leaves": by_disk(shown["leaves"]), "refused": refused} == {
            "memory": False,
            "quiesce": "preferred",
            "refused": None,
            **entry,
        }


def snapshot(name: str, age: float | None, foreign: list[str]) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "own": name not in foreign, "created": None if age is None else NOW - age * retain.DAY}


def fragments_of(verdicts: list[retain.Verdict], keep: bool) -> Mapping[str, str]:
    return {verdict.name: verdict.why for verdict in verdicts if verdict.keep is keep}


@pytest.mark.parametrize("case", cases("retain"), ids=str)
def test_retention(case: Case) -> None:
    written = known("case", case.written, {"title", "snapshots", "foreign", "in_preview", "rules", "expect"})
    expected = written["expect"]
    if "error" in expected:
        with pytest.raises(VmError) as raised:
            [retain.rule(rule) for rule in written["rules"]]
        check_error(expected["error"], raised.value)
        return
    snapshots = [snapshot(name, age, written.get("foreign", [])) for name, age in written["snapshots"].items()]
    found = retain.verdicts(snapshots, [retain.rule(rule) for rule in written["rules"]], NOW, written.get("in_preview", False))
    for keep, wanted in ((True, expected.get("stay", {})), (False, expected.get("go", {}))):
        said = fragments_of(found, keep)
        assert set(said) == set(wanted)
        assert {name: why for name, why in said.items() if wanted[name] not in why} == {}


def test_shipped_profiles_are_those_that_are_promised() -> None:
    assert set(profiles.SHIPPED) == {"config", "config_os", "data", "full", "full_memory"}
    assert all(profiles.parse(name, written).retain is None for name, written in profiles.SHIPPED.items())
