# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role snapshot_report on VMs of a real libvirt, and what its README and the filters' documentation show."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.machine import SIZE, LibvirtMachine
from tests.contract.verbs import create, preview, run
from tests.docs import playing
from tests.tools.stage import CHECKOUT

Played = tuple[int, str, list[tuple[str, Mapping[str, Any]]]]
Play = Callable[..., Played]


@pytest.fixture
def fleet(daemon, vm) -> list[LibvirtMachine]:
    machines = [LibvirtMachine(daemon, vm(name, ("os", "data"), boot="halt", size=SIZE)) for name in ("app01", "db01")]
    run(machines[0], create("nightly-07"))
    run(machines[1], create("before-upgrade"))
    run(machines[1], preview("before-upgrade"))
    return machines


@pytest.fixture
def play(daemon, tmp_path) -> Play:
    def go(plays: list[Mapping[str, Any]], *arguments: str) -> Played:
        (tmp_path / "playbook.yml").write_text(yaml.safe_dump(plays))
        record = tmp_path / "results.jsonl"
        record.write_text("")
        hosts = {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
        (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        callback = {"ANSIBLE_CALLBACK_PLUGINS": str(CHECKOUT / "tests" / "docs" / "callback"), "ANSIBLE_CALLBACKS_ENABLED": "record"}
        environment = playing.environment(LIBVIRT_DEFAULT_URI=daemon.uri, DISKWISE_RECORD=str(record), ANSIBLE_SHOW_CUSTOM_STATS="true", **callback)
        done = playing.run("ansible-playbook", "--inventory", "inventory.yml", *arguments, "playbook.yml", environment=environment, cwd=tmp_path)
        results = [json.loads(line) for line in record.read_text().splitlines()]
        return done.returncode, done.stdout, [(result["action"].rpartition(".")[2], result["result"]) for result in results]

    return go


def role(**options: Any) -> list[Mapping[str, Any]]:
    given = {f"snapshot_report_{name}": value for name, value in options.items()}
    return [{"hosts": "localhost", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": {"name": "diskwise.vm.snapshot_report"}, "vars": given}]}]


def changed(said: str) -> int:
    return int(re.findall(r"changed=(\d+)", said)[-1])


def test_pages_of_a_fleet(fleet, play, tmp_path, browser) -> None:
    folder = tmp_path / "pages"
    wanted = role(vm=["app01", "db01"], dest=str(folder), url="https://snapshots.example.org/", stats=True)
    files = {f"{machine.vm.uuid}.html" for machine in fleet} | {"index.html"}
    states = [machine.state() for machine in fleet]

    status, said, _results = play(wanted, "--check")
    assert status == 0, said
    assert not folder.exists()
    status, said, _results = play(wanted)
    assert status == 0, said
    assert changed(said) == 3
    assert {file.name for file in folder.iterdir()} == files
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o640}
    assert f"https://snapshots.example.org/{fleet[0].vm.uuid}.html" in said.split("CUSTOM STATS")[1]
    status, said, _results = play(wanted)
    assert (status, changed(said)) == (0, 0), said
    assert [machine.state() for machine in fleet] == states

    run(fleet[0], create("another"))
    status, said, results = play(wanted, "--check")
    assert (status, changed(said)) == (0, 2), said
    status, said, results = play(wanted)
    assert (status, changed(said)) == (0, 2), said
    said_last = next(result for action, result in reversed(results) if action == "set_fact")
    pages = said_last["results"][-1]["ansible_facts"]["snapshot_report_pages"]
    assert [page["says"] for page in pages] == ["down, 2 disks, 2 snapshots, 1 problems", "in preview, 2 disks, 1 snapshots, 1 problems"]
    assert not any(len(json.dumps(result)) > 20_000 for action, result in results if action != "snapshot_info"), "what is logged stays small"

    page = browser.new_page()
    page.goto((folder / "index.html").as_uri())
    assert page.locator("[data-test=vm]").count() == 2
    page.get_by_role("link", name="db01").click()
    page.locator("[data-test=power]").wait_for()
    assert page.locator("[data-test=power]").inner_text() == "in preview"
    page.close()


def test_a_vm_that_cannot_be_read_keeps_no_other_from_its_page(fleet, play, tmp_path) -> None:
    status, said, _results = play(role(vm=["nobody", "db01"], dest=str(tmp_path / "pages")))
    assert status != 0
    assert "there is no VM 'nobody'" in said
    assert [file.name for file in (tmp_path / "pages").iterdir()] == [f"{fleet[1].vm.uuid}.html"]


def test_without_any_vm_that_can_be_read_it_says_so(play, tmp_path) -> None:
    status, said, _results = play(role(vm="nobody", dest=str(tmp_path / "pages")))
    assert status != 0
    assert "there is no VM 'nobody'" in said


def test_what_the_documentation_shows(fleet, play, tmp_path) -> None:
    readme = (CHECKOUT / "roles" / "snapshot_report" / "README.md").read_text()
    (block,) = re.findall(r"^```ya?ml\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    tasks = []
    for name in ("snapshot_composer", "snapshot_matrix"):
        tasks += yaml.safe_load(yaml.safe_load((CHECKOUT / "plugins" / "filter" / f"{name}.yml").read_text())["EXAMPLES"])
    status, said, _results = play([*yaml.safe_load(block), {"hosts": "localhost", "gather_facts": False, "tasks": tasks}])
    assert status == 0, said
    assert len(list((tmp_path / "snapshots").glob("*.html"))) == 3
    assert Path(tmp_path / "app01.html").is_file()


def test_the_options_of_the_role_are_documented() -> None:
    folder = CHECKOUT / "roles" / "snapshot_report"
    options = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text())
    assert {name for name, option in options.items() if not option.get("required")} == set(defaults)
    assert {name for name in options if f"`{name}`" not in (folder / "README.md").read_text()} == set()
    assert {name: defaults[name] for name, option in options.items() if "default" in option} == {
        name: option["default"] for name, option in options.items() if "default" in option
    }
