# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of ARCHITECTURE.md that can be read off the source: who imports whom, who talks to Ansible, what is frozen, how long a file is."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
MODULE_UTILS = PLUGINS / "module_utils"
ENGINE = sorted((MODULE_UTILS / "_engine").glob("*.py"))
BACKENDS = sorted(folder for folder in (MODULE_UTILS / "_backends").iterdir() if folder.is_dir() and folder.name != "__pycache__")
BACKEND_FILES = [file for folder in BACKENDS for file in sorted(folder.rglob("*.py"))]
EVERY = sorted(PLUGINS.rglob("*.py"))

# Before 3.10 a Python does not know what its library is; the same rules are then checked by those that do.
STANDARD = getattr(sys, "stdlib_module_names", None)
knows_its_library = pytest.mark.skipif(STANDARD is None, reason="this Python has no list of its standard library")
IMPURE = {"os", "time", "uuid", "random", "datetime", "pathlib", "subprocess", "socket", "io", "shutil", "tempfile", "threading", "secrets", "logging"}
SDK = {"libvirt": {"libvirt", "libvirt_qemu"}, "ovirt": {"ovirtsdk4"}}
OF_ANSIBLE = {"env_fallback", "missing_required_lib"}
ENGINE_LINES = 200
FUNCTION_LINES = 60


def name(file: Path) -> str:
    return str(file.relative_to(PLUGINS))


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """(module, imported name), relative ones with the name of the package below module_utils: ``_engine.model``."""
    package = file.relative_to(PLUGINS).parts[:-1]
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package[1 : len(package) - node.level + 1]
                module = ".".join([*base, *module.split(".")] if module else base)
            yield from ((module, alias.name) for alias in node.names)


def test_there_is_something_to_look_at() -> None:
    assert len(ENGINE) > 10
    assert [folder.name for folder in BACKENDS] == [found for found in sorted(SDK) if (MODULE_UTILS / "_backends" / found).is_dir()]


@knows_its_library
@pytest.mark.parametrize("file", ENGINE, ids=name)
def test_the_engine_knows_only_itself_and_pure_parts_of_the_standard_library(file: Path) -> None:
    for module, _imported in imports(file):
        top = module.split(".")[0]
        assert top == "_engine" or (top in STANDARD and top not in IMPURE), f"{name(file)} imports {module}"


@pytest.mark.parametrize("file", ENGINE, ids=name)
def test_the_engine_does_no_input_or_output(file: Path) -> None:
    calls = {node.func.id for node in ast.walk(tree(file)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert calls & {"open", "print", "input", "exec", "eval", "__import__"} == set()


@knows_its_library
@pytest.mark.parametrize("file", BACKEND_FILES, ids=name)
def test_a_backend_knows_only_the_engine_and_its_own_sdk(file: Path) -> None:
    backend = file.relative_to(MODULE_UTILS / "_backends").parts[0]
    for module, imported in imports(file):
        top = module.split(".")[0]
        if top == "ansible":
            assert imported in OF_ANSIBLE, f"{name(file)} imports {imported} of {module}"
        elif top == "_backends":
            assert module == f"_backends.{backend}" or module.startswith(f"_backends.{backend}."), f"{name(file)} imports {module}"
        else:
            assert top == "_engine" or top in STANDARD or top in SDK[backend], f"{name(file)} imports {module}"


def test_only_the_edge_touches_the_ansible_module() -> None:
    touching = {name(file) for file in EVERY if any(imported == "AnsibleModule" for _module, imported in imports(file))}
    assert touching == {"module_utils/_module.py"}


@pytest.mark.parametrize("method", ["exit_json", "fail_json"])
def test_a_module_ends_in_one_place(method: str) -> None:
    attributes = [(name(file), node) for file in EVERY for node in ast.walk(tree(file)) if isinstance(node, ast.Attribute) and node.attr == method]
    calls = [file for file, node in attributes if ast.unparse(node.value) != "super()"]
    assert calls == ["module_utils/_module.py"]


@pytest.mark.parametrize("file", ENGINE, ids=name)
def test_values_are_frozen(file: Path) -> None:
    for node in ast.walk(tree(file)):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            text = ast.unparse(decorator)
            assert not text.startswith("dataclass") or text == "dataclass(frozen=True)", f"{name(file)}:{node.lineno}"


@pytest.mark.parametrize("file", ENGINE, ids=name)
def test_no_inheritance_except_errors_and_protocols(file: Path) -> None:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef) and file.name != "errors.py":
            assert {ast.unparse(base) for base in node.bases} <= {"Protocol"}, f"{name(file)}:{node.lineno}"


def code_lines(source: str) -> set[int]:
    """Lines that hold code: no blank lines, comments or strings that stand alone."""
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in quiet:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


@pytest.mark.parametrize("file", ENGINE, ids=name)
def test_an_engine_file_is_short(file: Path) -> None:
    assert len(code_lines(file.read_text(encoding="utf-8"))) <= ENGINE_LINES


@pytest.mark.parametrize("file", ENGINE, ids=name)
def test_an_engine_function_is_short(file: Path) -> None:
    lines = code_lines(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef):
            length = len(lines.intersection(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
            assert length <= FUNCTION_LINES, f"{node.name}: {length} lines"


@pytest.mark.parametrize("file", EVERY, ids=name)
def test_plugins_run_on_the_oldest_python_and_assert_nothing(file: Path) -> None:
    """ansible-test says so too, but later."""
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree(file))), name(file)
