# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to Ansible: options in, one result out, errors caught once."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NoReturn, Optional

from ansible.module_utils.basic import AnsibleModule

from ._backends.registry import connect
from ._engine import hardware, render
from ._engine.changes import Create, Decision, Enter, Leave
from ._engine.converge import Decide, Outcome, converge
from ._engine.errors import CalledOff, VmError
from ._engine.model import Vm
from ._engine.port import Backend, Hypervisor, Meeting
from ._options import Options
from ._report import report

Params = Mapping[str, Any]
Result = dict[str, Any]
Work = Callable[[Backend, Optional[Meeting]], Result]


class Module(AnsibleModule):
    """What Ansible itself refuses (a wrong type, an unknown option) gets a reason and a hint as well."""

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        super().fail_json(msg, **{"reason": "bad_option", "hint": "the documentation of the module lists its options and their types", **result})


def run(options: Options, request: Callable[[Params], Decide]) -> None:
    """A module that converges each VM to what ``request`` makes of the options."""

    def work(module: AnsibleModule) -> Work:
        decide, fingerprint = request(module.params), module.params["expect_fingerprint"] or ""
        return lambda backend, meeting: _result(converge(backend, decide, module.check_mode, fingerprint, meeting), module.params)

    _serve(options, work, lambda module, hypervisor: module.params["vm"])


def show(options: Options, more: Callable[[Vm, Params], Result]) -> None:
    """The module that only reads. ``more`` is what the options want to know besides."""

    def names(module: AnsibleModule, hypervisor: Hypervisor) -> Sequence[str]:
        return module.params["vm"] or hypervisor.owner_of(module.params["disk"])

    def work(module: AnsibleModule) -> Work:
        def look(backend: Backend, meeting: Meeting | None) -> Result:
            vm = backend.read()
            return {"changed": False, "vm": {**render.info(vm), "report": report(vm), **more(vm, module.params)}}

        return look

    _serve(options, work, names, patient=False)


def _serve(options: Options, work: Callable[[AnsibleModule], Work], names: Callable[[AnsibleModule, Hypervisor], Sequence[str]], patient: bool = True) -> None:
    module = Module(argument_spec=dict(options.spec), supports_check_mode=True, **options.rules)  # type: ignore[no-untyped-call]
    try:
        result = _all(module, work(module), names, patient)
    except VmError as error:
        result = _failure(error)
    except Exception as error:
        result = _bug(error)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def _all(module: AnsibleModule, work: Work, names: Callable[[AnsibleModule, Hypervisor], Sequence[str]], patient: bool) -> Result:
    users = module.params.get("on_conflict", "replace") == "replace"  # merging, deleting and info need it
    hypervisor = connect(module.params, users, patient)
    try:
        wanted = names(module, hypervisor)
        pairs = list(zip(wanted, hypervisor.find(wanted)))
        if module.params.get("together"):
            return _together(pairs, work, module)
        results = _one_by_one(pairs, work) if module.params.get("on_vm_error") == "stop" else _side_by_side(pairs, work, hypervisor.workers)
    finally:
        hypervisor.close()
    return _summary(results)


def _one_by_one(pairs: Sequence[tuple[str, Backend | VmError]], work: Work) -> list[Result]:
    """The first failure is the last VM that anything is done to."""
    results: list[Result] = []
    for name, found in pairs:
        if any(result.get("failed") for result in results):
            results.append({"changed": False, "name": name, "skipped": True, "reason": "not_attempted"})
        else:
            results.append(_one(name, found, work))
    return results


def _side_by_side(pairs: Sequence[tuple[str, Backend | VmError]], work: Work, workers: int) -> list[Result]:
    if min(workers, len(pairs)) <= 1:
        return [_one(name, found, work) for name, found in pairs]
    from concurrent.futures import ThreadPoolExecutor  # a task for one VM does without

    with ThreadPoolExecutor(min(workers, len(pairs))) as pool:
        return list(pool.map(lambda pair: _one(pair[0], pair[1], work), pairs))


