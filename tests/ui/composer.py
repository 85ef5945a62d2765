# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page as a test uses it: what can be done on it, and all that it says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import yaml
from playwright.sync_api import Locator, Page

from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import CURRENT, EXCLUDED, Composition, Vm

RESULT_ROW = """[...document.querySelectorAll("[data-test=result]")].map((cell) => [cell.dataset.disk, cell.dataset.source, cell.innerText])"""
TICKED = """[...document.querySelectorAll("table input:checked")].map((input) => [input.dataset.kind, input.dataset.disk, input.value])"""


class Loader(yaml.SafeLoader):
    """What Ansible marks as no template is plain text here."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@dataclass
class Composer:
    page: Page
    vm: Vm
    troubles: list[str]
    file: Path

    def at(self, test: str, **data: str) -> Locator:
        attributes = "".join(f"[data-{name}={json.dumps(value)}]" for name, value in data.items())
        return self.page.locator(f"[data-test={test}]{attributes}")

    def row(self, snapshot: str | None) -> Locator:
        """The row of a snapshot, by its id, or the current state's."""
        return self.at("row", snapshot=CURRENT if snapshot is None else f"s {snapshot}")

    def image(self, disk: str, snapshot: str | None) -> Locator:
        return self.row(snapshot).locator(f"[data-test=image][data-disk={json.dumps(disk)}]")

    def take(self, snapshot: str | None) -> None:
        self.row(snapshot).locator("[data-test=use-row]").click()

    def config(self, snapshot: str | None) -> None:
        self.row(snapshot).locator("[data-test=config]").click()

    def memory(self, snapshot: str) -> Locator:
        return self.row(snapshot).locator("[data-test=memory]")

    def exclude(self, disk: str) -> Locator:
        return self.at("exclude", disk=disk)

    def codes(self) -> list[str]:
        return [str(issue.get_attribute("data-code")) for issue in self.at("issue").all()]

    def issue(self, code: str) -> str:
        return str(self.at("issue", code=code).first.inner_text())

    @property
    def code(self) -> str:
        """What is handed over; empty when nothing is."""
        pane = self.at("code")
        return str(pane.text_content()) if pane.get_attribute("data-ready") == "yes" else ""

    def tab(self, name: str) -> str:
        self.at(f"tab-{name}").click()
        return self.code

    @property
    def options(self) -> dict[str, Any]:
        """The options of the task that is shown."""
        (task,) = yaml.load(self.code, Loader)
        return next(value for key, value in task.items() if key.startswith("diskwise.vm."))

    # The composition, as each place of the page says it ------------------------------------------------------------------------------

    @property
    def of_hash(self) -> Composition:
        given = parse_qs(str(self.page.evaluate("location.hash"))[1:], keep_blank_values=True)
        disks = {name[2:]: values[0] for name, values in given.items() if name.startswith("d.")}
        return Composition(given.get("c", [None])[0], given.get("m") == ["1"], disks)

    @property
    def of_code(self) -> Composition:
        if not self.code:
            return Composition()
        options = self.options
        disks = {entry["disk"]: EXCLUDED if entry.get("exclude") else entry["snapshot"] for entry in options["disks"]}
        return Composition(None if options["config"] == CURRENT else options["config"], options["memory"], disks)

    @property
    def of_result_row(self) -> Composition:
        cells = self.page.evaluate(RESULT_ROW)
        disks = {disk: source for disk, source, _text in cells if source != CURRENT}
        for disk, source, text in cells:
            said = {CURRENT: CURRENT if any(found.id == disk for found in self.vm.disks) else "not attached", EXCLUDED: "left out"}.get(source)
            assert text.startswith(said or f"#{self.number(source)}"), (disk, source, text)
        config = self.at("result-config").inner_text()
        return Composition(None if config == CURRENT else self.vm.snapshots[int(config[1:]) - 1].id, self.at("result-memory").inner_text() == "resume", disks)

    @property
    def of_matrix(self) -> Composition:
        """What is ticked."""
        ticked = self.page.evaluate(TICKED)
        config = next(value for kind, _disk, value in ticked if kind == "config")
        disks = {disk: value[2:] for kind, disk, value in ticked if kind == "disk" and value != CURRENT}
        disks.update({disk: EXCLUDED for kind, disk, _value in ticked if kind == "exclude"})
        memory = any(kind == "memory" for kind, _disk, _value in ticked)
        return Composition(None if config == CURRENT else config[2:], memory, disks)

    def number(self, snapshot: str) -> int:
        return [found.id for found in self.vm.snapshots].index(snapshot) + 1

    def sentence(self, shows: Composition) -> str:
        """What the page must say of the composition."""
        vm = self.vm
        said = f"{vm.name} with the current configuration"
        if shows.config is not None:
            said = f"{vm.name} with the configuration{' and memory' if shows.memory else ''} of #{self.number(shows.config)} {vm.snapshot_name(shows.config)}"
        order = [str(column.get_attribute("data-disk")) for column in self.at("column").all()]
        sources = list(dict.fromkeys(shows.disks[disk] for disk in order if shows.disks.get(disk, EXCLUDED) != EXCLUDED))
        for source in sources + [EXCLUDED] * bool(shows.excluded):
            disks = ", ".join(vm.disk(disk).target for disk in order if shows.disks.get(disk) == source)
            said += f"; {disks} " + ("left out" if source == EXCLUDED else f"from #{self.number(source)} {vm.snapshot_name(source)}")
        kept = [disk.target for disk in vm.disks if disk.id not in shows.disks and not disk.removable]
        if kept:
            said += f"; {', '.join(kept)} kept as {'they are' if len(kept) > 1 else 'it is'}"
        return f"{said}."
