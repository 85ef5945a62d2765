# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's rules, under node: they say what the engine says. And the page is what its sources make."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
from ansible import template
from ansible.parsing.dataloader import DataLoader

from ansible_collections.diskwise.vm.plugins.filter.snapshot_composer import PAGE
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Vm
from ansible_collections.diskwise.vm.plugins.module_utils._report import report
from tests.tools.stage import CHECKOUT
from tests.ui import drawn
from tests.vectors import engine

VECTORS = engine.vectors()
RANDOM_VMS = 400
WISHES = 10
FUZZED = 3000


def title(vector: Mapping[str, Any]) -> str:
    return f"{vector['file']}: {vector['title']}"


@pytest.fixture(scope="module")
def answers(rules) -> Mapping[str, Any]:
    return dict(zip(map(title, VECTORS), rules("judge.mjs", VECTORS)))


@pytest.mark.parametrize("vector", VECTORS, ids=title)
def test_a16_the_page_says_what_the_vector_says(vector: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    answer = answers[title(vector)]
    assert answer["options"] == vector["options"]
    assert answer["says"] == vector["says"]


def random_vectors() -> list[dict[str, Any]]:
    found = []
    for seed in range(RANDOM_VMS):
        vm, chance = drawn.random_vm(seed), random.Random(-seed - 1)
        for _number in range(WISHES):
            allowed = {
                "allow_partial_memory": chance.random() < 0.5,
                "allow_disk_removal": chance.random() < 0.5,
                "if_running": chance.choice(("fail", "shutdown", "poweroff")),
            }
            verbs = ("commit", "undo", "preview", "create") if vm.preview else ("preview", "restore", "preview", "restore", "create")
            vector: dict[str, Any] = {"report": report(vm), "verb": chance.choice(verbs), "allowed": allowed}
            if vector["verb"] == "create":
                vector["snapshot"] = {
                    "name": chance.choice(("new", "s1", "s2", "a/b", "")),
                    "description": "",
                    "disks": [disk.id for disk in vm.disks if not disk.removable and chance.random() < 0.7],
                    "memory": chance.random() < 0.3,
                    "quiesce": chance.choice(("required", "preferred", "never")),
                    "allow_partial_memory": chance.random() < 0.5,
                }
            elif vector["verb"] in ("preview", "restore"):
                shows = drawn.random_composition(vm, chance)
                vector["shows"] = {"config": shows.config, "memory": shows.memory, "disks": dict(shows.disks)}
            found.append(vector)
    return found


def test_a16_the_page_and_the_engine_agree_on_thousands_of_random_wishes(rules) -> None:
    vectors = random_vectors()
    kinds: dict[str, int] = {}
    for vector, answer in zip(vectors, rules("judge.mjs", vectors)):
        said = engine.says(engine.vm_of(vector), vector["verb"], answer["options"])
        assert answer["says"] == said, json.dumps(vector)
        kind = f"{vector['verb']}: {said.get('refused', 'allowed')}"
        kinds[kind] = kinds.get(kind, 0) + 1
    allowed = {kind: count for kind, count in kinds.items() if kind.endswith("allowed")}
    assert len(kinds) > 30, kinds
    assert min(allowed.values()) > 25, kinds


@pytest.mark.parametrize("where", ["config", "disk"])
def test_a_snapshot_whose_name_is_a_word_of_the_options_cannot_be_chosen(where: str, rules) -> None:
    """As a source, ``current`` would silently mean something else."""
    vm = drawn.demo()
    named = [*vm.snapshots]
    named[0] = type(named[0])("current", "current", images=named[0].images, disks=vm.disks)
    shows = {"config": "current", "disks": {}} if where == "config" else {"config": None, "disks": {"vda": "current"}}
    odd = report(Vm(vm.id, vm.name, disks=vm.disks, snapshots=tuple(named), images=vm.images, leaf=vm.leaf))
    (answer,) = rules("judge.mjs", [{"report": odd, "verb": "preview", "shows": {"memory": False, **shows}}])
    assert answer["says"] == {"refused": "reserved_name"}


def hostile_text(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return chance.choice(drawn.HOSTILE)
    pool = "ab {}%#\"'\\\n\t:-[]&*!|>@`,?~\u0000\u001b\u007f\u0085\u00a0\u00ad\u2028\u202e\ufeff\u05d0\u0441\U0001f600"
    return "".join(chance.choice((*pool, "{{", "}}", "{%", "%}", "{#", "null", "true", "1e3", "0x1")) for _number in range(chance.randint(0, 12)))


def test_a2_whatever_is_handed_over_is_loaded_by_ansible_as_exactly_that_and_never_templated(rules) -> None:
    chance = random.Random(2)
    asked = []
    for _number in range(FUZZED):
        text = [hostile_text(chance) for _text in range(9)]
        disks = [{"disk": text[4], "snapshot": text[5]}, {"disk": text[6], "exclude": True}][: chance.randint(0, 2)]
        options = {"vm": text[2], "config": text[3], "memory": chance.random() < 0.5, "disks": disks, "expect_fingerprint": text[7]}
        vm = Vm(text[2], text[0], disks=(type(drawn.demo().disks[0])(text[4], text[1], "vda"),))
        asked.append({"report": report(vm), "options": options, "verb": "preview", "connection": {"uri": text[8], "hosts": "localhost"}})
    loader = DataLoader()
    templar = template.Templar(loader=loader, variables={})
    # As if it came from a file: text that Ansible would template, unless it is marked.
    trusted = getattr(template, "trust_as_template", str)
    assert templar.template(loader.load(trusted('- "{{ 1 + 1 }}"'))) == [2]
    for given, (task, variables) in zip(asked, rules("emit.mjs", asked)):
        options = dict(given["options"])
        if given["connection"]["uri"]:
            options["uri"] = given["connection"]["uri"]
        assert re.fullmatch(r"[\n\x20-\x7e]+", re.sub(r"  # .*", "", task)), "plain ASCII, apart from comments"
        (loaded,) = loader.load(trusted(task))
        assert templar.template(loaded) == {"name": "Preview a composition", "diskwise.vm.snapshot_preview": options}
        assert loaded["diskwise.vm.snapshot_preview"] == options
        names = {"vm": "diskwise_vm", "disks": "diskwise_choices"}
        assert json.loads(variables) == {names.get(name, f"diskwise_{name}"): value for name, value in options.items()}


def test_a15_the_page_in_the_collection_is_what_its_sources_make() -> None:
    subprocess.run([str(CHECKOUT / "ui" / "check")], check=True)


def test_a15_the_page_is_plain_and_small_and_carries_the_licence_of_what_it_contains() -> None:
    text = PAGE.read_text(encoding="ascii")
    assert len(text) <= 90_000
    assert "Copyright (c) 2015-present Jason Miller" in text
    assert "Permission is hereby granted, free of charge" in text
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+?\"", "", text.split("<style>")[1]), "nothing that could be loaded"


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((CHECKOUT / "ui" / "package-lock.json").read_text())
    assert all("resolved" not in package and (not name or "integrity" in package) for name, package in lock["packages"].items())
