# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible starts them, on an engine: the same words and results as on libvirt, and no secret in any of them."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.contract.test_libvirt_modules import VERBS, Modules
from tests.docs.playing import as_play, play
from tests.tools.stage import CHECKOUT

HEADER = "s3cret header"


@pytest.fixture
def auth(engine):
    return {"url": engine.url, "username": engine.username, "password": engine.password, "ca_file": str(engine.ca), "headers": {"X-From": HEADER}}


@pytest.fixture
def module(tmp_path, auth):
    """module("create", vm="app01", snapshot="s1") -> the result."""
    modules = Modules(None, tmp_path)
    return lambda verb, **options: modules(verb, **{"auth": auth, "poll_interval": 0, **options})


@pytest.fixture
def two(center):
    return [center("os", "data", name=name) for name in ("app01", "app02")]


@pytest.fixture
def read_only(engine):
    """Asserts that nothing but reads and logins has reached the engine since."""
    engine.clear_log()

    def check():
        assert {each.path for each in engine.log() if each.method != "GET" and "/sso/" not in each.path} == set()
        assert engine.log()
        engine.clear_log()

    return check


def test_one_vm_has_its_keys_at_the_top(module, center):
    machine = center("os", "data", name="app01")
    foreseen = module("create", vm="app01", snapshot="s1", description="what for", check=True, diff=True)
    assert machine.snapshots() == {}
    result = module("create", vm=["app01"], snapshot="s1", description="what for", diff=True)
    assert result["changed"]
    for key in ("plan", "loss", "skipped_disks", "left_behind"):
        assert result[key] == foreseen[key], key
    assert result["diff"]["before"]["snapshots"] == []
    assert [snapshot["name"] for snapshot in result["diff"]["after"]["snapshots"]] == ["s1"]
    assert result["snapshot"]["description"] == "what for"
    assert set(result["snapshot"]["images"]) == {"os", "data"}
    (only,) = result["results"]
    assert only.pop("name") == "app01"
    assert only.pop("warnings") == []
    assert only == {key: result[key] for key in only}
    assert not module("create", vm="app01", snapshot="s1")["changed"]


def test_the_keys_are_those_of_libvirt(module, center):
    """The documentation of the return values is for both."""
    center("os", "data", name="app01")
    documented = {}
    for verb in VERBS:
        text = (CHECKOUT / "plugins" / "modules" / f"snapshot_{verb}.py").read_text()
        (block,) = re.findall(r'RETURN = r"""\n?(.*?)"""', text, re.DOTALL) or [""]
        documented[verb] = set(yaml.safe_load(block) or {})
    ran = {
        "create": module("create", vm="app01", snapshot="s1"),
        "preview": module("preview", vm="app01", snapshot="s1"),
        "commit": module("commit", vm="app01", snapshot="s1"),
        "undo": module("undo", vm="app01"),
        "restore": module("restore", vm="app01", snapshot="s1"),
        "info": module("info", vm="app01"),
        "remove": module("remove", vm="app01", snapshot="s1"),
    }
    shared = {"changed", "vm", "plan", "diff", "loss", "skipped_disks", "left_behind", "results"}
    for verb, result in ran.items():
        assert not result.get("failed"), result
        assert (shared if verb != "info" else {"changed", "vm", "results"}) <= set(result), verb
        assert {"composition", "matrix"} <= set(result) or verb not in ("preview", "commit", "restore"), verb
        assert not documented[verb] or set(result) - {"invocation", "warnings", "deprecations"} <= documented[verb] | shared, verb


def test_several_vms_in_one_task(module, two):
    names = ["app01", "app02"]
    for machine in two:
        machine.write_all(1, 10)
    then = [machine.contents() for machine in two]
    assert [(one["name"], one["changed"]) for one in module("create", vm=names, snapshot="s1")["results"]] == [("app01", True), ("app02", True)]
    for machine in two:
        machine.write_all(1, 20)
    foreseen = module("restore", vm=names, check=True, disks=[{"disk": "os", "snapshot": "s1"}])
    result = module("restore", vm=names, disks=[{"disk": "os", "snapshot": "s1"}])
    for one, other in zip(foreseen["results"], result["results"]):
        for key in ("plan", "diff", "composition", "matrix", "loss", "warnings"):
            assert one[key] == other[key], key
    for machine, before in zip(two, then):
        assert machine.contents()["os"] == before["os"]
        assert machine.contents()["data"] != before["data"]


