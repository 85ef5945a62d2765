# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX as code: played against a stand-in for AWX by the real modules of awx.awx, and what AWX would make of it."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.docs.playing import BIN, environment, run
from tests.roles import peers
from tests.roles.awx import asked_by_the_workflow, buttons, injected, nodes, task
from tests.roles.controller import SECRET, Controller, serving
from tests.tools.stage import CHECKOUT

PLAYBOOK = CHECKOUT / "playbooks" / "awx_setup.yml"
URI = "qemu+libssh://root@kvm1.example.com/system"
LIBVIRT = {"uri": URI, "ssh_key": "KEY", "ssh_known_hosts": "HOSTS"}
OVIRT = {"host": "https://engine.example.com/ovirt-engine/api", "username": "u@internal", "password": "secret"}
ASKED = {
    "diskwise_awx_project_url": "https://git.example.com/ops.git",
    "diskwise_awx_image": "registry.example.com/ee-diskwise:1",
    "diskwise_awx_libvirt": LIBVIRT,
    "diskwise_awx_change": "Patch the guests",
    "diskwise_awx_variables": {"diskwise_profiles": {"database": {"disks": ["data"]}}},
}
# Of which AWX has no button, or which are no playbook of a button.
NO_BUTTON = {"awx_setup"}


def ansible(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = f"{CHECKOUT / '.build' / 'link'}:{peers.collections()}"
    return run(arguments[0], *arguments[1:], environment=environment(**{**more, "ANSIBLE_COLLECTIONS_PATH": path}))


@dataclass(frozen=True)
class Awx:
    """What the stand-in holds after the playbook was played, and what the first run, the second and a dry run said."""

    holds: Controller
    first: str
    second: str
    dry: str


class SetUp:
    """The playbook on its way to a stand-in."""

    def __init__(self, url: str, folder: Path, *arguments: str, **variables: Any) -> None:
        given = folder / f"{uuid.uuid4()}.json"
        given.write_text(json.dumps({name: value for name, value in {**ASKED, **variables}.items() if value is not None}))
        command = [str(BIN / "ansible-playbook"), "-i", "localhost,", "-c", "local", "-e", f"@{given}", *arguments, str(PLAYBOOK)]
        # The modules load the machine's certificates for each request, which takes them longer than the request. The stand-in has no use for any.
        without = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}
        path = f"{CHECKOUT / '.build' / 'link'}:{peers.collections()}"
        environ = environment(**without, ANSIBLE_COLLECTIONS_PATH=path, CONTROLLER_HOST=url, CONTROLLER_OAUTH_TOKEN="t")
        self._process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def said(self) -> str:
        """It has to succeed."""
        said = self._process.communicate(timeout=300)[0]
        assert self._process.returncode == 0, said
        return said


@pytest.fixture(scope="module")
def awx(tmp_path_factory: pytest.TempPathFactory) -> Awx:
    """The second run and the dry one side by side: neither may change anything."""
    controller, folder = Controller(), tmp_path_factory.mktemp("awx")
    controller.add("job_templates", {"name": "Patch the guests", "organization": 1})
    with serving(controller) as url:
        first = SetUp(url, folder).said()
        again, dry = SetUp(url, folder), SetUp(url, folder, "--check")
        return Awx(controller, first, again.said(), dry.said())


def test_a_second_run_changes_nothing(awx: Awx) -> None:
    assert "changed=0" not in awx.first
    assert "changed=0" in awx.second, awx.second
    assert "KEY" not in awx.first


def test_a_dry_run_foresees_that(awx: Awx) -> None:
    assert "changed=0" in awx.dry, awx.dry
    for said in (awx.second, awx.dry):
        assert said.count("ok: [localhost] => (item=") == len(buttons()) + len(nodes()) + 1


