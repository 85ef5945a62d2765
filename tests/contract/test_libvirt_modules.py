# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible starts them: a process, options as JSON, one result; and a whole play by ansible-playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.docs.playing import as_play, play
from tests.tools.stage import CHECKOUT

VERBS = ("create", "info", "preview", "commit", "undo", "restore", "remove")


class Modules:
    """module("create", vm="app01", snapshot="s1") -> the result."""

    def __init__(self, uri, folder):
        self.uri = uri
        self._arguments = folder / "arguments.log"

    def __call__(self, verb, check=False, diff=False, environment=None, before="pass", **options):
        options = {"uri": self.uri, "_ansible_check_mode": check, "_ansible_diff": diff, **options}
        self._arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {key: value for key, value in options.items() if value is not None}}))
        name = f"ansible_collections.diskwise.vm.plugins.modules.snapshot_{verb}"
        script = f"import runpy, sys; {before}; sys.argv = ['module', {str(self._arguments)!r}]; runpy.run_module({name!r}, run_name='__main__')"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("LIBVIRT_", "OVIRT_"))}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**kept, "PYTHONPATH": str(CHECKOUT / ".build" / "link"), **(environment or {})},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.stdout.lstrip().startswith("{"), done.stdout + done.stderr
        assert done.stderr == ""
        result = json.loads(done.stdout)
        assert (done.returncode != 0) is bool(result.get("failed"))
        return result


@pytest.fixture
def module(daemon, folder):
    return Modules(daemon.uri, folder)


@pytest.fixture
def two(lab):
    machines = [lab("os", "data", name=name) for name in ("app01", "app02")]
    for machine in machines:
        machine.write_all(1, 10)
    return machines


def test_one_vm_has_its_keys_at_the_top(module, lab):
    machine = lab("os", "data", name="app01")
    foreseen = module("create", vm="app01", snapshot="s1", description="what for", check=True, diff=True)
    assert machine.snapshots() == {}
    result = module("create", vm=["app01"], snapshot="s1", description="what for", diff=True)
    assert result["changed"]
    for key in ("plan", "loss", "skipped_disks", "left_behind"):
        assert result[key] == foreseen[key], key
    assert result["diff"]["before"]["snapshots"] == []
    assert [snapshot["name"] for snapshot in result["diff"]["after"]["snapshots"]] == ["s1"]
    assert result["snapshot"]["images"]["os"]["size"] > 0
    assert result["snapshot"]["description"] == "what for"
    (only,) = result["results"]
    assert only.pop("name") == "app01"
    assert only.pop("warnings") == []  # at the top they are Ansible's own
    assert only == {key: result[key] for key in only}
    assert not module("create", vm="app01", snapshot="s1")["changed"]


def test_vms_that_are_taken_together(module, two):
    foreseen = module("create", vm=["app01", "app02"], snapshot="s1", together=True, check=True)
    assert foreseen["changed"]
    assert foreseen["skew"] is None
    result = module("create", vm=["app01", "app02"], snapshot="s1", together=True)
    assert result["changed"]
    assert 0 < result["skew"] < 5
    assert [machine.snapshots() for machine in two] == [{"s1": ["data", "os"]}] * 2
    again = module("create", vm=["app01", "app02"], snapshot="s1", together=True)
    assert (again["changed"], again["skew"]) == (False, None)


def test_none_is_taken_when_one_of_them_cannot(module, two):
    before = [(machine.state(), machine.files()) for machine in two]
    for check in (True, False):
        missing = module("create", vm=["app01", "app03", "app02"], snapshot="s1", together=True, check=check)
        assert missing["reason"] == "unknown_vm"
        assert [each["reason"] for each in missing["results"]] == ["called_off", "unknown_vm", "called_off"]
        assert [(machine.state(), machine.files()) for machine in two] == before
    assert "app03 failed" in missing["results"][0]["msg"]
    assert [step["verb"] for step in missing["results"][0]["left"]] == ["snapshot", "clear"]


def test_some_of_which_have_the_snapshot_already_are_not_taken_together(module, two):
    module("create", vm="app01", snapshot="s1")
    before = [(machine.state(), machine.files()) for machine in two]
    for check in (True, False):
        torn = module("create", vm=["app01", "app02"], snapshot="s1", together=True, check=check)
        assert torn["reason"] == "called_off"
        assert "app01 has the snapshot already" in torn["msg"]
        assert [(machine.state(), machine.files()) for machine in two] == before
    replacing = module("create", vm=["app01", "app02"], snapshot="s1", on_conflict="replace", together=True)
    assert replacing["reason"] == "bad_option"