def _together(pairs: Sequence[tuple[str, Backend | VmError]], work: Work, module: AnsibleModule) -> Result:
    from ._together import together  # it needs threads

    results, skew = together(pairs, lambda pair, meeting: _one(*pair, work, meeting), module.params["timeout"])
    return {**_summary(results), "skew": None if module.check_mode else skew}


def _one(name: str, found: Backend | VmError, work: Work, meeting: Meeting | None = None) -> Result:
    """One VM's failure is its own: the others go on."""
    if isinstance(found, VmError):
        return {"name": name, **_failure(found)}
    try:
        return {"name": name, **work(found, meeting)}
    except VmError as error:
        return {"name": name, **_failure(error)}
    except Exception as error:
        return {"name": name, "changed": False, **_bug(error)}


def _bug(error: Exception) -> Result:
    """Nothing unforeseen may reach the user as a bare traceback."""
    return {"failed": True, "msg": f"unforeseen: {error}", "reason": "bug", "hint": "please report it", "exception": traceback.format_exc()}


def _result(outcome: Outcome, params: Params) -> Result:
    decision, vm = outcome.decision, outcome.after
    result: Result = {
        "changed": outcome.changed,
        "vm": render.view(vm),
        "plan": [step.as_dict() for step in outcome.steps],
        "diff": {"before_header": vm.name, "after_header": vm.name, "before": render.view(outcome.before), "after": render.view(vm)},
        "loss": render.loss_view(decision.loss),
        "warnings": [*decision.warnings, *_frozen(vm, decision), *_other_nics(outcome)],
        "skipped_disks": [{"disk": disk, "why": why} for disk, why in decision.skipped],
        "left_behind": list(decision.loss.left_behind),
    }
    if params.get("snapshot"):
        result["snapshot"] = next((s for s in render.info(vm)["snapshots"] if params["snapshot"] in (s["id"], s["name"])), {"name": params["snapshot"]})
    if decision.shows:
        result["composition"] = render.row(outcome.before, decision.shows)
        result["config_changes"] = hardware.changes(outcome.before, decision.shows)
        result["matrix"] = render.matrix(outcome.before, decision.shows)
    return result


def _frozen(vm: Vm, decision: Decision) -> list[str]:
    """Whether the guest was frozen is only known afterwards: the agent may fail when it is asked."""
    wanted = {change.name for change in decision.changes if isinstance(change, Create) and change.quiesce == "preferred"}
    made = [snapshot for snapshot in vm.snapshots if snapshot.name in wanted]
    return ["the guest agent failed to freeze the guest; the snapshot is like after a power loss"] if made and made[0].quiesced is False and vm.agent else []


def _other_nics(outcome: Outcome) -> tuple[str, ...]:
    """Only known afterwards as well."""
    decision = outcome.decision
    shown = any(isinstance(change, Enter) or (isinstance(change, Leave) and change.keep) for change in decision.changes)
    return hardware.other_nics(outcome.before, outcome.after, decision.shows) if shown else ()


def _failure(error: VmError) -> Result:
    return {
        "failed": True,
        "changed": bool(error.done),
        "msg": error.message,
        "reason": error.reason,
        "hint": error.hint,
        "done": [step.as_dict() for step in error.done],
        "left": [step.as_dict() for step in error.left],
        "state_after": error.state_after,
    }


def _summary(results: list[Result]) -> Result:
    """With one VM its keys stand at the top; ``results`` holds one dict per VM in any case."""
    failed = sorted((result for result in results if result.get("failed")), key=lambda result: bool(result["reason"] == CalledOff.reason))
    top: Result = {"changed": any(result["changed"] for result in results)}
    if len(results) == 1:
        top.update({key: value for key, value in results[0].items() if key != "name"})
    else:
        top["diff"] = [result["diff"] for result in results if "diff" in result]
        top["warnings"] = [f"{result['name']}: {warning}" for result in results for warning in result.get("warnings", ())]
    if failed and len(results) > 1:
        top["msg"] = f"{len(failed)} of {len(results)} VMs failed: " + "; ".join(f"{result['name']}: {result['msg']}" for result in failed)
        top.update({"reason": failed[0]["reason"], "hint": failed[0]["hint"]})
    top["failed"] = bool(failed)
    top["results"] = results
    return top
