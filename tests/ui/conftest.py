# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in a real browser, and its rules under node. Debian's Chromium is used, which is in bindep.txt; node and npm come with requirements-dev.txt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ansible_collections.diskwise.vm.plugins.filter.snapshot_composer import snapshot_composer
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Vm
from ansible_collections.diskwise.vm.plugins.module_utils._report import report
from tests.emulator.fixtures import engine, running_engine
from tests.lab.fixtures import conn, daemon, folder, vm
from tests.tools.stage import CHECKOUT
from tests.ui.composer import Composer
from tests.ui.drawn import COLLECTED

__all__ = ["conn", "daemon", "engine", "folder", "running_engine", "vm"]  # pytest finds them here

UI = CHECKOUT / "ui"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
Open = Callable[..., Composer]


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Sequence[Mapping[str, Any]]], list[Any]]:
    """rules("judge.mjs", vectors): what a script of this folder makes of a list, with the page's rules."""
    module = tmp_path_factory.mktemp("rules") / "rules.mjs"
    subprocess.run([str(UI / "build"), "--rules", str(module)], check=True)

    def ask(script: str, asked: Sequence[Mapping[str, Any]]) -> list[Any]:
        done = subprocess.run(["node", str(Path(__file__).parent / script), str(module)], input=json.dumps(asked), check=True, capture_output=True, text=True)
        answers: list[Any] = json.loads(done.stdout)
        return answers

    return ask


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed; it is in bindep.txt, profile test")
        pytest.skip("chromium is not installed; apt-get install chromium")
    return str(found)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the page is built with is installed, axe among it."""
    subprocess.run([str(UI / "build"), "--to", str(tmp_path_factory.mktemp("built") / "composer.html")], check=True)


@pytest.fixture(scope="session")
def browser(chromium: str, packages: None) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """open_page(vm): the page of the VM, from a file. At the end, none may have had an error, or asked for anything but its own file."""
    opened: list[tuple[Page, list[str]]] = []

    def go(vm: Vm, *, link: str = "", settings: Mapping[str, Any] | None = None, profiles: Mapping[str, Any] | None = None, **options: Any) -> Composer:
        file = tmp_path / f"{len(opened)}.html"
        file.write_text(snapshot_composer({"report": report(vm), "profiles": profiles or {}}, **{"collected": COLLECTED, **(settings or {})}))
        page = browser.new_page(**{"viewport": {"width": 1440, "height": 1000}, "reduced_motion": "reduce", **options})
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: troubles.append(f"request: {request.url}") if request.url.split("#")[0] != file.as_uri() else None)
        opened.append((page, troubles))
        page.goto(file.as_uri() + link)
        return Composer(page, vm, troubles, file)

    yield go
    for page, troubles in opened:
        page.close()
        assert troubles == []
