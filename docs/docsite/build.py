# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the documentation site into build/docs:  python docs/docsite/build.py [FOLDER]

The pages are docs/docsite/**/*.md, and docs/**/*.md as they are read on their own as well. The reference is made by antsibull-docs from
the plugins and roles, and the page of the playbooks from their comments and surveys. Nothing is fetched, and a warning is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

import awx
import yaml

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
BIN = Path(sys.executable).parent
SOURCE = CHECKOUT / ".build" / "docs"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}:{os.environ['PATH']}",  # antsibull-docs calls ansible-doc
    "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".build" / "link"),
    # The same sources make the same bytes.
    "SOURCE_DATE_EPOCH": "0",
    "PYTHONHASHSEED": "0",
}
# Pages that are no document of docs: where they are, and where they go.
OTHERS = {"ARCHITECTURE.md": "architecture.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(?<!!)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
EXTERNAL = re.compile(r"[a-z]+:")


class Broken(Exception):
    """A link leads nowhere."""


def pages() -> dict[Path, Path]:
    """Document -> its place in the site, both relative. Plugins, roles and playbooks count as the documents that their reference is made from."""
    found = {Path(old): Path(new) for old, new in OTHERS.items()}
    for file in sorted((CHECKOUT / "docs").rglob("*.md")):
        place = file.relative_to(HERE if HERE in file.parents else CHECKOUT / "docs")
        found[file.relative_to(CHECKOUT)] = place.with_name("index.md") if place.name == "README.md" else place
    return found


def references() -> dict[Path, str]:
    """What the reference is made from -> its page, with the anchor."""
    found = {Path("plugins/modules") / file.name: f"reference/{file.stem}_module.rst" for file in (CHECKOUT / "plugins/modules").glob("*.py")}
    found.update({Path("plugins/filter") / file.name: f"reference/{file.stem}_filter.rst" for file in (CHECKOUT / "plugins/filter").glob("*.py")})
    for role in (CHECKOUT / "roles").iterdir():
        found.update(dict.fromkeys((Path("roles") / role.name, Path("roles") / role.name / "README.md"), f"reference/{role.name}_role.rst"))
    found.update({Path("playbooks") / file.name: f"buttons.md#{file.stem}" for file in (CHECKOUT / "playbooks").glob("*.yml")})
    return found


def relinked(document: Path, home: str) -> str:
    """The document's text with its links as they are from its new place. What is no page of the site is linked where the source is."""
    places, made = pages(), references()
    here = places[document].parent

    def link(found: re.Match[str]) -> str:
        words, target = found.groups()
        path, mark, anchor = target.partition("#")
        if EXTERNAL.match(target) or not path:
            return found.group()
        wanted = Path(os.path.normpath(document.parent / path))
        if not (CHECKOUT / wanted).exists():
            raise Broken(f"{document}: {target}")
        if wanted in places:
            return f"[{words}]({os.path.relpath(places[wanted], here)}{mark}{anchor})"
        if wanted in made:
            return f"[{words}]({os.path.relpath(made[wanted], here)})"
        return f"[{words}]({home}/blob/main/{wanted}{mark}{anchor})"

    # Not within fenced blocks: what looks like a link there is none.
    parts = re.split(r"(^```.*?^```$)", (CHECKOUT / document).read_text(), flags=re.MULTILINE | re.DOTALL)
    return "".join(part if number % 2 else LINK.sub(link, part) for number, part in enumerate(parts))


def with_index(reasons: str) -> str:
    """The reason codes with a list of all of them before the first chapter, in the order of the alphabet."""
    codes = sorted(re.findall(r"^### `(\w+)`$", reasons, flags=re.MULTILINE))
    listed = " · ".join(f"[`{code}`](#{code})" for code in codes)
    return reasons.replace("\n## ", f"\n**All codes:** {listed}\n\n## ", 1)


def with_pages(decisions: str) -> str:
    """The list of decisions with these as its chapters in the menu."""
    return f"{decisions}\n```{{toctree}}\n:hidden:\n:glob:\n\n0*\n```\n"


MADE_MORE = {Path("reasons.md"): with_index, Path("adr/index.md"): with_pages}


def buttons() -> str:
    """A page about each playbook: what its comments say about its variables, and the form that AWX makes of its survey."""
    lines = ["# Each playbook: its variables, and its form in AWX", "", (HERE / "buttons.txt").read_text()]
    awx = yaml.safe_load((CHECKOUT / "playbooks" / "vars" / "awx.yml").read_text())
    usual = awx["diskwise_awx_question"]
    forms = {template["name"]: form(template["title"], [{**usual, **asked} for asked in template["survey"]]) for template in awx["diskwise_awx_templates"]}
    for file in sorted((CHECKOUT / "playbooks").glob("*.yml")):
        said, variables = commented(file)
        lines += [f"({file.stem})=", f"## `{file.stem}`", "", " ".join(said) or f"{yaml.safe_load(file.read_text())[-1]['name']}.", ""]
        lines += ["| variable | |", "| --- | --- |"]
        lines += [f"| `{name}` | {says.replace('|', chr(92) + '|')} |" for name, says in variables]
        lines += ["", forms[file.stem], ""] if file.stem in forms else [""]
    return "\n".join(lines)


def commented(playbook: Path) -> tuple[list[str], list[list[str]]]:
    """What the comments before the first play say, and the variables with what they say about each."""
    said: list[str] = []
    variables: list[list[str]] = []
    for line in re.split(r"^- ", playbook.read_text(), maxsplit=1, flags=re.MULTILINE)[0].splitlines():
        line = line.removeprefix("#").removeprefix(" ")
        named = re.match(r"(diskwise_\w+): (.*)", line)
        if line.startswith(("---", "SPDX-", "Connection:", "diskwise_hosts:")):
            continue
        if named:
            variables.append([*named.groups()])
        elif variables and line.startswith("  "):
            variables[-1][1] += " " + line.strip()
        elif line and not variables:
            said.append(line)
    return said, variables


def form(title: str, survey: list[dict[str, Any]]) -> str:
    """A survey as a form that can be looked at and not be filled in."""
    style = "display: block; box-sizing: border-box; width: 100%; max-width: 32em; font: inherit; margin-bottom: .6em"
    fields = []
    for question in survey:
        name, default = question["question_name"], escape(str(question["default"]))
        star = " *" if question["required"] else ""
        hint = f"<br><small>{escape(question['question_description'])}</small>" if question["question_description"] else ""
        if question["type"] == "multiplechoice":
            choices = "".join(f"<option{' selected' * (escape(choice) == default)}>{escape(choice)}</option>" for choice in question["choices"])
            field = f'<select disabled style="{style}">{choices}</select>'
        elif question["type"] == "textarea":
            field = f'<textarea disabled rows="2" style="{style}">{default}</textarea>'
        else:
            field = f'<input disabled value="{default}" style="{style}">'
        fields.append(f"<label>{escape(name)}{star}{hint}{field}</label>")
    legend = f'<legend style="font-size: 100%; width: auto; padding: 0 .4em; margin: 0"><b>{escape(title)}</b> (drawn from the survey)</legend>'
    border = "border: 1px solid #c8c8c8; padding: .6em 1em; margin-bottom: 1.5em"
    return f'<fieldset style="{border}">{legend}{"".join(fields)}</fieldset>'


def prepare(source: Path) -> None:
    """Put the sources of the site together."""
    shutil.rmtree(source, ignore_errors=True)
    reference = source / "reference"
    reference.mkdir(parents=True)
    reference.chmod(0o755)  # antsibull-docs wants a folder that nobody else can write to
    made = (BIN / "antsibull-docs", "--config-file", HERE / "antsibull-docs.cfg", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error")
    subprocess.run([*made, "--dest-dir", reference, "diskwise.vm"], check=True, env=ENVIRONMENT)
    home = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["repository"]
    for document, place in pages().items():
        target = source / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(MADE_MORE.get(place, str)(relinked(document, home)))
    (source / "buttons.md").write_text(buttons())
    shutil.copytree(CHECKOUT / "docs" / "images", source / "images")
    awx.draw(source / "images")


def build(target: Path) -> None:
    prepare(SOURCE)
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(
        [BIN / "sphinx-build", "-b", "html", "-c", HERE, "-d", CHECKOUT / ".build" / "doctrees", "-E", "-W", "--keep-going", "-q", SOURCE, target],
        check=True,
        env=ENVIRONMENT,
    )


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "build" / "docs"
    try:
        build(place)
    except Broken as broken:
        sys.exit(f"A link leads nowhere. {broken}")
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
    print(f"The site is in {os.path.relpath(place)}/index.html")
