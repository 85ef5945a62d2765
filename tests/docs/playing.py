# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's programs on this checkout, and what came out of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tests.tools.stage import CHECKOUT

COLLECTION = "diskwise.vm"
MODULES = sorted(file.stem for file in (CHECKOUT / "plugins" / "modules").glob("*.py"))
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Played:
    """A playbook's run: its exit status, what it said, and one (module, result) for each task and host, in order."""

    status: int
    said: str
    results: tuple[tuple[str, Mapping[str, Any]], ...]


def environment(**more: str) -> dict[str, str]:
    """The caller's, less what would let Ansible behave in another way than for a new user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "LIBVIRT_", "OVIRT_"))}
    # Without compiled files to begin with, Ansible takes twice as long to start. Some environments keep Python from writing them.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    kept.update(PYTHONPYCACHEPREFIX=str(CHECKOUT / ".build" / "pycache"))
    kept.update(ANSIBLE_COLLECTIONS_PATH=str(CHECKOUT / ".build" / "link"), ANSIBLE_HOME=str(CHECKOUT / ".build" / "ansible"), ANSIBLE_NOCOLOR="1")
    return {**kept, "ANSIBLE_LOCALHOST_WARNING": "false", "LC_ALL": "C.UTF-8", **more}


def run(program: str, *arguments: str, environment: Mapping[str, str], cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    """Both streams are in the result's stdout."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run([str(BIN / program), *arguments], cwd=cwd, env=dict(environment), check=False, text=True, **streams)


@lru_cache(maxsize=1)
def documentation() -> dict[str, Any]:
    """Module -> its documentation with the fragments filled in, examples and return values."""
    shown = subprocess.run(
        [str(BIN / "ansible-doc"), "--type", "module", "--json", *(f"{COLLECTION}.{module}" for module in MODULES)],
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return {name.removeprefix(f"{COLLECTION}."): found for name, found in json.loads(shown.stdout).items()}


def as_play(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": "Play the tasks", "hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]


def play(plays: Sequence[Mapping[str, Any]], folder: Path, uri: str, *arguments: str) -> Played:
    """Play them on this machine; without a URI of their own, the modules find this one. `folder` takes the files that this needs."""
    playbook, record = folder / "playbook.yml", folder / "results.jsonl"
    playbook.write_text(yaml.safe_dump(list(plays), sort_keys=False))
    record.write_text("")
    inventory = folder / "inventory.yml"
    inventory.write_text(
        yaml.safe_dump({"all": {"hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}),
    )
    played = run(
        "ansible-playbook",
        "--inventory",
        str(inventory),
        *arguments,
        str(playbook),
        environment=environment(
            LIBVIRT_DEFAULT_URI=uri,
            ANSIBLE_CALLBACK_PLUGINS=str(CHECKOUT / "tests" / "docs" / "callback"),
            ANSIBLE_CALLBACKS_ENABLED="record",
            DISKWISE_RECORD=str(record),
        ),
        cwd=folder,
    )
    results = [json.loads(line) for line in record.read_text().splitlines()]
    return Played(played.returncode, played.stdout, tuple((result["action"].removeprefix(f"{COLLECTION}."), result["result"]) for result in results))
