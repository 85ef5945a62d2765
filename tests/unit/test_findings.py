# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the janitor says of a VM, besides its snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine import render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.findings import findings
from tests.unit import notation

NOW = 1_800_000_000
MARK = {"name": "restore-drill", "disks": ["root"], "own": True, "description": f"drill of nightly until {NOW + 60}; the VM ran before"}
DRILL = {"disks": ["root", "data"], "preview": {"disks": {"data": "nightly", "root": "restore-drill"}}}


def said(vm: str | Mapping[str, Any], now: float = NOW) -> list[tuple[str, str]]:
    return [(problem.code, problem.says) for problem in findings(render.info(notation.vm_of(vm)), "restore-drill", now)]


@pytest.mark.parametrize(
    ("vm", "expected"),
    [
        ("web", []),
        ("shown", [("open_preview", "a preview is open of before")]),
        ({"like": "web", "preview": {"config": "before"}}, [("open_preview", "a preview is open")]),
        (
            {
                "disks": ["root"],
                "snapshots": [{"name": "a", "disks": ["root"], "unusable": "it is locked"}, {"name": "b", "disks": ["root"], "has_config": False}],
            },
            [("unusable_snapshot", "snapshot a cannot be used: it is locked"), ("no_config", "snapshot b has no usable configuration")],
        ),
        (
            {"like": "web", "problems": [{"code": "long_chain", "subject": "root", "says": "the chain is long"}]},
            [("long_chain", "the chain is long")],
        ),
        (
            {
                "like": "web",
                "snapshots": [{"name": "a", "unusable": "bad"}],
                "problems": [{"code": "unusable_snapshot", "subject": "a", "says": "a is illegal"}],
            },
            [("unusable_snapshot", "a is illegal")],
        ),
        (
            {**DRILL, "snapshots": [{"nightly": ["data"]}, MARK]},
            [("open_preview", "a preview is open of nightly: a restore drill, for 60 s more")],
        ),
        (
            {**DRILL, "snapshots": [{"nightly": ["data"]}, {**MARK, "own": False}]},
            [("open_preview", "a preview is open of nightly")],
        ),
    ],
)
def test_findings(vm: str | Mapping[str, Any], expected: list[tuple[str, str]]) -> None:
    assert said(vm) == expected


def test_a_forgotten_drill_is_called_forgotten() -> None:
    assert said({**DRILL, "snapshots": [{"nightly": ["data"]}, MARK]}, NOW + 100) == [
        ("open_preview", "a preview is open of nightly: a restore drill, and should have ended 40 s ago")
    ]