def test_more_vms_than_one_connection_serves_at_a_time(module, lab):
    names = [f"app{number:02}" for number in range(12)]
    machines = [lab("os", name=name) for name in names]
    result = module("create", vm=names, snapshot="s1", together=True)
    assert [each["changed"] for each in result["results"]] == [True] * 12
    assert [list(machine.snapshots()) for machine in machines] == [["s1"]] * 12


def test_every_module_serves_several_vms_in_one_task(module, two):
    names = ["app01", "app02"]
    then = [machine.contents() for machine in two]
    result = module("create", vm=names, snapshot="s1")
    assert [(one["name"], one["changed"]) for one in result["results"]] == [("app01", True), ("app02", True)]
    assert len(result["diff"]) == 2
    for machine in two:
        machine.write_all(1, 20)
    wanted = {"disks": [{"disk": "os", "snapshot": "s1"}]}
    foreseen = module("preview", vm=names, check=True, **wanted)
    result = module("preview", vm=names, **wanted)
    for one, other in zip(foreseen["results"], result["results"]):
        assert {key: one[key] for key in ("plan", "diff", "composition", "matrix", "loss")} | {"loss": 0} == {
            key: other[key] for key in ("plan", "diff", "composition", "matrix", "loss")
        } | {"loss": 0}
    assert result["results"][0]["composition"]["disks"] == {"data": "current", "os": "s1"}
    assert module("undo", vm=names, expect_preview=True)["changed"]
    assert not module("undo", vm=names)["changed"]
    module("preview", vm=names, snapshot="s1")
    result = module("commit", vm=names, snapshot="s1")
    assert [one["loss"]["images"] for one in result["results"]] == [2, 2]
    assert [machine.contents() for machine in two] == then
    assert not module("restore", vm=names, snapshot="s1")["changed"]
    result = module("info", vm=names)
    assert [[snapshot["name"] for snapshot in one["vm"]["snapshots"]] for one in result["results"]] == [["s1"], ["s1"]]
    assert module("remove", vm=names, snapshot="s1")["changed"]
    assert not module("remove", vm=names, snapshot="s1")["changed"]
    assert [machine.snapshots() for machine in two] == [{}, {}]
    assert [machine.contents() for machine in two] == then


def test_one_bad_vm_does_not_stop_the_others(module, two):
    result = module("create", vm=["app01", "nothing", "app02"], snapshot="s1")
    assert result["failed"]
    assert [one.get("failed", False) for one in result["results"]] == [False, True, False]
    assert result["reason"] == "unknown_vm"
    assert "1 of 3 VMs failed: nothing:" in result["msg"]
    assert [list(machine.snapshots()) for machine in two] == [["s1"], ["s1"]]


def test_others_are_not_attempted_after_a_failure_if_that_is_wanted(module, two):
    result = module("create", vm=["app01", "nothing", "app02"], snapshot="s1", on_vm_error="stop")
    assert result["failed"]
    assert result["results"][2]["skipped"]
    assert [list(machine.snapshots()) for machine in two] == [["s1"], []]


def test_failure_says_reason_hint_and_what_was_done(module, lab):
    machine = lab("os", name="app01")
    result = module("preview", vm="app01", snapshot="nothing")
    assert result["failed"]
    assert not result["changed"]
    assert result["reason"] == "unknown_snapshot"
    assert "its snapshots are: none" in result["hint"]
    assert (result["done"], result["left"], result["state_after"]) == ([], [], None)
    assert machine.snapshots() == {}


@pytest.mark.parametrize("key", ["path", "serial"])
def test_info_finds_the_vm_of_a_disk(module, two, key):
    machine = two[1]
    value = {"path": str(machine.image("data")), "serial": "data"}[key]
    result = module("info", disk=value)
    names = [one["vm"]["name"] for one in result["results"]]
    assert names == (["app02"] if key == "path" else ["app01", "app02"])
    assert result["changed"] is False


def test_info_finds_the_vm_of_an_image_of_a_snapshot(module, lab):
    machine = lab("os", name="app01")
    base = str(machine.image("os"))
    module("create", vm="app01", snapshot="s1")
    assert module("info", disk=base)["vm"]["name"] == "app01"


