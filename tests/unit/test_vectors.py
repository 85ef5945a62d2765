# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vectors that the composer page must answer as the engine does; the page's side of it is tests/ui/test_rules.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine import render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Composition
from ansible_collections.diskwise.vm.plugins.module_utils._report import read, report
from tests.unit import notation
from tests.vectors import engine

VECTORS = engine.vectors()
# What the page's rules can refuse; each has a vector.
REASONS = {
    *("ambiguous_snapshot", "bad_character", "bad_name", "checkpoints", "disk_not_in_snapshot", "disk_removal", "fixed_disk", "image_in_use", "in_preview"),
    *("memory_needs_running", "memory_other_disks", "memory_with_exclude", "memory_without_config", "missing_image", "no_config", "no_memory", "no_preview"),
    *("nothing_to_preview", "partial_memory", "quiesce_impossible", "quiesce_with_memory", "reserved_name", "snapshot_differs", "target_taken"),
    *("unusable_snapshot", "vm_running", "vm_suspended"),
}


def title(vector: Mapping[str, Any]) -> str:
    return f"{vector['file']}: {vector['title']}"


@pytest.mark.parametrize("vector", VECTORS, ids=title)
def test_the_engine_says_what_the_vector_says(vector: Mapping[str, Any]) -> None:
    vm = engine.vm_of(vector)
    assert engine.says(vm, vector["verb"], vector["options"]) == vector["says"]


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "shows" in vector and "refused" not in vector["says"]], ids=title)
def test_the_options_mean_the_composition(vector: Mapping[str, Any]) -> None:
    decision = engine.decide_of(vector["verb"], vector["options"])(engine.vm_of(vector))
    assert decision.shows == Composition.from_dict(vector["shows"])


def test_there_are_enough_vectors_and_each_reason_has_one() -> None:
    assert len(VECTORS) >= 60
    assert len({title(vector) for vector in VECTORS}) == len(VECTORS)
    assert REASONS - {vector["says"].get("refused") for vector in VECTORS} == set()


@pytest.mark.parametrize("vm", [*notation.LIBRARY])
def test_a_report_turns_back_into_the_same_vm(vm: str) -> None:
    before = notation.vm_of(vm)
    found = report(before)
    assert read(json.loads(json.dumps(found))) == before
    assert found["fingerprint"] == render.fingerprint(before)


@pytest.mark.parametrize("damaged", [None, {}, {"schema": "report/0"}, {"schema": "report/1"}, {"schema": "report/1", "known_disks": [{}], "images": []}])
def test_what_is_no_report_is_refused(damaged: Any) -> None:
    with pytest.raises(ValueError, match="report"):
        read(damaged)
