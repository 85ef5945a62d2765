# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of README and modules are played, on VMs as they speak of, and return what the documentation says.

Each finds three running VMs: app01 and app02 with the disks os, data and logs, and db01 with os and pg-data. The folder `before` has the
tasks that prepare them, such as the snapshots that an example takes for granted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import libvirt
import pytest
import yaml

from tests.docs.playing import COLLECTION, MODULES, Played, as_play, documentation, play
from tests.lab import vm as vms
from tests.lab.daemon import Daemon
from tests.tools.stage import CHECKOUT

VMS = {"app01": ("os", "data", "logs"), "app02": ("os", "data", "logs"), "db01": ("os", "pg-data")}
# Those that an example finds running, although its preparation stopped them.
RUNNING = {
    "snapshot_create": ("app01", "app02", "db01"),
    "snapshot_info": ("app01",),
    "snapshot_preview": ("app01", "app02", "db01"),
    "snapshot_commit": ("app01",),
    "snapshot_undo": ("app01", "db01"),
    "snapshot_restore": ("app01", "app02", "db01"),
    "snapshot_remove": ("app01",),
    "README": ("app01",),
}
# What Ansible puts into any result, or takes out of it.
ANSIBLES_OWN = {"changed", "failed", "invocation", "exception", "ansible_facts", "deprecations"}
Lab = Callable[[str], Path]


