# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides of the site, and what in them can be played.

In a guide, a block of YAML begins with a comment that names its file. A playbook is played where it stands, unless a command of the page
names it. In a block of commands, those of Ansible and virsh are run. A block of plain text is what the run before it said, line by line.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.docs.playing import BIN, environment
from tests.tools.stage import CHECKOUT

SITE = CHECKOUT / "docs" / "docsite"
BLOCK = re.compile(r"^```(yaml|console|text)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (?:(file): )?([\w./-]+\.ya?ml)\n")
# Those that change the machine rather than a VM, and those that are about another hypervisor.
NOT_RUN = re.compile(r"(pip|ansible-galaxy|make|python|export|podman|ansible-builder)\b")


@dataclass(frozen=True)
class Ran:
    command: str
    status: int
    said: str


@dataclass(frozen=True)
class Block:
    kind: str
    text: str

    @property
    def file(self) -> str:
        named = FILE.match(self.text)
        return named.group(2) if named else ""

    @property
    def is_playbook(self) -> bool:
        content = yaml.safe_load(self.text)
        return isinstance(content, list) and any("hosts" in play or "import_playbook" in str(play) for play in content)

    @property
    def commands(self) -> list[str]:
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line and not NOT_RUN.match(line)]


def blocks(page: Path) -> list[Block]:
    return [Block(kind, text) for kind, text in BLOCK.findall(page.read_text())]


def guides() -> list[Path]:
    """The pages that have something to play."""
    return [page for page in sorted(SITE.rglob("*.md")) if any(block.kind in ("yaml", "console") for block in blocks(page))]


def play(page: Path, folder: Path, uri: str) -> Iterator[tuple[Block, Ran]]:
    """Play the page in the folder; each text is returned with the run before it, and each run with its block."""
    found = blocks(page)
    commands = " ".join(command for block in found if block.kind == "console" for command in block.commands)
    ran = Ran("nothing", 0, "")
    for block in found:
        if block.kind == "yaml":
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
            todo = [f"ansible-playbook {block.file}"] if block.is_playbook and block.file not in commands else []
        else:
            todo = block.commands if block.kind == "console" else []
        for command in todo:
            ran = run(command, folder, uri)
            yield block, ran
        if block.kind == "text":
            yield block, ran


def run(command: str, folder: Path, uri: str) -> Ran:
    program, *arguments = shlex.split(command.replace("$PWD", str(folder)))
    if program.startswith("ansible"):
        program = str(BIN / program)
        # The VMs of the guides are hosts as well: their guests cannot be reached, so this machine answers for them.
        hosts = {name: {"ansible_connection": "local", "ansible_python_interpreter": sys.executable} for name in ("localhost", "app01", "app02", "db01")}
        inventory = folder / "inventory.test.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        arguments = ["--inventory", str(inventory), *arguments]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run([program, *arguments], cwd=folder, env=environment(LIBVIRT_DEFAULT_URI=uri), check=False, text=True, timeout=300, **streams)
    return Ran(command, done.returncode, done.stdout)


def lines_not_said(block: Block, ran: Ran) -> list[str]:
    said = {" ".join(line.split()).strip('", ') for line in ran.said.splitlines()}
    wanted = [line for line in block.text.splitlines() if line.strip() not in ("", "...")]
    return [line for line in wanted if " ".join(line.split()).strip('", ') not in said and line.strip() not in ran.said]
