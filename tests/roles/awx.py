# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as AWX makes it of a button: the answers to the survey become variables, credentials become an environment and files, and ansible-runner plays it.

What AWX was told is read from where awx_setup.yml has it; test_awx.py proves that the playbook tells AWX just that.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkstemp
from types import SimpleNamespace
from typing import Any
from unittest import mock

import ansible_runner
import jinja2.sandbox
import yaml

from tests.docs.playing import BIN, environment
from tests.tools.stage import CHECKOUT

Question = Mapping[str, Any]
Injectors = Mapping[str, Mapping[str, str]]
# What AWX itself has for its credential type "Red Hat Virtualization".
OVIRT: Injectors = {
    "file": {
        "template": "[ovirt]\novirt_url={{ host }}\novirt_username={{ username }}\novirt_password={{ password }}\n"
        "{% if ca_file %}ovirt_ca_file={{ ca_file }}{% endif %}\n"
    },
    "env": {"OVIRT_INI_PATH": "{{ tower.filename }}", "OVIRT_URL": "{{ host }}", "OVIRT_USERNAME": "{{ username }}", "OVIRT_PASSWORD": "{{ password }}"},
}
# Set for each job, whatever its template.
USUAL = {
    "ANSIBLE_FORCE_COLOR": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "False",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "JOB_ID": "1",
    "INVENTORY_ID": "1",
    "MAX_EVENT_RES": "700000",
}
COLOURS = re.compile(r"\x1b\[[\d;]*m")


class Reader(yaml.SafeLoader):
    """Of playbooks: a text that Ansible shall not fill in is a text."""


class Unsafe(yaml.SafeDumper):
    """Writes texts as AWX does: Ansible shall not fill them in, whatever people type into a survey."""


def _plain(reader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return reader.construct_mapping(node, deep=True)
    return reader.construct_scalar(node)  # type: ignore[arg-type]


Reader.add_constructor("!unsafe", _plain)
Unsafe.add_representer(str, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


@cache
def _told() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHECKOUT / "playbooks" / "vars" / "awx.yml").read_text())
    return found


def _whole(survey: Sequence[Question]) -> list[dict[str, Any]]:
    return [{**_told()["diskwise_awx_question"], **question} for question in survey]


def buttons() -> list[dict[str, Any]]:
    return [{**button, "survey": _whole(button["survey"])} for button in _told()["diskwise_awx_templates"]]


def button(name: str) -> dict[str, Any]:
    (found,) = [each for each in buttons() if each["name"] == name]
    return found


def nodes() -> dict[str, dict[str, Any]]:
    """Those of the workflow."""
    return {node["name"]: node for node in _told()["diskwise_awx_nodes"]}


def asked_by_the_workflow() -> list[dict[str, Any]]:
    return _whole(_told()["diskwise_awx_workflow"])


@cache
def _tasks() -> list[dict[str, Any]]:
    (play,) = yaml.load((CHECKOUT / "playbooks" / "awx_setup.yml").read_text(), Reader)
    found: list[dict[str, Any]] = play["tasks"]
    return found


def task(name: str) -> dict[str, Any]:
    """A task of awx_setup.yml: what it says to the module."""
    (found,) = [each for each in _tasks() if each["name"] == name]
    (said,) = [arguments for key, arguments in found.items() if key.startswith("awx.awx.")]
    return dict(said)


def answered(survey: Sequence[Question], answers: Mapping[str, str]) -> dict[str, str]:
    """The variables that AWX makes of answers. It refuses what the form would not let pass."""
    asked = {question["variable"]: question for question in survey}
    if unasked := set(answers) - set(asked):
        raise ValueError(f"nobody asked for {unasked}")
    made = {name: question["default"] for name, question in asked.items()}
    made.update(answers)
    for name, question in asked.items():
        if question["required"] and not made[name]:
            raise ValueError(f"{name} has to be answered")
        if question["type"] == "multiplechoice" and made[name] not in question["choices"]:
            raise ValueError(f"{made[name]} is no choice of {name}")
        if not question["min"] <= len(made[name]) <= question["max"]:
            raise ValueError(f"{name} has {len(made[name])} characters")
    return made


