# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody who looks after VMs should know of one: what is wrong with it, and what was left open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .model import Problem

_DRILL = re.compile(r"drill of (?P<snapshot>.*) until (?P<until>\d+)")
"""How the role restore_drill describes the snapshot that marks a drill."""


def findings(vm: Mapping[str, Any], mark: str, now: float) -> list[Problem]:
    """Of a VM as ``snapshot_info`` returns it. ``mark`` is the name of the snapshot that marks a drill."""
    found = [Problem(**entry) for entry in vm["health"]]
    known = {(problem.code, problem.subject) for problem in found}
    for snapshot in vm["snapshots"]:
        name = snapshot["name"]
        if snapshot["status"] != "ok" and ("unusable_snapshot", name) not in known:
            found.append(Problem("unusable_snapshot", name, f"snapshot {name} cannot be used: {snapshot['status']}", "remove it, if it is yours"))
        elif not snapshot["config"] and ("no_config", name) not in known:
            found.append(Problem("no_config", name, f"snapshot {name} has no usable configuration", "its disks can still be taken, with config: current"))
    if vm["preview"] is not None:
        found.append(_open(vm, mark, now))
    return found


def _open(vm: Mapping[str, Any], mark: str, now: float) -> Problem:
    sources = sorted({source for source in vm["preview"]["disks"].values() if source not in ("current", "excluded", mark)})
    says = f"a preview is open{' of ' + ', '.join(sources) if sources else ''}"
    marked = next((_DRILL.match(snapshot["description"]) for snapshot in vm["snapshots"] if snapshot["name"] == mark and snapshot["own"]), None)
    if marked is None:
        return Problem("open_preview", vm["name"], says, "commit or undo it")
    left = int(int(marked["until"]) - now)
    when = f"for {left} s more" if left >= 0 else f"and should have ended {-left} s ago"
    return Problem("open_preview", vm["name"], f"{says}: a restore drill, {when}", "the next drill ends it, and the role snapshot_janitor with end_drills")
