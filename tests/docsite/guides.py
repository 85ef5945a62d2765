# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides of the site, and what in them can be played.

In a guide, a block of YAML begins with a comment that names its file. A playbook is played where it stands, unless a command of the page
names it. In a block of commands, those of Ansible and virsh are run. A block of plain text is what the run before it said, line by line.
A block right below a line that ends with "on libvirt:" or "on oVirt:" is for that one alone, and so is a page of which nothing else is left.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.docs.playing import BIN, environment
from tests.tools.stage import CHECKOUT

SITE = CHECKOUT / "docs" / "docsite"
GROUNDS = ("libvirt", "oVirt")
BLOCK = re.compile(r"(?:\bon (libvirt|oVirt):\n\n)?^```(yaml|console|text)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (?:(file): )?([\w./-]+\.ya?ml)\n")
# What somebody has who comes from ovirt.ovirt.
OVIRT_AUTH = {
    name: f"{{{{ lookup('ansible.builtin.env', '{variable}') }}}}"
    for name, variable in {"url": "OVIRT_URL", "username": "OVIRT_USERNAME", "password": "OVIRT_PASSWORD", "ca_file": "OVIRT_CAFILE"}.items()
}
# Those that change the machine rather than a VM.
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
    only_on: str = ""
    """One of GROUNDS, or empty for both."""

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


def blocks(page: Path, ground: str = "") -> list[Block]:
    """Its blocks: all, or those for this ground."""
    found = [Block(kind, text, only_on) for only_on, kind, text in BLOCK.findall(page.read_text())]
    return [block for block in found if not ground or block.only_on in ("", ground)]


def guides() -> list[tuple[Path, str]]:
    """The pages that have something to play, each with a ground on which it has."""
    pages = [(page, ground) for page in sorted(SITE.rglob("*.md")) for ground in GROUNDS]
    return [(page, ground) for page, ground in pages if any(block.kind in ("yaml", "console") for block in blocks(page, ground))]


def play(page: Path, ground: str, folder: Path, access: Mapping[str, str]) -> Iterator[tuple[Block, Ran]]:
    """Play the page in the folder, where the access is in the environment; each text is returned with the run before it, and each run with its block."""
    found = blocks(page, ground)
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
            ran = run(command, folder, access)
            yield block, ran
        if block.kind == "text":
            yield block, ran


def run(command: str, folder: Path, access: Mapping[str, str]) -> Ran:
    program, *arguments = shlex.split(command.replace("$PWD", str(folder)))
    if program.startswith("ansible"):
        program = str(BIN / program)
        # The VMs of the guides are hosts as well: their guests cannot be reached, so this machine answers for them.
        hosts: dict[str, dict[str, str]] = {name: {} for name in ("localhost", "app01", "app02", "db01")}
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ovirt_auth": OVIRT_AUTH}
        inventory = folder / "inventory.test.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}))
        arguments = ["--inventory", str(inventory), *arguments]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run([program, *arguments], cwd=folder, env=environment(**access), check=False, text=True, timeout=300, **streams)
    return Ran(command, done.returncode, done.stdout)


def lines_not_said(block: Block, ran: Ran) -> list[str]:
    said = set(plain(ran.said))
    wanted = "\n".join(line for line in block.text.splitlines() if line.strip() not in ("", "..."))
    return [line for line, what in zip(wanted.splitlines(), plain(wanted)) if what not in said and line.strip() not in ran.said]


def plain(text: str) -> list[str]:
    """The lines without quotes and needless blanks, and each line of a table of snapshots by the names of its columns: their order is the hypervisor's."""
    found, head = [], []
    for line in text.splitlines():
        cells = re.split(" {2,}", line.strip('", '))
        if cells[:2] == ["snapshot", "config"]:
            head = cells
        found.append(" ".join(cell for _name, cell in sorted(zip(head, cells))) if len(cells) == len(head) else " ".join(line.split()).strip('", '))
    return found