def test_one_bad_vm_does_not_stop_the_others(module, two, engine):
    engine.fault("create.volume.task", vm=two[0].id, disk="os")
    result = module("create", vm=["app01", "nothing", "app02"], snapshot="s1")
    assert result["failed"]
    assert [one.get("reason") for one in result["results"]] == ["create_failed", "unknown_vm", None]
    assert "2 of 3 VMs failed: app01: " in result["msg"]
    assert [list(machine.snapshots()) for machine in two] == [[], ["s1"]]


def test_others_are_not_attempted_after_a_failure_if_that_is_wanted(module, two):
    result = module("create", vm=["app01", "nothing", "app02"], snapshot="s1", on_vm_error="stop")
    assert result["failed"]
    assert result["results"][2]["skipped"]
    assert [list(machine.snapshots()) for machine in two] == [["s1"], []]


def test_check_mode_only_reads(module, two, engine, read_only):
    names = ["app01", "app02"]
    for verb, options in (("create", {"snapshot": "s1"}), ("info", {}), ("remove", {"snapshot": "s1"})):
        module(verb, vm=names, check=True, **options)
        read_only()
    module("create", vm=names, snapshot="s1")
    engine.clear_log()
    assert module("restore", vm=names, check=True, disks=[{"disk": "os", "snapshot": "s1"}])["changed"]
    read_only()
    module("preview", vm=names, snapshot="s1")
    engine.clear_log()
    assert module("commit", vm=names, check=True)["changed"]
    read_only()


def test_the_vm_of_a_disk(module, two, engine):
    disk = engine.state(two[1].id)["disks"]["data"]["id"]
    assert module("info", disk=disk)["vm"]["name"] == "app02"
    assert [one["vm"]["name"] for one in module("info", disk="data")["results"]] == ["app01", "app02"]
    result = module("info", disk="nowhere")
    assert (result["failed"], result["reason"]) == (True, "unknown_disk")


def requests(engine):
    found = [(each.method, each.path.partition("?")[0]) for each in engine.log() if "/sso/" not in each.path]
    engine.clear_log()
    return found


def test_many_vms_are_read_at_once(module, center, engine):
    names = [f"vm{number:02}" for number in range(30)]
    for name in names:
        engine.make_vm(name, ["os", "data"])
    engine.clear_log()
    assert module("create", vm=names, snapshot="s1", check=True)["changed"]
    assert requests(engine) == [("GET", "/vms")]
    assert not module("remove", vm=names, snapshot="s1")["changed"]
    assert requests(engine) == [("GET", "/vms")]
    assert module("create", vm=names, snapshot="s1")["changed"]
    engine.clear_log()
    assert not module("create", vm=names, snapshot="s1")["changed"]
    assert sorted(requests(engine)) == [("GET", "/events")] * 30 + [("GET", "/vms")]


def test_without_waiting_the_snapshot_is_there_in_the_end(module, center):
    machine = center("os", name="app01")
    result = module("create", vm="app01", snapshot="s1", wait=False)
    assert not result.get("failed"), result
    machine.connect()._desk.at_rest()
    assert list(machine.snapshots()) == ["s1"]


# Logging in
def test_from_the_environment(tmp_path, center, engine):
    center("os", name="app01")
    environment = {"OVIRT_URL": engine.url, "OVIRT_USERNAME": engine.username, "OVIRT_PASSWORD": engine.password, "OVIRT_CAFILE": str(engine.ca)}
    result = Modules(None, tmp_path)("info", vm="app01", environment=environment)
    assert result["vm"]["name"] == "app01"
    assert engine.password not in json.dumps(result)


def test_from_the_file_that_awx_writes(tmp_path, center, engine):
    center("os", name="app01")
    file = tmp_path / "ovirt.ini"
    file.write_text(f"[ovirt]\novirt_url={engine.url}\novirt_username={engine.username}\novirt_password={engine.password}\novirt_ca_file={engine.ca}\n")
    result = Modules(None, tmp_path)("info", vm="app01", environment={"OVIRT_INI_PATH": str(file)})
    assert result["vm"]["name"] == "app01"
    assert engine.password not in json.dumps(result)