def test_info_of_an_unknown_disk(module, two):
    result = module("info", disk="/nowhere.qcow2")
    assert (result["failed"], result["reason"]) == (True, "unknown_disk")


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("create", {"snapshot": "s1", "memory": "perhaps"}),
        ("create", {"snapshot": "s1", "quiesce": "always"}),
        ("create", {"snapshot": "s1", "on_conflict": True}),
        ("create", {}),
        ("preview", {"disks": "os"}),
        ("preview", {"disks": [{"snapshot": "s1"}]}),
        ("preview", {"disks": [{"disk": "os", "snapshoot": "s1"}]}),
        ("commit", {"snapshot": "s1", "composition": {"snapshot": "s1"}}),
        ("undo", {"if_running": "maybe"}),
        ("remove", {"snapshot": "s1", "timeout": "long"}),
        ("info", {"disk": "os"}),
        ("create", {"snapshot": "s1", "auth": {"url": "https://engine"}}),
    ],
)
def test_options_of_the_wrong_kind(module, lab, verb, options):
    machine = lab("os", name="app01")
    result = module(verb, vm="app01", **options)
    assert result["failed"]
    assert result["msg"]
    assert machine.snapshots() == {}
    assert machine.view()["preview"] is None


def test_selectors_of_the_wrong_kind(module, lab):
    lab("os", name="app01")
    for disks in ([7], [["os"]], [{"size": 1}], [None]):
        result = module("create", vm="app01", snapshot="s1", disks=disks)
        assert (result["failed"], result["reason"]) == (True, "bad_selector"), disks


def test_an_engine_that_is_not_said(module):
    result = module("info", vm="app01", uri=None, backend="ovirt")
    assert (result["failed"], result["reason"]) == (True, "bad_auth")


def test_uri_of_the_environment(module, lab):
    lab("os", name="app01")
    result = module("info", vm="app01", uri=None, environment={"LIBVIRT_DEFAULT_URI": module.uri})
    assert result["vm"]["name"] == "app01"


def test_libvirt_that_is_not_there(module):
    result = module("info", vm="app01", uri="qemu:///system?socket=/nowhere")
    assert (result["failed"], result["reason"]) == (True, "cannot_connect")
    assert result["hint"]


def test_libvirt_python_that_is_not_there(module):
    result = module("info", vm="app01", before="sys.modules['libvirt'] = None")
    assert (result["failed"], result["reason"]) == (True, "missing_library")
    assert "libvirt-python" in result["msg"]


def test_passwords_of_displays_are_in_no_result(module, lab):
    machine = lab("os", name="app01", extra_devices="<graphics type='vnc' port='-1' passwd='s3cret'/>")
    said = []
    for verb, options in (
        ("create", {"snapshot": "s1"}),
        ("preview", {"snapshot": "s1"}),
        ("info", {}),
        ("preview", {"disks": [{"disk": "os", "snapshot": "s1"}]}),
        ("undo", {}),
        ("restore", {"snapshot": "s1"}),
        ("remove", {"snapshot": "s1"}),
    ):
        said.append(module(verb, vm="app01", diff=True, **options))
    assert [result.get("failed", False) for result in said] == [False, False, False, True, False, False, False]
    assert "s3cret" not in json.dumps(said)
    assert "s3cret" in machine.config()


def test_play_with_all_modules_changes_nothing_the_second_time(daemon, folder, two):
    vms = ["app01", "app02"]

    def task(verb, **options):
        return {"name": f"Do {verb}", f"diskwise.vm.snapshot_{verb}": {"vm": vms, **options}}

    tasks = [
        task("create", snapshot="baseline", description="where every run begins"),
        task("remove", snapshot="left over"),
        task("preview", snapshot="baseline"),
        task("commit", snapshot="baseline"),
        task("undo"),
        task("restore", snapshot="baseline", request_id="run 1"),
        task("info"),
    ]
    then = [machine.contents() for machine in two]
    place = folder / "play.log"
    place.mkdir()
    checked = play(as_play(tasks[:2]), place, daemon.uri, "--check", "--diff")
    assert checked.status == 0, checked.said
    assert "baseline" in checked.said
    assert [machine.snapshots() for machine in two] == [{}, {}]
    first = play(as_play(tasks), place, daemon.uri, "--diff")
    assert first.status == 0, first.said
    assert [result["changed"] for _module, result in first.results] == [True, False, True, True, False, True, False]
    second = play(as_play(tasks), place, daemon.uri)
    assert second.status == 0, second.said
    assert "changed=0" in second.said
    assert [machine.contents() for machine in two] == then
    assert {module for module, _result in second.results} == {f"snapshot_{verb}" for verb in VERBS}
