# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the page in the documentation:  python -m tests.ui.pictures [FOLDER]"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from ansible_collections.diskwise.vm.plugins.filter.snapshot_composer import snapshot_composer
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Vm
from ansible_collections.diskwise.vm.plugins.module_utils._report import report
from tests.tools.stage import CHECKOUT
from tests.ui import drawn
from tests.ui.composer import Composer
from tests.ui.drawn import BEFORE_UPGRADE, COLLECTED

FOLDER = CHECKOUT / "docs" / "images"
WIDE = {"width": 1360, "height": 800}
Compose = Callable[[Composer], Any]


def composed(page: Composer) -> None:
    page.take(BEFORE_UPGRADE)
    page.image("vdb", "database imported").click()
    page.exclude("vdd").check()


def resumed(page: Composer) -> None:
    page.take(BEFORE_UPGRADE)
    page.memory(BEFORE_UPGRADE).check()
    page.image("vdb", "database imported").click()
    page.at("ack").check()


def creating(page: Composer) -> None:
    page.at("mode").select_option("create")
    page.at("name").fill("before patching")
    page.at("include", disk="vdd").uncheck()
    page.at("include", disk="vdb").uncheck()


def nothing(page: Composer) -> None:
    """As it opens."""


PICTURES: dict[str, tuple[Callable[[], Vm], Compose, dict[str, Any]]] = {
    "composer": (drawn.demo, composed, {}),
    "composer-dark": (drawn.demo, composed, {"color_scheme": "dark"}),
    "composer-memory": (drawn.demo, resumed, {}),
    "composer-in-preview": (drawn.shown, nothing, {}),
    "composer-create": (drawn.demo, creating, {}),
    "composer-narrow": (drawn.demo, composed, {"viewport": {"width": 430, "height": 800}}),
    "composer-large": (drawn.big, nothing, {"viewport": {"width": 1680, "height": 1100}}),
    "composer-forced-colors": (drawn.demo, composed, {"forced_colors": "active"}),
}


def take(browser: Browser, folder: Path) -> None:
    with TemporaryDirectory() as pages:
        file = Path(pages) / "page.html"
        for name, (vm, compose, options) in PICTURES.items():
            page = browser.new_page(**{"viewport": WIDE, "reduced_motion": "reduce", **options})
            uri = "" if vm is drawn.big else "qemu:///system"
            file.write_text(snapshot_composer({"report": report(vm())}, uri=uri, collected=COLLECTED))
            page.goto(file.as_uri())
            compose(Composer(page, vm(), [], file))
            page.mouse.move(0, 0)
            page.screenshot(path=folder / f"{name}.png", full_page=True)
            page.close()


if __name__ == "__main__":
    wanted = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    wanted.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        take(playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]), wanted)
