# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reason code of the source is explained in docs/reasons.md, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.stage import CHECKOUT

PLUGINS = CHECKOUT / "plugins"
REASONS = CHECKOUT / "docs" / "reasons.md"
ERRORS = PLUGINS / "module_utils" / "_engine" / "errors.py"
CODE = re.compile(r"[a-z][a-z0-9_]*")


def error_classes() -> dict[str, str | None]:
    """Class -> the code it has when none is given."""
    found: dict[str, str | None] = {}
    for node in ast.parse(ERRORS.read_text()).body:
        if isinstance(node, ast.ClassDef):
            own = [statement.value for statement in node.body if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "reason"]
            found[node.name] = ast.literal_eval(own[0]) if own else None
    return found


CLASSES = error_classes()
# Where a call of these carries its code: (position, keyword).
CARRIERS = {**dict.fromkeys(CLASSES, (1, "reason")), "Problem": (0, "code")}


def spoken(node: ast.expr) -> Iterator[str | None]:
    """The codes that an expression may have; None for one that is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from spoken(node.body)
        yield from spoken(node.orelse)
    elif not (isinstance(node, ast.Attribute) and node.attr in ("code", "reason")):  # handed on: collected where it was made
        yield None


def codes_in(source: str) -> set[str | None]:
    found: set[str | None] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
            position, keyword = CARRIERS.get(name, (None, ""))
            if position is None:
                continue
            values = [argument.value for argument in node.keywords if argument.arg == keyword] or node.args[position : position + 1]
            found.update(code for value in values for code in spoken(value))
            if not values and name in CLASSES:
                found.add(CLASSES[name])
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and key.value == "reason":
                    found.update(code for code in spoken(value) if code is not None)
    return found


def codes_of_source() -> dict[str | None, list[str]]:
    """Code -> the files that speak it."""
    found: dict[str | None, list[str]] = {}
    for file in sorted(PLUGINS.rglob("*.py")):
        for code in codes_in(file.read_text()):
            found.setdefault(code, []).append(str(file.relative_to(PLUGINS)))
    return found


def explained() -> list[str]:
    return re.findall(r"^### `([^`]*)`$", REASONS.read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ('Refused("x", "a_code", "hint")', {"a_code"}),
        ('errors.Busy("x", reason="busy_there")', {"busy_there"}),
        ('NotFound("x")', {"not_found"}),
        ('Problem("rot", "x", "y")', {"rot"}),
        ('Problem(code="rot", subject="x", says="y")', {"rot"}),
        ('Refused("x", "a" if y else "b")', {"a", "b"}),
        ('Refused("x", problem.code)', set()),
        ('Refused("x", made(y))', {None}),
        ('{"reason": "bug", "other": "x"}', {"bug"}),
        ('print("x", "y")', set()),
    ],
)
def test_codes_are_found(source: str, codes: set[str | None]) -> None:
    assert codes_in(source) == codes


def test_no_code_is_computed() -> None:
    assert codes_of_source().get(None, []) == [], "a code that is put together at run time cannot be looked up"


def test_every_code_is_explained() -> None:
    source, known = codes_of_source(), set(explained())
    missing = {code: files for code, files in source.items() if code is not None and code not in known}
    assert missing == {}


def test_nothing_else_is_explained() -> None:
    assert sorted(set(explained()) - set(codes_of_source())) == []


def test_codes_are_well_formed_and_in_order() -> None:
    for chapter in REASONS.read_text().split("\n## ")[1:]:
        codes = re.findall(r"^### `([^`]*)`$", chapter, flags=re.MULTILINE)
        assert codes == sorted(set(codes)), chapter.splitlines()[0]
        assert all(CODE.fullmatch(code) for code in codes)


def test_each_explanation_says_what_to_do() -> None:
    for entry in REASONS.read_text().split("\n### ")[1:]:
        body = re.split(r"\n## ", entry)[0]
        assert re.search(r"\*\*Do:\*\* \S", body), body.splitlines()[0]


def test_hints_name_documents_that_exist() -> None:
    named = {name for file in PLUGINS.rglob("*.py") for name in re.findall(r"docs/[\w./-]+\.md", file.read_text())}
    assert named, "modules point to docs/reasons.md"
    assert sorted(name for name in named if not Path(CHECKOUT / name).is_file()) == []
