# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vectors that the engine and the composer page share, and what the engine says to one.

A vector of ``compose/*.json`` has a ``vm`` (a file of ``vms``, the report of snapshot_info; ``with`` replaces keys of it), a ``verb``, what is wanted
(``shows`` or ``snapshot``) and what is ``allowed``, as the page holds them. Then come the ``options`` that the page hands over, and what must
be said to them: the reason for which they are ``refused``; else whether something ``changes``, the ``warnings``, and the ``loss`` of a commit or
an undo, and what the configuration changes besides disks, where it does. The page turns the wish into exactly these options and says the
same; the module's own argument spec and the engine take them from there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.diskwise.vm.plugins.module_utils._engine import hardware, losses, preview
from ansible_collections.diskwise.vm.plugins.module_utils._engine.changes import Decision, Settle, Stop
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Vm
from ansible_collections.diskwise.vm.plugins.module_utils._options import Options
from ansible_collections.diskwise.vm.plugins.module_utils._report import read

HERE = Path(__file__).parent
LEAVING = ("commit", "undo")


def vectors() -> list[dict[str, Any]]:
    """All of them, each with its report in place of the name of the VM."""
    found = []
    for file in sorted((HERE / "compose").glob("*.json")):
        for vector in json.loads(file.read_text(encoding="utf-8")):
            found.append({**vector, "file": file.stem, "report": report_of(vector)})
    return found


def report_of(vector: Mapping[str, Any]) -> dict[str, Any]:
    report = json.loads((HERE / "vms" / f"{vector['vm']}.json").read_text(encoding="utf-8"))
    return {**report, **vector.get("with", {})}


def says(vm: Vm, verb: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the module that the options are for would say: the keys ``refused``, or ``changes``, ``warnings`` and ``loss``."""
    try:
        decision = decide_of(verb, options)(vm)
        _check_problems(vm, verb, decision)
    except VmError as error:
        return {"refused": error.reason}
    answer: dict[str, Any] = {"changes": bool(decision.changes), "warnings": list(decision.warnings)}
    if verb != "create":
        answer["loss"] = loss_of(vm, verb, decision)
    changes = hardware.changes(vm, decision.shows) if decision.shows else []
    return {**answer, "config_changes": changes} if changes else answer


def decide_of(verb: str, options: Mapping[str, Any]) -> Decide:
    """Through the module's own argument spec."""
    module = import_module(f"ansible_collections.diskwise.vm.plugins.modules.snapshot_{verb}")
    groups = [group for group in vars(module).values() if isinstance(group, Options)]
    spec = {name: option for group in groups for name, option in group.spec.items()}
    checked = ArgumentSpecValidator(spec).validate(dict(options))
    if checked.error_messages:
        raise ValueError(f"snapshot_{verb} does not take this: {'; '.join(checked.error_messages)}")
    decide: Decide = module.request(checked.validated_parameters)
    return decide


def loss_of(vm: Vm, verb: str, decision: Decision) -> dict[str, Any]:
    """With the images themselves, where the result of a module has their number."""
    shows = vm.preview.shows if verb in LEAVING and vm.preview else decision.shows
    found = losses.of_undo(vm) if verb == "undo" else losses.of_commit(vm, shows) if shows else preview.Decision().loss
    lists = ("images", "disks", "left_behind", "snapshots_removed", "without_config", "says")
    return {
        **{name: list(getattr(found, name)) for name in lists},
        "size": found.size,
        "snapshots_reduced": {name: list(disks) for name, disks in found.snapshots_reduced.items()},
        "backup_impact": found.backup_impact,
    }


def _check_problems(vm: Vm, verb: str, decision: Decision) -> None:
    """As the runner does before the first change; it keeps this to itself."""
    blocking = [problem for problem in vm.problems if problem.blocks]
    if blocking and verb != "undo" and any(not isinstance(change, (Stop, Settle)) for change in decision.changes):
        raise VmError(blocking[0].says, blocking[0].code)


def vm_of(vector: Mapping[str, Any]) -> Vm:
    return read(vector["report"])
