# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX as code: played against a stand-in for AWX by the real modules of awx.awx, and what AWX would make of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2.sandbox
import pytest
import yaml

from tests.docs.playing import environment, run
from tests.roles import peers
from tests.roles.controller import SECRET, Controller, serving
from tests.tools.stage import CHECKOUT

PLAYBOOK = CHECKOUT / "playbooks" / "awx_setup.yml"
URI = "qemu+libssh://root@kvm1.example.com/system"
ASKED = {
    "diskwise_awx_project_url": "https://git.example.com/ops.git",
    "diskwise_awx_image": "registry.example.com/ee-diskwise:1",
    "diskwise_awx_libvirt": {"uri": URI, "ssh_key": "KEY", "ssh_known_hosts": "HOSTS"},
    "diskwise_awx_ovirt": {"host": "https://engine.example.com/ovirt-engine/api", "username": "u@internal", "password": "secret"},
    "diskwise_awx_change": "Patch the guests",
    "diskwise_awx_variables": {"diskwise_profiles": {"database": {"disks": ["data"]}}},
}
# Of which AWX has no button, or which are no playbook of a button.
NO_BUTTON = {"awx_setup"}


def ansible(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = f"{CHECKOUT / '.build' / 'link'}:{peers.collections()}"
    return run(arguments[0], *arguments[1:], environment=environment(**{**more, "ANSIBLE_COLLECTIONS_PATH": path}))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Controller, list[str]]:
    """Played twice, the second time for fewer buttons, which takes less time."""
    controller, said = Controller(), []
    controller.add("job_templates", {"name": "Patch the guests", "organization": 1})
    variables = tmp_path_factory.mktemp("awx") / "variables.json"
    with serving(controller) as url:
        for buttons_again in ([button["name"] for button in buttons()], ["upgrade_guard", "preview_open"]):
            variables.write_text(json.dumps({**ASKED, "diskwise_awx_buttons": buttons_again}))
            done = ansible(
                "ansible-playbook", "-i", "localhost,", "-c", "local", "-e", f"@{variables}", str(PLAYBOOK), CONTROLLER_HOST=url, CONTROLLER_OAUTH_TOKEN="t"
            )
            assert done.returncode == 0, done.stdout
            said.append(done.stdout)
    return controller, said


def buttons() -> list[dict[str, Any]]:
    written = yaml.safe_load((CHECKOUT / "playbooks" / "vars" / "awx.yml").read_text())
    usual = written["diskwise_awx_question"]
    return [{**button, "survey": [{**usual, **question} for question in button["survey"]]} for button in written["diskwise_awx_templates"]]


def test_a_second_run_changes_nothing(played: tuple[Controller, list[str]]) -> None:
    first, second = played[1]
    assert "changed=0" not in first
    assert "changed=0" in second, second
    assert "secret" not in first


def test_each_playbook_is_a_button_with_a_survey_of_its_own_variables(played: tuple[Controller, list[str]]) -> None:
    controller = played[0]
    playbooks = {file.stem for file in (CHECKOUT / "playbooks").glob("*.yml")} - NO_BUTTON
    assert {button["name"] for button in buttons()} == playbooks
    for button in buttons():
        template = controller.named("job_templates", f"diskwise: {button['title']}")
        assert template["playbook"] == f"playbooks/{button['name']}.yml"
        assert template["ask_job_type_on_launch"] is True, "a dry run can be chosen"
        assert len(controller.linked("job_templates", template, "credentials")) == 2
        survey = controller.surveys["job_templates", template["id"]]["spec"]
        assert survey == button["survey"]
        asked = [question["variable"] for question in survey]
        assert len(set(asked)) == len(asked)
        explained = set(re.findall(r"^# (diskwise_\w+):", (CHECKOUT / "playbooks" / f"{button['name']}.yml").read_text(), flags=re.MULTILINE))
        assert set(asked) <= explained


def test_questions_are_what_awx_takes() -> None:
    """The keys, types and defaults that AWX checks when a survey is stored."""
    for question in (question for button in buttons() for question in button["survey"]):
        assert set(question) == {"question_name", "question_description", "required", "type", "variable", "min", "max", "default", "choices"}
        assert question["type"] in {"text", "textarea", "multiplechoice"}
        assert re.fullmatch(r"\w+", question["variable"])
        assert isinstance(question["default"], str)
        if question["type"] == "multiplechoice":
            assert question["default"] in question["choices"]
            assert all(isinstance(choice, str) for choice in question["choices"])


