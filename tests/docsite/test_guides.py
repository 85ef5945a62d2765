# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be played in a guide is played, from its top to its end: on libvirt, and on the engine emulator.

Each page finds three VMs that run: app01 and app02 with the disks os, data and logs, and db01 with os and pg-data. They have no snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import libvirt
import pytest

from tests.docsite import guides
from tests.emulator.control import Emulator
from tests.lab import vm as vms
from tests.lab.daemon import Daemon

VMS = {"app01": ("os", "data", "logs"), "app02": ("os", "data", "logs"), "db01": ("os", "pg-data")}


@pytest.fixture
def libvirt_access(daemon: Daemon) -> Iterator[Mapping[str, str]]:
    images = daemon.folder / "docsite"
    images.mkdir(mode=0o711, exist_ok=True)
    with closing(libvirt.open(daemon.uri)) as conn:

        def clear() -> None:
            vms.remove_all(conn, images)
            for file in images.iterdir():
                file.unlink()

        clear()
        for name, disks in VMS.items():
            # They do little: two rounds in a second.
            vms.make(conn, images, name, disks, pool=name == "app01", ticks=9).start()
        yield {"LIBVIRT_DEFAULT_URI": daemon.uri}
        clear()


@pytest.fixture
def ovirt_access(engine: Emulator) -> Mapping[str, str]:
    for name, disks in VMS.items():
        engine.make_vm(name, disks, running=True)
    return {"OVIRT_URL": engine.url, "OVIRT_USERNAME": engine.username, "OVIRT_PASSWORD": engine.password, "OVIRT_CAFILE": engine.ca}


@pytest.fixture
def played(page: Path, ground: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[guides.Block, guides.Ran]]:
    """The page, as it is played."""
    return guides.play(page, ground, tmp_path, request.getfixturevalue(f"{ground.lower()}_access"))


@pytest.mark.parametrize(
    ("page", "ground"), [pytest.param(page, ground, id=f"{page.relative_to(guides.SITE).with_suffix('')}-{ground}") for page, ground in guides.guides()]
)
def test_page(page: Path, played: Iterator[tuple[guides.Block, guides.Ran]]) -> None:
    nameless = [block.text for block in guides.blocks(page) if block.kind == "yaml" and not block.file]
    assert nameless == [], "a block of YAML begins with the name of its file"
    for block, ran in played:
        if block.kind == "text":
            assert guides.lines_not_said(block, ran) == [], ran.command
        else:
            print(f"$ {ran.command}\n{ran.said}")
            assert ran.status == 0, ran.command


def test_pages_are_for_both_unless_they_say_otherwise() -> None:
    def grounds(name: str) -> list[str]:
        return [ground for page, ground in guides.guides() if page.stem == name]

    assert grounds("upgrade") == ["libvirt", "oVirt"]
    assert grounds("from-virsh") == ["libvirt"]
    assert grounds("from-ovirt-snapshot") == ["oVirt"]


def test_a_line_that_was_not_said_is_found() -> None:
    ran = guides.Ran("x", 0, '    "msg": [\n        "os   data",\n')
    assert guides.lines_not_said(guides.Block("text", "os data\n...\n"), ran) == []
    assert guides.lines_not_said(guides.Block("text", "os\nlogs\n"), ran) == ["logs"]


def test_the_order_of_disks_in_a_table_is_not_looked_at_and_their_cells_are() -> None:
    ran = guides.Ran("x", 0, '    "snapshot  config  memory  data  os",\n    "one        x       -      [x]    -"\n')
    assert guides.lines_not_said(guides.Block("text", "snapshot  config  memory  os  data\none        x       -       -  [x]\n"), ran) == []
    wrong = "one        x       -      [x]   -"
    assert guides.lines_not_said(guides.Block("text", f"snapshot  config  memory  os  data\n{wrong}\n"), ran) == [wrong]
