# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters make of a VM, without a browser."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.diskwise.vm.plugins.filter.snapshot_composer import PAGE, page_name, snapshot_composer
from ansible_collections.diskwise.vm.plugins.filter.snapshot_matrix import snapshot_matrix
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import EXCLUDED, Composition, Vm
from ansible_collections.diskwise.vm.plugins.module_utils._report import report
from tests.ui import drawn
from tests.ui.drawn import BEFORE_UPGRADE


def info(vm: Vm) -> dict[str, Any]:
    return {"report": report(vm)}


def data_of(page: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(found)


def test_the_page_is_the_shell_with_the_data_in_it_and_the_same_each_time() -> None:
    vm = drawn.demo()
    page = snapshot_composer(info(vm), uri="qemu:///system", hosts="hypervisor")
    assert page == snapshot_composer(info(vm), uri="qemu:///system", hosts="hypervisor")
    data = data_of(page)
    assert data == {"report": report(vm), "settings": {"uri": "qemu:///system", "hosts": "hypervisor", "profiles": {}}}
    assert page.replace(json.dumps(data, separators=(",", ":")), "@@REPORT@@") == PAGE.read_text()


def test_a_hostile_name_cannot_leave_its_place() -> None:
    page = snapshot_composer(info(drawn.hostile()))
    (text,) = re.findall(r'id="report">(.*?)</script>', page, flags=re.DOTALL)
    assert not re.search(r"[<>&]|\{[{%#]|[^\x20-\x7e]", text)
    assert data_of(page)["report"] == report(drawn.hostile())


def test_many_vms_make_a_page_of_links() -> None:
    vms = [drawn.demo(), drawn.shown(), drawn.hostile(), drawn.big(3, 2)]
    entries = data_of(snapshot_composer(list(map(info, vms))))["fleet"]
    assert [entry["name"] for entry in entries] == [vm.name for vm in vms]
    assert [entry["preview"] for entry in entries] == ["", BEFORE_UPGRADE, "", ""]
    assert entries[0] == {
        "name": "db01.example.org",
        "id": drawn.uuid(1, 1),
        "file": f"{drawn.uuid(1, 1)}.html",
        "power": "down",
        "disks": 4,
        "snapshots": 6,
        "deepest": 6,
        "size": sum(image.size or 0 for image in vms[0].images.values()),
        "preview": "",
        "problems": 0,
    }
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.html", page_name(drawn.HOSTILE[0]))


@pytest.mark.parametrize("given", [None, "app01", {}, {"report": {}}, {"name": "app01", "report": {"schema": "report/9"}}, [{"name": "app01"}]])
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="snapshot_composer"):
        snapshot_composer(given)
    if not isinstance(given, list):
        with pytest.raises(AnsibleFilterError, match="snapshot_matrix"):
            snapshot_matrix(given)


@pytest.mark.parametrize("options", [{"auth": "{{ x }}"}, {"auth": "a b"}, {"auth": "ovirt_auth", "uri": "qemu:///system"}])
def test_a_connection_that_makes_no_sense_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(AnsibleFilterError, match="snapshot_composer"):
        snapshot_composer(info(drawn.demo()), **options)


def test_the_matrix_of_a_preview_that_is_wanted() -> None:
    disks = [{"disk": "database", "snapshot": "database imported"}, {"disk": "scratch", "exclude": True}]
    assert snapshot_matrix(info(drawn.demo()), snapshot=BEFORE_UPGRADE, disks=disks) == (
        """\
db01.example.org: down, 6 snapshots
                                            system        database      logs          scratch
snapshot                    config  memory  vda, chain 6  vdb, chain 4  vdc, chain 3  vdd, chain 1
current state                x       -       492M          9.3G          840M          33G
#6 logs only                 x       -       -             -             5.7G          -
#5 after upgrade             x       -       2.9G          1.2G          -             -
#4 before upgrade 15 to 16  [x]      x      [317M]         4.4G         [2.6G]         -
#3 nightly OS profile        x       -       655M          -             -             -
#2 database imported         x       -       1.1G         [71G]          -             -
#1 fresh install             x       -       6.2G          -             -             -
= result                    #4      off     #4            #2            #4            excluded"""
    )


def test_the_matrix_of_a_preview_that_is_open() -> None:
    vm = drawn.previewing(drawn.demo(), Composition(None, False, {"vda": "fresh install", "vdd": EXCLUDED}))
    lines = snapshot_matrix(info(vm)).splitlines()
    assert lines[0] == "db01.example.org: in preview, 6 snapshots"
    assert lines[3].split() == ["preview", "205M", "-", "-", "-"]
    assert lines[4].split() == ["before", "the", "preview", "[x]", "-", "492M", "[9.3G]", "[840M]", "33G"]
    assert lines[-1].split() == ["=", "shown", "current", "off", "#1", "current", "current", "excluded"]


def test_the_matrix_refuses_what_the_module_refuses() -> None:
    with pytest.raises(AnsibleFilterError, match=r"holds no image of disk scratch \(disk_not_in_snapshot\)"):
        snapshot_matrix(info(drawn.demo()), disks=[{"disk": "scratch", "snapshot": "logs only"}])


def test_the_matrix_is_plain_text_whatever_the_names_are() -> None:
    text = snapshot_matrix(info(drawn.hostile()))
    assert len(text.splitlines()) == 5 + len(drawn.HOSTILE)
    assert text.replace("\n", "").isprintable()


def test_the_matrix_and_the_page_show_the_same_sizes_and_results(open_page) -> None:
    vm = drawn.shown()
    page = open_page(vm)
    text = snapshot_matrix(info(vm))
    shown = page.page.evaluate(
        """[...document.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll(".bytes > span:first-child")].map((cell) => cell.innerText))"""
    )
    rows = [re.findall(r"[\d.]+[BKMGTP]\b", line.split("  ", 1)[1]) for line in text.splitlines()[3:-1]]

    def rough(size: str) -> tuple[str, int]:
        number, unit = re.fullmatch(r"([\d.]+) ?([BKMGTP])(?:iB)?", size).groups()  # type: ignore[union-attr]
        return unit, round(float(number))

    assert [[rough(size) for size in row] for row in rows] == [[rough(size) for size in row if size[0].isdigit()] for row in shown]
