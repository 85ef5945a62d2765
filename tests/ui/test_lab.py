# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a real VM to its page, from the page to a play, and with the play, as it was handed over, back to the VM."""

from __future__ import annotations

import json
import sys
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import libvirt
import pytest
import yaml

from ansible_collections.diskwise.vm.plugins.module_utils._engine import losses, render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import CURRENT, EXCLUDED, Composition, Vm
from tests.contract.engine import EngineMachine
from tests.contract.machine import LibvirtMachine, Machine
from tests.contract.verbs import create, preview, run
from tests.docs import playing
from tests.docs.playing import Played
from tests.lab import content
from tests.tools.stage import CHECKOUT
from tests.ui.composer import Composer

DISKS = ("os", "data", "logs")
Play = Callable[[str], Played]


@pytest.fixture
def machine(daemon, vm) -> LibvirtMachine:
    """Three snapshots; the disk os has a branch: s2 is on one that was left when somebody went back to s1 by hand."""
    machine = LibvirtMachine(daemon, vm("app01", DISKS, boot="halt", size=8 * (64 << 10), pool=True))
    machine.write_all(1, 10)
    run(machine, create("s1"))
    machine.write_all(1, 20)
    run(machine, create("s2", disks=["os", "data"]))
    machine.write_all(1, 30)
    go_back_by_hand(machine, "os", "s1")
    machine.write("os", 2, 31)
    run(machine, create("s3", disks=["os"]))
    machine.write_all(1, 40)
    return machine


