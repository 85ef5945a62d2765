# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each button of AWX is pressed, once as a dry run and once for real, and the workflow is gone through: by ansible-runner, with what AWX gives to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.roles import awx
from tests.roles.awx import Awx, Job
from tests.roles.stand import Stand
from tests.tools.stage import CHECKOUT

# ansible-runner starts each job on a terminal of its own; beside it only xdist has threads, which wait.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

CASES = yaml.safe_load(Path(__file__).with_name("buttons.yml").read_text())
VM = "app01"
SECRET = "what nobody may see"
INVENTORY = {"diskwise_profiles": {"database": {"disks": ["data"]}}, "diskwise_rules": [{"match": "nightly-*", "last": 1}]}
LOOK = {"name": "Look at the VM", "diskwise.vm.snapshot_info": {"vm": VM}, "register": "found"}


@pytest.fixture
def app(stand: Stand) -> Stand:
    stand.make(VM, os="old", data="monday")
    return stand


@pytest.fixture
def there(app: Stand) -> Awx:
    """AWX, with a credential for the hypervisor, and a project with files of tasks beside the playbooks."""
    access = app.ground.access
    if "uri" in access:
        injectors: awx.Injectors = awx.task("Make the type of a credential for libvirt")["injectors"]
        inputs = {"uri": access["uri"], "ssh_key": SECRET}
    else:
        auth = access["auth"]
        injectors, inputs = awx.OVIRT, {"host": auth["url"], "username": auth["username"], "password": auth["password"], "ca_file": auth["ca_file"]}
    found = Awx(app.folder / "awx", injectors, inputs, INVENTORY)
    held = {
        "name": "Find the point",
        "ansible.builtin.assert": {"that": "found.vm.snapshots | map(attribute='name') == ['pre-backup']"},
        "when": "not ansible_check_mode",
    }
    files = {"upgrade": [app.change(VM, os="new", data="tuesday")], "checks": [LOOK], "backup": [LOOK, held]}
    for name, tasks in files.items():
        (found.project() / "playbooks" / f"{name}.yml").write_text(json.dumps(tasks))
    return found


def state(app: Stand) -> dict[str, Any]:
    view = app.view(VM)
    snapshots = {snapshot["name"]: sorted(snapshot["disks"]) for snapshot in view["snapshots"]}
    return {"snapshots": snapshots, "words": app.words(VM), "shows": app.shows(VM), "memory": app.memory(VM), "power": view["power"]}


def prepare(app: Stand, before: list[dict[str, Any]]) -> None:
    for step in before:
        ((what, how),) = step.items()
        if what == "write":
            app.write(VM, **how)
        elif what == "memory":
            app.memory(VM, how)
        else:
            app.module(what, vm=VM, **how)


def is_discreet(job: Job, there: Awx) -> bool:
    secret = there.inputs.get("password", SECRET)
    return secret not in job.said and secret not in job.kept


def lines(said: str) -> str:
    """Without what fills a line up, and without the tasks that only look at what was asked for."""
    tasks = re.split(r"\n\n(?=TASK|PLAY)", "\n" + re.sub(r"[ *]+$", "", said, flags=re.MULTILINE).strip())
    return "\n\n".join(task.strip() for task in tasks if not task.startswith("TASK [Make sure"))


