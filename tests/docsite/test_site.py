# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site is built from this checkout without a warning, and what its pages lead to is there."""

from __future__ import annotations

import filecmp
import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.playing import MODULES
from tests.docs.test_reasons import explained
from tests.docsite.guides import SITE
from tests.tools.stage import CHECKOUT

RESOURCES = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page leads to, what it loads, and what can be led to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.drawings: list[str] = []
        self.pictures: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        # The relations next, index and so on are links; what is loaded are style sheets and icons.
        if tag in RESOURCES and (tag != "link" or given.get("rel") in ("stylesheet", "icon", "shortcut icon")):
            self.loads += [given[RESOURCES[tag]]] if RESOURCES[tag] in given else []
        if tag == "svg":
            self.drawings.append(given.get("aria-label", ""))
        if tag == "img":
            self.pictures.append(given.get("alt", ""))


def build(target: Path) -> str:
    """What it said; it has to succeed."""
    done = subprocess.run([sys.executable, str(SITE / "build.py"), str(target)], cwd=target.parent, check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "html"
    assert "WARNING" not in build(target)
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file.relative_to(site): Page(file.read_text()) for file in sorted(site.rglob("*.html"))}


def test_every_link_within_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for place, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (site / place.parent / unquote(parts.path)).resolve() if parts.path else site / place
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                broken.append(f"{place}: {link}")
            elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in pages[target.relative_to(site)].anchors:
                broken.append(f"{place}: no anchor {link}")
    assert broken == []


def test_every_link_to_elsewhere_is_a_url(pages: dict[Path, Page]) -> None:
    for place, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme in ("https", "mailto"), f"{place}: {link}"
                assert parts.scheme == "mailto" or re.fullmatch(r"[\w.-]+\.[a-z]+", parts.netloc), f"{place}: {link}"


def test_pages_load_nothing_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert [(place, load) for place, page in pages.items() for load in page.loads if re.match(r"(https?:)?//", load)] == []
    assert [file for file in site.rglob("*.css") if re.search(r"url\(['\"]?(https?:)?//", file.read_text())] == []


def test_every_picture_is_told_in_words(pages: dict[Path, Page]) -> None:
    assert any(page.drawings for page in pages.values())
    assert [place for place, page in pages.items() if not all(page.drawings + page.pictures)] == []


def test_everything_has_its_place(pages: dict[Path, Page]) -> None:
    roles = [role.name for role in (CHECKOUT / "roles").iterdir() if (role / "meta" / "argument_specs.yml").is_file()]
    reference = {f"{name}_module.html" for name in MODULES} | {f"{name}_role.html" for name in roles}
    reference |= {f"{file.stem}_filter.html" for file in (CHECKOUT / "plugins" / "filter").glob("*.py")}
    assert {Path("reference") / name for name in reference} - set(pages) == set()
    assert {code.replace("_", "-") for code in explained()} - {anchor.replace("_", "-") for anchor in pages[Path("reasons.html")].anchors} == set()
    assert {file.stem.replace("_", "-") for file in (CHECKOUT / "playbooks").glob("*.yml")} - pages[Path("buttons.html")].anchors == set()


def test_the_same_sources_make_the_same_bytes(site: Path) -> None:
    again = site.parent / "again"
    build(again)
    files = sorted(str(file.relative_to(site)) for file in site.rglob("*") if file.is_file())
    assert sorted(str(file.relative_to(again)) for file in again.rglob("*") if file.is_file()) == files
    _same, different, unread = filecmp.cmpfiles(site, again, files, shallow=False)
    assert different + unread == []


# Drawings ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    found = importlib.util.spec_from_file_location("docsite_draw", SITE / "draw.py")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # dataclasses look there
    found.loader.exec_module(module)
    return module


PICTURE = """\
            before   now
os    ======|~~ new ~|
            |++++++++|
data  === data ======|
"""


def test_bars_are_read(draw: ModuleType) -> None:
    drawn = list(draw.bars(PICTURE.splitlines()[1:]))
    assert [(box.disk, box.sign, box.name) for box in drawn] == [("os", "=", ""), ("os", "~", "new"), ("os", "+", ""), ("data", "=", "data")]


def test_a_picture_is_told_in_words(draw: ModuleType) -> None:
    svg = draw.chains(PICTURE)
    assert "Disk os: image new from before until now, deleted." in svg
    assert "Disk data: image data until now, belongs to the VM." in svg
    assert svg.count("made by the preview</text>") == 1, "in the legend"
    assert "kept for an undo" not in svg


@pytest.mark.parametrize("text", ["now\n", "      now\n  ====\n", "      now\nos ====|\n"])
def test_what_is_no_picture_is_refused(draw: ModuleType, text: str) -> None:
    with pytest.raises(draw.Undrawable):
        draw.chains(text)


def test_a_new_state_needs_a_place(draw: ModuleType) -> None:
    moves = "[*] --> closed\nclosed --> shown: preview\nshown --> committed: commit\nother --> shown: preview\n"
    assert "From shown to committed: commit." in draw.states(moves)
    with pytest.raises(draw.Undrawable):
        draw.states(moves + "shown --> lost: x\n")