def test_the_workflow_guards_an_upgrade(played: tuple[Controller, list[str]]) -> None:
    controller = played[0]
    nodes = {node["identifier"]: node for node in controller.items["workflow_job_template_nodes"].values()}
    names = {node["id"]: name for name, node in nodes.items()}
    paths = {
        (name, link): [names[other] for other in controller.linked("workflow_job_template_nodes", node, f"{link}_nodes")]
        for name, node in nodes.items()
        for link in ("success", "failure", "always")
    }
    assert {path: ends for path, ends in paths.items() if ends} == {
        ("open", "success"): ["change"],
        ("change", "success"): ["approve"],
        ("change", "failure"): ["rollback"],
        ("approve", "success"): ["accept"],
        ("approve", "failure"): ["rollback"],
    }
    guard = controller.named("job_templates", "diskwise: Upgrade with a way back")["id"]
    for name in ("open", "accept", "rollback"):
        assert nodes[name]["unified_job_template"] == guard
        assert nodes[name]["extra_data"] == {"diskwise_action": name}
    assert controller.items["workflow_approval_templates"][nodes["approve"]["unified_job_template"]]["name"] == "diskwise: Is the upgrade good?"
    asked = {
        question["variable"]
        for question in controller.surveys["workflow_job_templates", controller.named("workflow_job_templates", "diskwise: Guarded upgrade")["id"]]["spec"]
    }
    taken = {question["variable"] for question in controller.surveys["job_templates", guard]["spec"]}
    assert asked <= taken, "a workflow hands on only what its nodes ask for"


def test_credentials_reach_the_modules(played: tuple[Controller, list[str]]) -> None:
    controller = played[0]
    kind = controller.named("credential_types", "diskwise libvirt")
    credential = controller.named("credentials", "diskwise libvirt")
    assert credential["inputs"]["ssh_key"] == SECRET
    given = controller.secrets[credential["id"]]
    # As AWX does it: its own engine, in a sandbox, with the inputs and the names of the files that it makes.
    engine = jinja2.sandbox.ImmutableSandboxedEnvironment()
    files = {name.removeprefix("template."): engine.from_string(text).render(**given) for name, text in kind["injectors"]["file"].items()}
    assert files == {"ssh_key": "KEY", "ssh_known_hosts": "HOSTS"}

    def injected(**inputs: str) -> str:
        return engine.from_string(kind["injectors"]["env"]["LIBVIRT_DEFAULT_URI"]).render(**inputs, tower={"filename": {name: f"/f/{name}" for name in files}})

    assert injected(**given) == f"{URI}?no_tty=1&keyfile=/f/ssh_key&known_hosts=/f/ssh_known_hosts"
    assert injected(uri="qemu+ssh://kvm1/system?a=b", ssh_key="KEY", ssh_known_hosts="HOSTS") == "qemu+ssh://kvm1/system?a=b&no_tty=1&keyfile=/f/ssh_key"
    assert injected(uri="qemu+tls://kvm1/system") == "qemu+tls://kvm1/system"
    assert not any(name.startswith("ANSIBLE_") for name in kind["injectors"]["env"])
    ovirt = controller.named("credentials", "diskwise oVirt")
    assert controller.items["credential_types"][ovirt["credential_type"]]["name"] == "Red Hat Virtualization"


def test_what_is_missing_is_said() -> None:
    said = ansible("ansible-playbook", "-i", "localhost,", "-c", "local", str(PLAYBOOK), CONTROLLER_HOST="http://127.0.0.1:9", CONTROLLER_OAUTH_TOKEN="t")
    assert said.returncode == 2
    assert "Set diskwise_awx_project_url and diskwise_awx_image" in said.stdout


def test_an_execution_environment_can_be_built_of_the_definition(tmp_path: Path) -> None:
    """The context of the build, without a container engine: the collection is in it, and what it declares is asked for."""
    built = ansible("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path), str(CHECKOUT))
    assert built.returncode == 0, built.stdout
    (tarball,) = tmp_path.glob("*.tar.gz")
    tarball.rename(tmp_path / "diskwise-vm.tar.gz")
    definition = CHECKOUT / "extensions" / "awx" / "execution-environment.yml"
    (tmp_path / definition.name).write_text(definition.read_text())
    made = ansible("ansible-builder", "create", "--file", str(tmp_path / definition.name), "--context", str(tmp_path / "context"))
    assert made.returncode == 0, made.stdout
    context = tmp_path / "context"
    assert (context / "_build" / "collections" / "diskwise-vm.tar.gz").is_file()
    (recipe,) = (file.read_text() for file in context.glob("*file"))  # its name depends on what is installed to build it
    assert recipe.index("COPY _build/collections /build/collections") < recipe.index("ansible-galaxy collection install")
    assert "/build/collections/diskwise-vm.tar.gz" in (context / "_build" / "requirements.yml").read_text()
