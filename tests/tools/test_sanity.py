# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-test says without failing, and must fail for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.tools.sanity import CORES, NOT_RUN, OLDEST_TARGET, complaints, find_python, misses_oldest_target, not_run
from tests.tools.stage import CHECKOUT, TRUTH, collection_files, stage

GOOD = (
    "".join(f'Running sanity test "{test}"\n' for test in ("validate-modules", "pep8", "pylint", "yamllint")) + 'Running sanity test "import" on Python 3.9\n'
)


def test_good_log() -> None:
    assert complaints(GOOD) == []


@pytest.mark.parametrize(
    ("log", "complaint"),
    [
        (GOOD + "WARNING: All targets skipped.\n", "skipped all targets"),
        (GOOD.replace("validate-modules", "other"), "validate-modules was not run"),
    ],
)
def test_empty_success(log: str, complaint: str) -> None:
    assert [found for found in complaints(log) if complaint in found]


@pytest.mark.parametrize(("version", "misses"), [("3.9", True), ("3.14", False)])
def test_only_the_oldest_python_must_be_there(version: str, misses: bool) -> None:
    log = GOOD + f'WARNING: Skipping sanity test "import" on Python {version} because it could not be found.\n'
    assert misses_oldest_target(log) is misses
    assert complaints(log) == []


def test_missing_python_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert not_run("no Python", otherwise=NOT_RUN) == NOT_RUN
    monkeypatch.setenv("CI", "true")
    assert not_run("no Python", otherwise=NOT_RUN) == 1


def test_tested_versions_are_those_promised() -> None:
    oldest = min(CORES, key=lambda core: [int(number) for number in core.split(".")])
    assert yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text())["requires_ansible"] == f">={oldest}.0"
    modules_python = yaml.safe_load((CHECKOUT / "tests" / "config.yml").read_text())["modules"]["python_requires"]
    assert modules_python == f">={OLDEST_TARGET}"


def test_python_that_is_found_but_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, status in (("3.99", 127), ("3.98", 0)):
        (tmp_path / f"python{version}").write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / f"python{version}").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python(("3.99", "3.98")) == str(tmp_path / "python3.98")
    assert find_python(("3.99",)) is None


def test_staged_copy_is_complete_and_not_ignored(tmp_path: Path) -> None:
    collection = stage(tmp_path / "stage")
    assert collection == tmp_path / "stage" / "ansible_collections" / "diskwise" / "vm"
    listing = subprocess.run(["git", "ls-files", "--others", "--exclude-standard", "-z"], cwd=collection, check=True, capture_output=True, text=True).stdout
    assert {Path(name) for name in listing.split("\0") if name} == set(collection_files()) - {TRUTH}