def go_back_by_hand(machine: LibvirtMachine, disk: str, snapshot: str) -> None:
    """As an administrator does without this collection: a new image on that of the snapshot, and the VM's XML edited."""
    vm = machine.read()
    base = next(found for found in vm.snapshots if found.name == snapshot).images[machine.target(disk)]
    path = content.create(machine.vm.folder / f"{disk}.by-hand.qcow2", 8 * (64 << 10), backing=base)
    root = ET.fromstring(machine.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
    for element in root.findall("devices/disk"):
        target, source = element.find("target"), element.find("source")
        if target is not None and source is not None and target.get("dev") == machine.target(disk):
            source.set("file", str(path))
            for backing in element.findall("backingStore"):
                element.remove(backing)
    machine.vm.conn.defineXML(ET.tostring(root, encoding="unicode"))


@pytest.fixture
def engine_machine(engine) -> EngineMachine:
    """The same snapshots on an engine, where nobody goes back by hand."""
    machine = EngineMachine(engine, "app01", DISKS)
    machine.write_all(1, 10)
    run(machine, create("s1"))
    machine.write_all(1, 20)
    run(machine, create("s2", disks=["os", "data"]))
    machine.write_all(1, 30)
    run(machine, create("s3", disks=["os"]))
    machine.write_all(1, 40)
    return machine


@pytest.fixture
def play(request, daemon, tmp_path) -> Play:
    """Runs a playbook that is given as text, to the letter."""

    def go(text: str) -> Played:
        playbook, record, inventory = (tmp_path / name for name in ("playbook.yml", "results.jsonl", "inventory.yml"))
        playbook.write_text(text)
        record.write_text("")
        host: dict[str, Any] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        if "engine_machine" in request.fixturenames:
            found = request.getfixturevalue("engine_machine").engine
            host["ovirt_auth"] = {"url": found.url, "username": found.username, "password": found.password, "ca_file": str(found.ca)}
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": host}}}))
        callback = {"ANSIBLE_CALLBACK_PLUGINS": str(CHECKOUT / "tests" / "docs" / "callback"), "ANSIBLE_CALLBACKS_ENABLED": "record"}
        environment = playing.environment(LIBVIRT_DEFAULT_URI=daemon.uri, DISKWISE_RECORD=str(record), **callback)
        done = playing.run("ansible-playbook", "--inventory", str(inventory), str(playbook), environment=environment, cwd=tmp_path)
        results = [json.loads(line) for line in record.read_text().splitlines()]
        return Played(done.returncode, done.stdout, tuple((result["action"].removeprefix("diskwise.vm."), result["result"]) for result in results))

    return go


def task_as_play(task: str) -> str:
    return "- hosts: localhost\n  gather_facts: false\n  tasks:\n" + textwrap.indent(task, "    ")


def result_of(played: Played, module: str) -> Mapping[str, Any]:
    return next(result for name, result in played.results if name == module)


def choose(page: Composer, shows: Composition) -> None:
    if shows.config:
        page.config(shows.config)
    for disk, source in shows.disks.items():
        if source == EXCLUDED:
            page.exclude(disk).check()
        else:
            page.image(disk, source).click()
    if page.at("ack").count():
        page.at("ack").check()


def said_of_loss(page: Composer) -> dict[str, Any]:
    forecast = page.at("forecast-commit")
    texts = {name: page.at(f"forecast-{name}") for name in ("disks", "removed", "reduced", "without-config")}
    return {
        "images": int(str(forecast.get_attribute("data-images"))),
        "bytes": int(str(forecast.get_attribute("data-bytes"))),
        **{name: text.inner_text() if text.count() else "" for name, text in texts.items()},
    }


WISHES: dict[str, tuple[str | None, dict[str, str]]] = {
    "a whole row": ("s1", {"os": "s1", "data": "s1", "logs": "s1"}),
    "mixed": ("s2", {"os": "s3", "data": "s1"}),
    "without a disk": (None, {"data": "s2", "logs": EXCLUDED}),
    "an older configuration without a disk": ("s1", {"data": "s2", "logs": EXCLUDED}),
    "the current configuration and an old disk": (None, {"data": "s1"}),
    "the other branch": (None, {"os": "s2"}),
}


def wished(vm: Vm, wish: str) -> Composition:
    """By the ids of the VM."""
    config, disks = WISHES[wish]
    ids = {snapshot.name: snapshot.id for snapshot in vm.snapshots}
    of_disks = {disk.name: disk.id for disk in vm.disks}
    chosen = {of_disks[disk]: ids.get(source, source) for disk, source in disks.items()}
    return Composition(ids[config] if config else None, False, chosen)


@pytest.mark.parametrize("wish", WISHES)
def test_a9_what_was_forecast_is_what_the_play_does(wish: str, machine, open_page, play) -> None:
    compare(wish, machine, open_page(machine.read(), settings={"uri": machine.daemon.uri}), play)


@pytest.mark.parametrize("wish", ["mixed", "without a disk", "an older configuration without a disk"])
def test_a9_what_was_forecast_is_what_the_play_does_on_an_engine(wish: str, engine_machine, open_page, play) -> None:
    compare(wish, engine_machine, open_page(engine_machine.read(), settings={"auth": "ovirt_auth"}), play)


def compare(wish: str, machine: Machine, page: Composer, play: Play) -> None:
    """What the page says, what the modules say after the play, and what then is in the disks."""
    held, now, vm = machine.snapshot_contents(), machine.contents(), page.vm
    shows = wished(vm, wish)
    choose(page, shows)
    assert page.of_result_row == shows
    forecast, doomed = said_of_loss(page), page.page.evaluate("document.querySelectorAll('[data-doomed]').length")
    played = play(page.tab("play"))
    assert played.status == 0, played.said
    # The row.
    row = render.row(vm, shows)
    assert result_of(played, "snapshot_preview")["composition"] == row == result_of(played, "snapshot_commit")["composition"]
    wanted = {name: now[name] if source == CURRENT else held[source][name] for name, source in row["disks"].items() if source != EXCLUDED}
    assert machine.contents() == wanted
    # The losses.
    foreseen, loss = result_of(played, "snapshot_preview")["loss"], result_of(played, "snapshot_commit")["loss"]
    assert [foreseen["images"], foreseen["bytes"]] == [forecast["images"], forecast["bytes"]]
    assert loss["images"] == forecast["images"] == doomed
    # Of a disk that is to be deleted an engine no longer says the size once the preview is open.
    assert loss["bytes"] == (None if wish == "an older configuration without a disk" and vm.can.unplugs else forecast["bytes"])
    assert all(disk in forecast["disks"] for disk in loss["disks"])
    assert bool(forecast["disks"]) == bool(loss["disks"])
    for snapshot in ("s1", "s2", "s3"):
        assert (snapshot in forecast["removed"]) == (snapshot in loss["snapshots_removed"]) == (snapshot not in machine.snapshots())
        assert (snapshot in forecast["reduced"]) == (snapshot in loss["snapshots_reduced"])
        assert (snapshot in forecast["without-config"]) == (snapshot in loss["without_config"])
    expected = losses.of_commit(vm, shows)
    assert loss["left_behind"] == list(expected.left_behind)
    assert not any(image in machine.files() for image in (Path(image).name for image in expected.images))


def test_a9_a_check_that_fails_undoes_the_preview(machine, open_page, play) -> None:
    before = machine.state()
    page = open_page(machine.read(), settings={"uri": machine.daemon.uri})
    choose(page, wished(page.vm, "mixed"))
    played = play(page.tab("play").replace("shown.vm.preview is not none", "false"))
    assert played.status != 0
    assert result_of(played, "snapshot_preview")["changed"]
    assert result_of(played, "snapshot_undo")["changed"]
    assert machine.state() == before


def test_a9_the_end_of_an_open_preview(machine, open_page, play) -> None:
    run(machine, preview(disks={"os": "s2", "data": "s1"}))
    shown = machine.contents()
    page = open_page(machine.read(), settings={"uri": machine.daemon.uri})
    forecast = said_of_loss(page)
    played = play(task_as_play(page.tab("commit")))
    assert played.status == 0, played.said
    loss = result_of(played, "snapshot_commit")["loss"]
    assert [loss["images"], loss["bytes"]] == [forecast["images"], forecast["bytes"]]
    assert machine.contents() == shown


def test_a11_a_page_that_is_out_of_date_changes_nothing(machine, open_page, play) -> None:
    page = open_page(machine.read(), settings={"uri": machine.daemon.uri})
    choose(page, wished(page.vm, "mixed"))
    machine.foreign_snapshot("by somebody else")
    before = machine.state()
    for tab in ("task", "restore", "play"):
        text = page.tab(tab)
        played = play(text if tab == "play" else task_as_play(text))
        assert played.status != 0
        module, result = next((name, result) for name, result in played.results if result.get("failed"))
        assert module == ("snapshot_restore" if tab == "restore" else "snapshot_preview")
        assert result["reason"] == "fingerprint_differs"
        assert not result["changed"]
        assert machine.state() == before


def test_the_extra_variables_are_those_of_the_playbooks(machine, open_page, play) -> None:
    page = open_page(machine.read(), settings={"uri": machine.daemon.uri})
    choose(page, wished(page.vm, "mixed"))
    variables = page.tab("vars")
    page.at("mode").select_option("create")
    page.at("name").fill("by AWX")
    page.at("include", disk="vdb").uncheck()
    create_variables = page.tab("vars")
    import_playbook = "- ansible.builtin.import_playbook: diskwise.vm.{}\n  vars: {}\n"
    played = play(import_playbook.format("snapshot_create", json.dumps(json.loads(create_variables))))
    assert played.status == 0, played.said
    assert machine.snapshots()["by AWX"] == ["logs", "os"]
    fresh = {**json.loads(variables), "diskwise_expect_fingerprint": render.fingerprint(machine.read())}
    played = play(import_playbook.format("preview_open", json.dumps(fresh)))
    assert played.status == 0, played.said
    assert machine.view()["preview"] == {"config": "s2", "memory": False, "disks": {"os": "s3", "data": "s1", "logs": "current"}}


def test_by_keyboard_from_the_role_to_the_vm(machine, browser, play, tmp_path) -> None:
    """All of it as a person does it: the role makes the page, keys compose and copy, the play is run as it is in the clipboard."""
    folder = tmp_path / "pages"
    role = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.import_role": {"name": "diskwise.vm.snapshot_report"},
                    "vars": {"snapshot_report_vm": "app01", "snapshot_report_dest": str(folder), "snapshot_report_uri": machine.daemon.uri},
                }
            ],
        }
    ]
    assert play(yaml.safe_dump(role)).status == 0
    (file,) = folder.glob("*.html")
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(file.as_uri())
    vm, held, now = machine.read(), machine.snapshot_contents(), machine.contents()
    composer = Composer(page, vm, [], file)
    keys = page.keyboard

    def press(*pressed: str) -> None:
        for key in pressed:
            keys.press(key)

    def focused(test: str) -> None:
        for _press in range(60):
            if page.evaluate("document.activeElement.dataset.test") == test:
                return
            keys.press("Tab")
        raise AssertionError(test)

    focused("config")
    press("ArrowDown", "ArrowDown", "ArrowRight", "Space", "ArrowRight", "Space", "ArrowDown")
    shows = Composition("s2", False, {"vda": "s2", "vdb": "s1"})
    assert composer.of_result_row == shows
    focused("tab-task")
    press("ArrowRight", "Shift+Tab", "Enter")
    composer.at("said").get_by_text("Copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    context.close()
    played = play(text)
    assert played.status == 0, played.said
    assert machine.contents() == {"os": held["s2"]["os"], "data": held["s1"]["data"], "logs": now["logs"]}
    assert result_of(played, "snapshot_commit")["composition"] == render.row(vm, shows)