def test_an_engine_is_not_said(tmp_path):
    result = Modules(None, tmp_path)("info", vm="app01", backend="ovirt")
    assert (result["failed"], result["reason"]) == (True, "bad_auth")


def test_the_sdk_that_is_not_there(tmp_path, auth):
    result = Modules(None, tmp_path)("info", vm="app01", auth=auth, before="sys.modules['ovirtsdk4'] = None")
    assert (result["failed"], result["reason"]) == (True, "missing_library")
    assert "ovirt-engine-sdk-python" in result["msg"]


def test_secrets_are_in_no_result(module, center, engine, auth):
    center("os", name="app01")
    said = []
    for verb, options in (
        ("create", {"snapshot": "s1"}),
        ("preview", {"snapshot": "s1"}),
        ("info", {}),
        ("preview", {"snapshot": "nothing"}),
        ("undo", {}),
        ("restore", {"snapshot": "s1"}),
        ("remove", {"snapshot": "s1"}),
    ):
        said.append(module(verb, vm="app01", diff=True, **options))
    said.append(module("info", vm="app01", auth={**auth, "username": "nobody@internal"}))
    said.append(module("info", vm="app01", auth={**auth, "ca_file": None}))
    said.append(module("info", vm="app01", auth={**auth, "url": "https://127.0.0.1:1/ovirt-engine/api"}))
    token = "s3cret-token"
    said.append(module("info", vm="app01", auth={"url": engine.url, "token": token, "ca_file": str(engine.ca)}))
    engine.fault("read.500html", times=99)
    said.append(module("info", vm="app01"))
    engine.clear_faults()
    assert [result.get("reason") for result in said] == [
        *[None] * 3,
        "unknown_snapshot",
        *[None] * 3,
        "login_failed",
        "tls_failed",
        "cannot_connect",
        "login_failed",
        "backend_failed",
    ]
    text = json.dumps(said)
    for secret in (engine.password, HEADER, token, "Bearer", "Authorization"):
        assert secret not in text


# Whole plays
def test_the_playbook_of_the_readme_with_auth_instead_of_uri(tmp_path, center, auth):
    machine = center({"name": "os", "content": {"0": "old"}}, {"name": "data", "content": {"0": "kept"}}, name="app01")
    plays = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)[0])
    (defaults,) = plays[0]["module_defaults"].values()
    assert "uri" not in defaults
    defaults.update(auth=auth, poll_interval=0)
    played = play(plays, tmp_path, "qemu:///nowhere")
    assert played.status == 0, played.said
    results = [(name, result["changed"]) for name, result in played.results if name.startswith("snapshot_")]
    assert results == [(f"snapshot_{verb}", True) for verb in ("create", "preview", "undo", "preview", "commit", "remove")]
    assert machine.snapshots() == {}
    assert machine.contents() == {"os": {"0": "old"}, "data": {"0": "kept"}}
    assert auth["password"] not in played.said


def test_a_play_with_all_modules_changes_nothing_the_second_time(tmp_path, center, auth):
    machine = center("os", {"name": "data", "content": {"0": "kept"}}, "scratch", name="app01")
    tasks = [
        {"name": f"Do {verb}", f"diskwise.vm.snapshot_{verb}": {"vm": "app01", "auth": auth, "poll_interval": 0, **options}}
        for verb, options in (
            ("create", {"snapshot": "baseline", "description": "where every run begins"}),
            ("remove", {"snapshot": "left over"}),
            ("preview", {"snapshot": "baseline"}),
            ("commit", {"snapshot": "baseline"}),
            ("undo", {}),
            ("restore", {"snapshot": "baseline", "request_id": "run 1"}),
            ("info", {}),
        )
    ]
    first = play(as_play(tasks), tmp_path, "qemu:///nowhere")
    assert first.status == 0, first.said
    assert [result["changed"] for _module, result in first.results] == [True, False, True, True, False, False, False]
    second = play(as_play(tasks), tmp_path, "qemu:///nowhere")
    assert second.status == 0, second.said
    assert "changed=0" in second.said
    assert auth["password"] not in first.said + second.said
    assert {name for name, _result in second.results} == {f"snapshot_{verb}" for verb in VERBS}
    assert machine.contents()["data"] == {"0": "kept"}