def test_each_playbook_is_a_button_with_a_survey_of_its_own_variables(awx: Awx) -> None:
    controller = awx.holds
    playbooks = {file.stem for file in (CHECKOUT / "playbooks").glob("*.yml")} - NO_BUTTON
    assert {button["name"] for button in buttons()} == playbooks
    for button in buttons():
        template = controller.named("job_templates", f"diskwise: {button['title']}")
        assert template["playbook"] == f"playbooks/{button['name']}.yml"
        assert template["ask_job_type_on_launch"] is True, "a dry run can be chosen"
        assert controller.linked("job_templates", template, "credentials") == [controller.named("credentials", "diskwise libvirt")["id"]]
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


def paths(controller: Controller) -> dict[tuple[str, str], list[str]]:
    """Which nodes of the workflow a node leads to, and when."""
    names = {number: node["identifier"] for number, node in controller.items["workflow_job_template_nodes"].items()}
    found = {
        (name, link): [names[end] for end in controller.links.get(("workflow_job_template_nodes", number, f"{link}_nodes"), [])]
        for number, name in names.items()
        for link in ("success", "failure", "always")
    }
    return {path: ends for path, ends in found.items() if ends}


def test_the_workflow_guards_an_upgrade(awx: Awx) -> None:
    controller = awx.holds
    assert paths(controller) == {
        ("open", "success"): ["change"],
        ("change", "success"): ["approve"],
        ("change", "failure"): ["rollback"],
        ("approve", "success"): ["accept"],
        ("approve", "failure"): ["rollback"],
    }
    made = {node["identifier"]: node for node in controller.items["workflow_job_template_nodes"].values()}
    guard = controller.named("job_templates", "diskwise: Upgrade with a way back")["id"]
    for name in ("open", "accept", "rollback"):
        assert made[name]["unified_job_template"] == guard
        assert made[name]["extra_data"] == nodes()[name]["variables"] == {"diskwise_action": name}
    assert made["change"]["unified_job_template"] == controller.named("job_templates", "Patch the guests")["id"]
    assert controller.items["workflow_approval_templates"][made["approve"]["unified_job_template"]]["name"] == "diskwise: Is the upgrade good?"
    survey = controller.surveys["workflow_job_templates", controller.named("workflow_job_templates", "diskwise: Guarded upgrade")["id"]]["spec"]
    assert survey == asked_by_the_workflow()
    asked, taken = ({question["variable"] for question in each} for each in (survey, controller.surveys["job_templates", guard]["spec"]))
    assert asked <= taken, "a workflow hands on all that it was asked"
    assert "diskwise_action" not in asked, "that would count more than what the nodes say"


def test_what_is_wanted_otherwise_is_changed(awx: Awx, tmp_path: Path) -> None:
    """An engine in place of libvirt, people in place of a job template, and a look every night: for some buttons, which takes less time."""
    controller = copy.deepcopy(awx.holds)
    few = {"diskwise_awx_buttons": ["upgrade_guard", "snapshot_janitor"], "diskwise_awx_nightly": "app01\napp02"}
    with serving(controller) as url:
        said = SetUp(url, tmp_path, **few, diskwise_awx_change="", diskwise_awx_libvirt=None, diskwise_awx_ovirt=OVIRT).said()
        assert OVIRT["password"] not in said
        credential = controller.named("credentials", "diskwise oVirt")
        assert controller.items["credential_types"][credential["credential_type"]]["name"] == "Red Hat Virtualization"
        guard, janitor = (controller.named("job_templates", f"diskwise: {title}") for title in ("Upgrade with a way back", "Say which snapshots may go"))
        assert controller.linked("job_templates", guard, "credentials") == [credential["id"]]
        # A node to which nothing leads would be the first of the workflow.
        assert paths(controller) == {("open", "success"): ["approve"], ("approve", "success"): ["accept"], ("approve", "failure"): ["rollback"]}
        assert "change" not in {node["identifier"] for node in controller.items["workflow_job_template_nodes"].values()}
        (schedule,) = controller.items["schedules"].values()
        assert schedule["unified_job_template"] == janitor["id"]
        assert schedule["extra_data"] == {"diskwise_vm": "app01\napp02", "diskwise_prune": "false", "diskwise_end_drills": "false"}
        assert set(schedule["extra_data"]) == {question["variable"] for question in controller.surveys["job_templates", janitor["id"]]["spec"]}
        SetUp(url, tmp_path, "--start-at-task", "Make the schedule of the janitor", diskwise_awx_nightly="").said()
        assert controller.items["schedules"] == {}