@pytest.fixture(scope="module")
def lab(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Prepares the VMs for what is named, and returns a folder to play in."""
    conn = libvirt.open(daemon.uri)
    images = daemon.folder / "docs"
    images.mkdir(mode=0o711, exist_ok=True)

    def clear() -> None:
        vms.remove_all(conn, images)
        for file in images.iterdir():
            file.unlink()

    def prepare(subject: str) -> Path:
        clear()
        made = {name: vms.make(conn, images, name, disks) for name, disks in VMS.items()}
        for vm in made.values():
            vm.start()
        folder = tmp_path_factory.mktemp(subject)
        tasks = yaml.safe_load((CHECKOUT / "tests" / "docs" / "before" / f"{subject}.yml").read_text())
        if tasks:
            played = play(as_play(tasks), folder, daemon.uri)
            assert played.status == 0, played.said
        for name, vm in made.items():
            if name not in RUNNING[subject]:
                vm.destroy()
            elif not vm.active:
                vm.start()
        return folder

    yield prepare
    clear()
    conn.close()


@pytest.fixture(scope="module")
def examples(lab: Lab, daemon: Daemon) -> Callable[[str], Played]:
    """Plays the examples of a module, once."""
    known: dict[str, Played] = {}

    def played(module: str) -> Played:
        if module not in known:
            folder = lab(module)
            known[module] = play(as_play(yaml.safe_load(documentation()[module]["examples"])), folder, daemon.uri, "--diff")
        return known[module]

    return played


def blocks(document: Path) -> list[str]:
    """The YAML blocks of a document."""
    return re.findall(r"^```ya?ml\n(.*?)^```$", document.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_module(module: str, examples: Callable[[str], Played]) -> None:
    played = examples(module)
    assert played.status == 0, played.said
    results = [result for name, result in played.results if name == module]
    if module != "snapshot_info":
        assert all(result["changed"] for result in results), "an example that does nothing shows nothing"


def test_readme(lab: Lab, daemon: Daemon) -> None:
    found = blocks(CHECKOUT / "README.md")
    assert found
    for block in found:
        played = play(yaml.safe_load(block), lab("README"), daemon.uri)
        assert played.status == 0, played.said
        assert any(result["changed"] for _module, result in played.results)


def test_no_other_document_has_blocks_that_are_not_played() -> None:
    """Those of the site are played by tests/docsite, and that of AWX by tests/roles."""
    site, awx = CHECKOUT / "docs" / "docsite", CHECKOUT / "docs" / "awx.md"
    documents = [CHECKOUT / "ARCHITECTURE.md", CHECKOUT / "CONTRIBUTING.md", *(CHECKOUT / "docs").rglob("*.md")]
    assert {str(document) for document in documents if document != awx and site not in document.parents and blocks(document)} == set()


# What is returned --------------------------------------------------------------------------------------------------------------------


def least(module: str) -> dict[str, Any]:
    """The options that the module cannot do without, besides the VM."""
    options = documentation()[module]["doc"]["options"]
    given = {name: "before-upgrade" for name, option in options.items() if option.get("required") and name != "vm"}
    return given or ({"snapshot": "before-upgrade"} if module in ("snapshot_preview", "snapshot_restore") else {})


@pytest.fixture(scope="module")
def failures(lab: Lab, daemon: Daemon) -> Mapping[str, list[Mapping[str, Any]]]:
    """Module -> results of tasks that fail: for one VM, for the first of two, and without a hypervisor."""
    folder = lab("README")
    asked: list[dict[str, Any]] = []
    for module in MODULES:
        for options in (
            {"vm": "nobody"},
            {"vm": ["nobody", "app02"], "on_vm_error": "stop"},
            {"vm": "app02", "uri": f"qemu:///system?socket={folder}/nothing"},
        ):
            asked.append({"name": "Fail", f"{COLLECTION}.{module}": {**least(module), **options}, "ignore_errors": True})
    played = play(as_play(asked), folder, daemon.uri)
    assert played.status == 0, played.said
    found: dict[str, list[Mapping[str, Any]]] = {module: [] for module in MODULES}
    for module, result in played.results:
        assert result.get("failed"), (module, result)
        found[module].append(result)
    return found


def undocumented(path: str, documented: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[str]:
    """Paths of the keys that were returned and are not documented. Dictionaries whose keys are names have no `contains`."""
    for key, inner in value.items():
        if key not in documented:
            yield f"{path}{key}"
            continue
        contains = documented[key].get("contains")
        for item in inner if isinstance(inner, list) else [inner]:
            if contains and isinstance(item, dict):
                yield from undocumented(f"{path}{key}.", contains, item)


def seen(path: str, documented: Mapping[str, Any], values: list[Mapping[str, Any]]) -> Iterator[str]:
    """Paths of the documented keys that none of the values has. What is below a list that was always empty is not asked for."""
    for key, described in documented.items():
        found = [value[key] for value in values if key in value]
        if not found:
            yield f"{path}{key}"
        inner = [item for value in found for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]
        if described.get("contains") and inner:
            yield from seen(f"{path}{key}.", described["contains"], inner)


def results_of(module: str, examples: Callable[[str], Played], failures: Mapping[str, list[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """All results of the module, and those of the single VMs within them, whose name is told in the description of `results`."""
    top = [result for name, result in examples(module).results if name == module] + failures[module]
    within = [{key: value for key, value in result.items() if key != "name"} for whole in top for result in whole.get("results", ())]
    found = top + [result for result in within if not result.get("skipped")]
    return [{key: value for key, value in result.items() if key not in ANSIBLES_OWN and not key.startswith("_ansible")} for result in found]


@pytest.mark.parametrize("module", MODULES)
def test_returns_what_is_documented_and_nothing_else(module: str, examples: Callable[[str], Played], failures: Mapping[str, list[Mapping[str, Any]]]) -> None:
    documented = documentation()[module]["return"]
    results = results_of(module, examples, failures)
    assert {path for result in results for path in undocumented("", documented, result)} == set()
    assert list(seen("", documented, results)) == []


@pytest.mark.parametrize("module", MODULES)
def test_failures_say_why(module: str, failures: Mapping[str, list[Mapping[str, Any]]]) -> None:
    one, stopped, unreachable = failures[module]
    assert one["reason"] == "unknown_vm"
    assert one["results"][0]["name"] == "nobody"
    assert [result.get("failed", False) for result in stopped["results"]] == [True, False]
    assert stopped["results"][1]["reason"] == "not_attempted"
    assert {"msg", "reason", "hint"} <= set(unreachable)