def injected(injectors: Injectors, inputs: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment that a credential makes. Its files go into the folder; each has a name that nobody knows beforehand."""
    engine = jinja2.sandbox.ImmutableSandboxedEnvironment()
    filename: Any = SimpleNamespace()
    for label, text in injectors["file"].items():
        handle, path = mkstemp(dir=folder)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(engine.from_string(text).render(**inputs))
        if "." in label:
            setattr(filename, label.split(".")[1], path)
        else:
            filename = path
    return {name: engine.from_string(text).render(**inputs, tower={"filename": filename}) for name, text in injectors["env"].items()}


@dataclass(frozen=True)
class Job:
    """What AWX shows of a job."""

    status: str
    said: str
    artifacts: Mapping[str, Any]
    changed: bool
    kept: str
    """All that is kept of it: output, events and artifacts."""

    def results(self, module: str) -> list[Mapping[str, Any]]:
        """Of the events of a module of this collection."""
        told = [json.loads(line)["event_data"] for line in self.kept.splitlines() if line.startswith('{"uuid"')]
        return [event["res"] for event in told if event.get("resolved_action") == f"diskwise.vm.{module}" and "res" in event]


@dataclass
class Awx:
    """One organization with this collection's project, inventory and credential."""

    folder: Path
    injectors: Injectors
    inputs: Mapping[str, str]
    variables: Mapping[str, Any]
    """Of the inventory."""
    jobs: int = 0

    def project(self) -> Path:
        """The folder of the project: the playbooks, and beside them files of tasks."""
        project = self.folder / "project"
        if not project.is_dir():
            shutil.copytree(CHECKOUT / "playbooks", project / "playbooks")
        return project

    def launch(self, name: str, answers: Mapping[str, str], check: bool = False, verbosity: int = 0) -> Job:
        """Press a button."""
        return self.play(f"playbooks/{name}.yml", answered(button(name)["survey"], answers), check, verbosity)

    def guard(self, answers: Mapping[str, str], approve: bool = True) -> list[tuple[str, str]]:
        """Start the workflow: each node that it comes to, and how that ended. Its jobs take what it was asked, whatever their own surveys ask,
        and before that what earlier jobs handed on, what the node says, and the defaults of the survey."""
        told, handed_on, went = answered(asked_by_the_workflow(), answers), {}, []
        every = nodes()
        led_to = {end for node in every.values() for end in [*node.get("success", []), *node.get("failure", [])]}
        todo = [name for name in every if name not in led_to]
        while todo:
            name = todo.pop(0)
            node = every[name]
            if "approval" in node:
                status = "successful" if approve else "failed"
            else:
                playbook = node.get("button", "change")
                defaults = {question["variable"]: question["default"] for question in button(playbook)["survey"]} if "button" in node else {}
                job = self.play(f"playbooks/{playbook}.yml", {**defaults, **node.get("variables", {}), **handed_on, **told})
                handed_on.update(job.artifacts)
                status = job.status
            went.append((name, status))
            todo += node.get("success" if status == "successful" else "failure", [])
        return went

    def play(self, playbook: str, variables: Mapping[str, Any], check: bool = False, verbosity: int = 0) -> Job:
        self.jobs += 1
        data = self.folder / f"job{self.jobs}"
        for folder in ("env", "inventory"):
            (data / folder).mkdir(parents=True)
        shutil.copytree(self.project(), data / "project")
        known = {f"{system}_{what}": value for system in ("awx", "tower") for what, value in (("job_id", self.jobs), ("job_launch_type", "manual"))}
        (data / "env" / "extravars").write_text(yaml.dump({**variables, **known}, Dumper=Unsafe, default_flow_style=False))
        arguments = [*(["--check"] if check else []), "-u", "root", *([f"-{'v' * verbosity}"] if verbosity else [])]
        (data / "env" / "cmdline").write_text(" ".join(arguments))
        hosts = {
            "all": {"hosts": ["localhost"], "vars": dict(self.variables)},
            "_meta": {"hostvars": {"localhost": task("Make the host of the inventory")["variables"]}},
        }
        script = data / "inventory" / "hosts"
        script.write_text(f"#! /usr/bin/env python3\nprint({json.dumps(hosts)!r})\n")
        script.chmod(0o700)
        kept = {name: value for name, value in environment().items() if name != "ANSIBLE_NOCOLOR"}
        with mock.patch.dict(os.environ, {**kept, "PATH": f"{BIN}:{os.environ['PATH']}"}, clear=True):
            done = ansible_runner.run(
                private_data_dir=str(data),
                ident=str(self.jobs),
                playbook=playbook,
                inventory=str(script),
                envvars={**USUAL, **injected(self.injectors, self.inputs, data / "env")},
                suppress_env_files=True,
                quiet=True,
                cancel_callback=lambda: False,
            )
        artifacts: dict[str, Any] = {}
        changed = False
        for event in done.events:
            if event["event"] == "playbook_on_stats":
                artifacts = event["event_data"].get("artifact_data", {})
                changed = any(event["event_data"]["changed"].values())
        # AWX takes the command from elsewhere, and shows of its environment what is no secret.
        files = [file for file in (data / "artifacts").rglob("*") if file.is_file() and file.name != "command"]
        with done.stdout as said:
            return Job(done.status, COLOURS.sub("", said.read()), artifacts, changed, "\n".join(file.read_text() for file in files))