def test_credentials_reach_the_modules(awx: Awx, tmp_path: Path) -> None:
    controller = awx.holds
    kind = controller.named("credential_types", "diskwise libvirt")
    credential = controller.named("credentials", "diskwise libvirt")
    assert credential["inputs"]["ssh_key"] == SECRET
    given = controller.secrets[credential["id"]]
    injectors = kind["injectors"]
    assert injectors == task("Make the type of a credential for libvirt")["injectors"]

    (uri,) = injected(injectors, given, tmp_path).values()
    found = re.fullmatch(rf"{re.escape(URI)}\?no_tty=1&keyfile=(.+)&known_hosts=(.+)", uri)
    assert found, uri
    assert [Path(file).read_text() for file in found.groups()] == ["KEY\n", "HOSTS"]
    (uri,) = injected(injectors, {**given, "uri": "qemu+ssh://kvm1/system?a=b"}, tmp_path).values()
    assert re.fullmatch(r"qemu\+ssh://kvm1/system\?a=b&no_tty=1&keyfile=[^&]+", uri)
    assert injected(injectors, {"uri": "qemu+tls://kvm1/system"}, tmp_path) == {"LIBVIRT_DEFAULT_URI": "qemu+tls://kvm1/system"}


def test_ssh_takes_a_key_as_it_is_pasted(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    uri = injected(task("Make the type of a credential for libvirt")["injectors"], {"uri": URI, "ssh_key": key.read_text().strip()}, tmp_path)
    file = uri["LIBVIRT_DEFAULT_URI"].partition("keyfile=")[2]
    shown = subprocess.run(["ssh-keygen", "-y", "-f", file], check=True, capture_output=True, text=True).stdout
    assert shown.split()[:2] == key.with_suffix(".pub").read_text().split()[:2]


@pytest.mark.parametrize("variables", [{}, {**ASKED, "diskwise_awx_ovirt": OVIRT}], ids=["nothing is given", "both hypervisors are"])
def test_what_cannot_be_made_is_said(variables: dict[str, Any]) -> None:
    said = ansible("ansible-playbook", "-i", "localhost,", "-c", "local", "-e", json.dumps(variables), str(PLAYBOOK))
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
    assert "openssh-clients" in (context / "_build" / "bindep.txt").read_text()


def test_the_guide_shows_what_is_made(tmp_path: Path) -> None:
    """Its pictures are drawn from the playbook as it is, and told in words; its example has variables that there are."""
    guide = (CHECKOUT / "docs" / "awx.md").read_text()
    drawn = run("python", "-c", f"import awx, pathlib; awx.draw(pathlib.Path({str(tmp_path)!r}))", environment=environment(), cwd=CHECKOUT / "docs" / "docsite")
    assert drawn.returncode == 0, drawn.stdout
    pictures = {file.name: file.read_text() for file in tmp_path.iterdir()}
    shown = dict(reversed(found) for found in re.findall(r"!\[(.*?)\]\(images/(.*?)\)", guide))
    assert set(shown) == set(pictures)
    for name, picture in pictures.items():
        assert (CHECKOUT / "docs" / "images" / name).read_text() == picture, "play docs/docsite/awx.py"
        assert shown[name] == ElementTree.fromstring(picture).findtext("{http://www.w3.org/2000/svg}title")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", guide, flags=re.MULTILINE | re.DOTALL)
    assert set(yaml.safe_load(example)) <= set(re.findall(r"^# (diskwise_awx_\w+):", PLAYBOOK.read_text(), flags=re.MULTILINE))