def shown(page: str) -> str:
    """The output of a job in it."""
    (found,) = re.findall(r"^```text\n(PLAY .*?)\n```$", (CHECKOUT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    return str(found)


def press(case: Mapping[str, Any], app: Stand, there: Awx) -> None:
    prepare(app, case.get("before", []))
    before = state(app)
    answers = {"diskwise_vm": f"{VM}\n", **case["answers"]}
    will_change = case.get("changed", bool(case["after"]))

    dry = there.launch(case["button"], answers, check=True)
    assert dry.status == "successful", dry.said
    assert state(app) == before, "a dry run changes nothing"
    assert dry.changed is will_change, dry.said
    assert case.get("dry", "") in dry.said
    if "page" in case and "uri" in there.inputs:
        assert shown(case["page"]) in lines(dry.said), dry.said

    job = there.launch(case["button"], answers)
    assert job.status == "successful", job.said
    assert state(app) == {**before, **case["after"]}, job.said
    assert job.changed is will_change, job.said
    assert case.get("says", "") in job.said
    for each in (dry, job):
        assert is_discreet(each, there)
        assert each.artifacts == {}, "nothing is handed on unasked"


def test_every_button_has_a_case() -> None:
    assert [case["button"] for case in CASES] == [button["name"] for button in awx.buttons()]


@pytest.mark.parametrize("case", [case for case in CASES if "engine" in case], ids=lambda case: case["button"])
def test_a_button(case: dict[str, Any], app: Stand, there: Awx) -> None:
    press(case, app, there)


@pytest.mark.once
@pytest.mark.parametrize("case", [case for case in CASES if "engine" not in case], ids=lambda case: case["button"])
def test_a_button_on_libvirt(case: dict[str, Any], app: Stand, there: Awx) -> None:
    press(case, app, there)


# The workflow ----------------------------------------------------------------------------------------------------------------------


def change(app: Stand, there: Awx, good: bool) -> None:
    """The job template that changes the VM. It finds what the workflow was asked, and hands something on."""
    asked = {"name": "See what was asked", "ansible.builtin.assert": {"that": f"diskwise_vm | trim == '{VM}' and diskwise_snapshot == 'CHG-1'"}}
    hand_on = {"name": "Hand on", "ansible.builtin.set_stats": {"data": {"diskwise_request_id": "CHG-1"}, "per_host": False}}
    ends = {"name": "See that it is good", "ansible.builtin.assert": {"that": good}}
    tasks = [asked, app.change(VM, os="new", data="tuesday"), hand_on, ends]
    play = [{"name": "Patch the guests", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    (there.project() / "playbooks" / "change.yml").write_text(json.dumps(play))


@pytest.mark.once
def test_a_good_upgrade_is_kept(app: Stand, there: Awx) -> None:
    change(app, there, good=True)
    went = there.guard({"diskwise_vm": f"{VM}\n", "diskwise_snapshot": "CHG-1"})
    assert went == [(name, "successful") for name in ("open", "change", "approve", "accept")]
    assert app.words(VM) == {"os": "new", "data": "tuesday"}
    assert app.snapshots(VM) == ["CHG-1"]


@pytest.mark.once
def test_a_change_that_fails_is_rolled_back(app: Stand, there: Awx) -> None:
    change(app, there, good=False)
    went = there.guard({"diskwise_vm": f"{VM}\n", "diskwise_snapshot": "CHG-1"})
    assert went == [("open", "successful"), ("change", "failed"), ("rollback", "successful")]
    assert app.words(VM) == {"os": "old", "data": "tuesday"}
    assert list(app.view(VM)["requests"]) == ["CHG-1"], "what the change handed on came to the rollback"


@pytest.mark.once
def test_what_is_not_approved_is_rolled_back(app: Stand, there: Awx) -> None:
    change(app, there, good=True)
    went = there.guard({"diskwise_vm": f"{VM}\n", "diskwise_snapshot": "CHG-1"}, approve=False)
    assert went == [("open", "successful"), ("change", "successful"), ("approve", "failed"), ("rollback", "successful")]
    assert app.words(VM) == {"os": "old", "data": "tuesday"}


# What goes wrong -------------------------------------------------------------------------------------------------------------------


def test_a_job_that_fails_says_why_and_no_secret(app: Stand, there: Awx) -> None:
    """Also with all that can be shown of a job."""
    wrong = {"uri": "qemu+unix:///session?socket=/nowhere"} if "uri" in there.inputs else {"username": "nobody@internal"}
    job = replace(there, inputs={**there.inputs, **wrong}).launch("show", {"diskwise_vm": VM}, verbosity=3)
    assert job.status == "failed"
    (result,) = job.results("snapshot_info")
    assert result["reason"] == ("cannot_connect" if "uri" in there.inputs else "login_failed"), result
    assert is_discreet(job, there)


@pytest.mark.once
def test_a_form_refuses_what_awx_refuses() -> None:
    survey = awx.button("preview_undo")["survey"]
    for answers in ({}, {"diskwise_vm": VM, "diskwise_uri": "x"}, {"diskwise_vm": VM, "diskwise_if_running": "maybe"}):
        with pytest.raises(ValueError, match=r"answered|asked|choice"):
            awx.answered(survey, answers)
