# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents say about files, commands and states is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine import session
from tests.docs.playing import MODULES
from tests.tools.stage import CHECKOUT

DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
REASONS = set(re.findall(r"^### `(.*)`$", (CHECKOUT / "docs" / "reasons.md").read_text(), flags=re.MULTILINE))
OF_THE_PEER = {"snapshot_id"}
"""Options of ovirt_snapshot, which a page tells how to replace."""

MEANS = {
    "create": "takes the snapshot",
    "enter": "opens it",
    "keep": "unchanged",
    "switch": "refused, or undoes the open one first with `if_previewing: undo`",
    "remove": "removes the snapshot",
    "refuse": "refused",
    "commit leave": "keeps what it shows",
    "undo leave": "ends it",
    "restore enter": "opens it and keeps what it shows",
    "restore leave": "keeps what it shows",
}


def anchors(document: Path) -> set[str]:
    """The headings of a document as GitHub makes anchors of them."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(CHECKOUT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _mark, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(CHECKOUT)))
def test_commands_of_make_exist(document: Path) -> None:
    targets = set(re.findall(r"^([\w.-]+):(?!=)", (CHECKOUT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", document.read_text()))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(CHECKOUT)))
def test_modules_that_are_named_exist(document: Path) -> None:
    named = set(re.findall(r"\bsnapshot_\w+\b", document.read_text()))
    roles = {role.name for role in (CHECKOUT / "roles").glob("*")}
    filters = {path.stem for path in (CHECKOUT / "plugins" / "filter").glob("snapshot_*")}
    unknown = named - set(MODULES) - roles - filters - REASONS - OF_THE_PEER
    assert unknown == set()


def test_readme_is_short_and_names_every_module() -> None:
    text = (CHECKOUT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert set(MODULES) <= set(re.findall(r"\bsnapshot_\w+", text))


def test_readme_names_the_tested_versions() -> None:
    from tests.tools.sanity import CORES

    text = (CHECKOUT / "README.md").read_text()
    assert f"tested with {', '.join(list(CORES)[:-1])} and {list(CORES)[-1]}" in text


def states() -> str:
    """The chapter of docs/states.md that is made from the table."""
    lines = ["| | " + " | ".join(session.STATES) + " |", "| --- |" + " --- |" * len(session.STATES)]
    for verb, row in session.TABLE.items():
        lines.append(f"| **{verb}** | " + " | ".join(MEANS.get(f"{verb} {row[state]}") or MEANS[row[state]] for state in session.STATES) + " |")
    told = [f"* **{name}**: {says}" for name, says in session.STATES.items()]
    power = [f"* **{verb}** needs the VM {' or '.join(states)}." for verb, states in session.NEEDS_DOWN.items()]
    return "\n".join([*told, "", *lines, "", "```mermaid", session.diagram().rstrip("\n"), "```", "", *power]) + "\n"


def test_states_are_those_of_the_code() -> None:
    """After a change of the table:  python -m tests.docs.test_prose"""
    assert states() in (CHECKOUT / "docs" / "states.md").read_text()


if __name__ == "__main__":
    document = CHECKOUT / "docs" / "states.md"
    head, _mark, rest = document.read_text().partition("<!-- made by tests/docs/test_prose.py -->\n")
    foot = rest.partition("<!-- until here -->\n")[2]
    document.write_text(f"{head}<!-- made by tests/docs/test_prose.py -->\n{states()}<!-- until here -->\n{foot}")
