# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be played in a guide is played, from its top to its end.

Each page finds three VMs that run: app01 and app02 with the disks os, data and logs, and db01 with os and pg-data. They have no snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from tests.docsite import guides
from tests.lab import vm as vms
from tests.lab.daemon import Daemon

VMS = {"app01": ("os", "data", "logs"), "app02": ("os", "data", "logs"), "db01": ("os", "pg-data")}


@pytest.fixture
def folder(daemon: Daemon, tmp_path: Path) -> Iterator[Path]:
    """Where a page is played, with the VMs running."""
    conn = libvirt.open(daemon.uri)
    images = daemon.folder / "docsite"
    images.mkdir(mode=0o711, exist_ok=True)

    def clear() -> None:
        vms.remove_all(conn, images)
        for file in images.iterdir():
            file.unlink()

    clear()
    for name, disks in VMS.items():
        vms.make(conn, images, name, disks, pool=name == "app01").start()
    yield tmp_path
    clear()
    conn.close()


@pytest.mark.parametrize("page", guides.guides(), ids=lambda page: str(page.relative_to(guides.SITE).with_suffix("")))
def test_page(page: Path, folder: Path, daemon: Daemon) -> None:
    nameless = [block.text for block in guides.blocks(page) if block.kind == "yaml" and not block.file]
    assert nameless == [], "a block of YAML begins with the name of its file"
    for block, ran in guides.play(page, folder, daemon.uri):
        if block.kind == "text":
            assert guides.lines_not_said(block, ran) == [], ran.command
        else:
            print(f"$ {ran.command}\n{ran.said}")
            assert ran.status == 0, ran.command


def test_a_line_that_was_not_said_is_found() -> None:
    ran = guides.Ran("x", 0, '    "msg": [\n        "os   data",\n')
    assert guides.lines_not_said(guides.Block("text", "os data\n...\n"), ran) == []
    assert guides.lines_not_said(guides.Block("text", "os\nlogs\n"), ran) == ["logs"]
