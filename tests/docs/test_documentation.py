# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules' documentation says about options is what their argument specs do."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from ansible_collections.diskwise.vm.plugins.module_utils import _options
from tests.docs.playing import COLLECTION, MODULES, documentation, environment, run
from tests.tools.stage import CHECKOUT

GROUPS = {name for name, value in vars(_options).items() if isinstance(value, _options.Options)}
STATED = ("type", "elements", "required", "default", "choices")


def source_of(module: str) -> ast.Module:
    return ast.parse((CHECKOUT / "plugins" / "modules" / f"{module}.py").read_text())


def options_of(module: str, monkeypatch: pytest.MonkeyPatch) -> _options.Options:
    """The options that the module hands to the edge."""
    found: list[_options.Options] = []
    code = importlib.import_module(f"ansible_collections.diskwise.vm.plugins.modules.{module}")
    for edge in ("run", "show"):
        monkeypatch.setattr(code, edge, lambda options, *_: found.append(options), raising=False)
    code.main()
    return found[0]


def stated(option: Mapping[str, Any], children: str) -> dict[str, Any]:
    """An option reduced to what documentation and spec both say."""
    said = {name: option[name] for name in STATED if option.get(name) not in (None, False, "")}
    said.update({f".{name}": stated(child, children) for name, child in (option.get(children) or {}).items()})
    return {"type": "str", **said}


def differences(spec: Mapping[str, Any], documented: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(set(spec) | set(documented)):
        said, done = stated(documented.get(name, {}), "suboptions"), stated(spec.get(name, {}), "options")
        if name not in spec or name not in documented or said != done:
            yield f"{name}: documented {said}, in the argument spec {done}"


@pytest.mark.parametrize("module", MODULES)
def test_options_agree(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(differences(options_of(module, monkeypatch).spec, documentation()[module]["doc"]["options"])) == []


def test_a_difference_is_seen() -> None:
    spec = {"a": {"type": "list", "elements": "dict", "options": {"b": {"type": "bool", "default": True}}}}
    same = {"a": {"type": "list", "elements": "dict", "suboptions": {"b": {"type": "bool", "default": True}}}}
    other = {"a": {"type": "list", "elements": "dict", "suboptions": {"b": {"type": "bool", "default": False}}}}
    assert list(differences(spec, same)) == []
    assert len(list(differences(spec, other))) == 1
    assert len(list(differences(spec, {}))) == 1
    assert len(list(differences({}, same))) == 1


@pytest.mark.parametrize("module", MODULES)
def test_rules_between_options_are_told(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = documentation()[module]["doc"]["options"]
    for group in (names for names_of in options_of(module, monkeypatch).rules.values() for names in names_of):
        for name in group:
            others = [other for other in group if other != name]
            assert all(f"O({other})" in " ".join(options[name]["description"]) for other in others), f"{name} does not mention {others}"


@pytest.mark.parametrize("module", MODULES)
def test_fragments_are_the_option_groups(module: str) -> None:
    """The documentation is put together from the same parts as the argument spec."""
    body = source_of(module).body
    main = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == "main")
    used = {node.id for node in ast.walk(main) if isinstance(node, ast.Name)} & GROUPS
    assigned = {ast.unparse(node.targets[0]): node.value for node in body if isinstance(node, ast.Assign)}
    fragments = yaml.safe_load(ast.literal_eval(assigned["DOCUMENTATION"]))["extends_documentation_fragment"]
    assert sorted(fragments) == sorted(f"{COLLECTION}._{name.lower()}" for name in {*used, "ATTRIBUTES"})


def test_each_option_group_has_its_fragment() -> None:
    fragments = {file.stem for file in (CHECKOUT / "plugins" / "doc_fragments").glob("*.py")}
    assert fragments == {f"_{name.lower()}" for name in GROUPS} | {"_attributes"}


@pytest.mark.parametrize("module", MODULES)
def test_renders_without_complaint(module: str) -> None:
    shown = run("ansible-doc", "--type", "module", f"{COLLECTION}.{module}", environment=environment())
    assert shown.returncode == 0, shown.stdout
    assert "[WARNING]" not in shown.stdout
    assert "[ERROR]" not in shown.stdout
    assert f"{COLLECTION}.{module}" in shown.stdout


@pytest.mark.parametrize("module", MODULES)
def test_check_mode_is_promised(module: str) -> None:
    attributes = documentation()[module]["doc"]["attributes"]
    assert attributes["check_mode"]["support"] == "full"
    assert attributes["action_group"]["membership"] == [f"{COLLECTION}.snapshot"]


@pytest.mark.parametrize("module", MODULES)
def test_examples_use_the_module(module: str) -> None:
    tasks = yaml.safe_load(documentation()[module]["examples"])
    assert all(task.get("name") for task in tasks)
    assert sum(f"{COLLECTION}.{module}" in task for task in tasks) >= 2


def test_same_key_same_shape() -> None:
    """A key that several modules return holds the same things in each; only what snapshot_info says of a VM is more."""
    shapes: dict[str, dict[str, Any]] = {}
    for module in MODULES:
        for key, value in documentation()[module]["return"].items():
            if module != "snapshot_info":
                shapes.setdefault(key, {})[module] = {name: value[name] for name in ("type", "elements", "contains") if name in value}
    differing = {key: sorted(found) for key, found in shapes.items() if any(shape != next(iter(found.values())) for shape in found.values())}
    assert differing == {}
