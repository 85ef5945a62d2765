# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written about the roles and playbooks is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.playing import BIN, environment, run
from tests.tools.stage import CHECKOUT

# Of a role whose tests are elsewhere.
ELSEWHERE = {"snapshot_report"}
ROLES = sorted(folder.name for folder in (CHECKOUT / "roles").iterdir() if folder.is_dir() and folder.name not in ELSEWHERE)
PLAYBOOKS = sorted((CHECKOUT / "playbooks").glob("*.yml"))
# This one needs awx.awx, and test_awx.py plays it.
WITHOUT_PEERS = [file for file in PLAYBOOKS if file.stem != "awx_setup"]


def of_role(name: str, part: str) -> Any:
    return yaml.safe_load((CHECKOUT / "roles" / name / part / "main.yml").read_text())


def options(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHECKOUT / "roles" / name / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    return found


@pytest.mark.parametrize("name", ROLES)
def test_defaults_are_those_that_are_documented(name: str) -> None:
    defaults = of_role(name, "defaults")
    specified = options(name)
    assert set(defaults) <= set(specified)
    for key, option in specified.items():
        assert key.startswith(f"{name}_")
        assert key in defaults or "default" not in option, f"{key} has no default in defaults/main.yml"
        if key in defaults and "{{" not in str(defaults[key]):
            assert option.get("default") == defaults[key], key
        assert option.get("required", False) is (key not in defaults and key not in ("restore_drill_snapshot",)), key


@pytest.mark.parametrize("name", ROLES)
def test_roles_have_a_readme_a_scenario_and_a_playbook_or_another_role_that_uses_them(name: str) -> None:
    assert (CHECKOUT / "roles" / name / "README.md").read_text().count("```yaml") == 1
    assert (CHECKOUT / "extensions" / "molecule" / name / "verify.yml").is_file()
    users = [*PLAYBOOKS, *(CHECKOUT / "roles").glob("*/tasks/*.yml")]
    assert any(f"name: diskwise.vm.{name}\n" in file.read_text() for file in users)


def test_examples_and_playbooks_are_sound(tmp_path: Path) -> None:
    """The plays of all READMEs and the playbooks, with the roles and modules that they name: read by Ansible, not played."""
    plays = [
        play
        for name in ROLES
        for block in re.findall(r"^```yaml\n(.*?)^```$", (CHECKOUT / "roles" / name / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
        for play in yaml.safe_load(block)
    ]
    assert len(plays) == len(ROLES)
    for play in plays:
        (role,) = play["roles"]
        assert set(role["vars"]) <= set(options(role["role"].removeprefix("diskwise.vm."))), role
    examples = tmp_path / "examples.yml"
    examples.write_text(yaml.safe_dump(plays))
    checked = run("ansible-playbook", "--syntax-check", "-i", "localhost,", str(examples), *map(str, WITHOUT_PEERS), environment=environment())
    assert checked.returncode == 0, checked.stdout
    assert (BIN / "ansible-playbook").exists()


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: playbook.stem)
def test_every_variable_of_a_playbook_is_explained(playbook: Path) -> None:
    text = playbook.read_text()
    comments = re.findall(r"^# ((?:diskwise_\w+, )*diskwise_\w+):", text, flags=re.MULTILINE)
    explained = {name for names in comments for name in names.split(", ")} | {"diskwise_uri", "diskwise_auth", "diskwise_needs_snapshot"}
    explained |= {name for file in (CHECKOUT / "playbooks" / "vars").glob("*.yml") for name in yaml.safe_load(file.read_text())}
    made = (
        set(re.findall(r"\{(diskwise_\w+):", text))
        | set(re.findall(r"^ +(?:loop_var: |register: |name: )?(diskwise_\w+):?", text, flags=re.MULTILINE))
        | set(re.findall(r"hosts: (diskwise_\w+)$", text, flags=re.MULTILINE))
    )
    used = set(re.findall(r"\bdiskwise_\w+", re.sub(r"^#.*$", "", text, flags=re.MULTILINE)))
    assert used - explained - made == set()


def test_every_role_is_shown_by_ansible_doc() -> None:
    shown = run("ansible-doc", "--type", "role", *(f"diskwise.vm.{name}" for name in ROLES), environment=environment())
    assert shown.returncode == 0, shown.stdout
    assert all(f"{name}_vm" in shown.stdout for name in ROLES)


@pytest.mark.parametrize("how", ["by its name", "from a playbook of one's own"])
def test_a_playbook_is_found_wherever_it_is_called_from(how: str, tmp_path: Path) -> None:
    own = tmp_path / "own.yml"
    own.write_text(yaml.safe_dump([{"name": "Look", "ansible.builtin.import_playbook": "diskwise.vm.show"}]))
    called = "diskwise.vm.show" if how == "by its name" else str(own)
    variables = ("-e", "diskwise_uri=test:///default", "-e", "diskwise_vm=test")
    played = run("ansible-playbook", "-i", "localhost,", "-c", "local", *variables, called, environment=environment(), cwd=tmp_path)
    assert played.returncode == 0, played.stdout
    assert "test: up, 0 snapshots" in played.stdout
