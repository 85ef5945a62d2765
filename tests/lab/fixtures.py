# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pytest fixtures of the lab. A conftest.py imports those it wants by name.

from tests.lab.fixtures import conn, daemon, folder, vm  # noqa: F401
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirt
import pytest

from tests.lab import linux as linux_guest
from tests.lab import vm as vms
from tests.lab.daemon import Daemon

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """The private libvirtd of this session. A libvirtd that does not start is an error."""
    with Daemon() as running:
        yield running


@pytest.fixture
def conn(daemon: Daemon) -> Iterator[libvirt.virConnect]:
    """A fresh connection; libvirtd is started again when an earlier test left it dead."""
    if daemon.pid is None:
        daemon.restart()
    opened = libvirt.open(daemon.uri)
    yield opened
    close(opened)


@pytest.fixture
def folder(daemon: Daemon) -> Iterator[Path]:
    """A short folder for one test. At the end it goes, with every domain and pool that uses it."""
    path = daemon.folder / f"t{next(_numbers)}"
    path.mkdir()
    path.chmod(0o711)
    yield path
    if daemon.pid is None:
        daemon.restart()
    opened = libvirt.open(daemon.uri)
    vms.remove_all(opened, path)
    close(opened)
    shutil.rmtree(path)


@pytest.fixture
def vm(daemon: Daemon, conn: libvirt.virConnect, folder: Path) -> Iterator[Callable[..., vms.Vm]]:
    """`make` of vm.py with connection and folder filled in: vm("name", ("os", "data"), memory=8). Cleans up."""
    made = []

    def make(name: str = "vm", disks=("os", "data", "logs"), **options) -> vms.Vm:
        new = vms.make(conn, folder, name, disks, **options)
        made.append(new)
        return new

    yield make
    if daemon.pid is None:
        daemon.restart()
    opened = libvirt.open(daemon.uri)  # the test's own one may be broken
    for new in made:
        new.conn = opened
        new.clean()
    close(opened)


@pytest.fixture(scope="session")
def linux_build() -> linux_guest.Build:
    """The Linux guest, built from packages on first use."""
    return linux_guest.build()


@pytest.fixture(scope="session")
def linux_saved(daemon: Daemon, linux_build: linux_guest.Build) -> linux_guest.Saved:
    """A Linux guest booted once and saved with its disks."""
    path = daemon.folder / "linux"
    path.mkdir(exist_ok=True)
    opened = libvirt.open(daemon.uri)
    saved = linux_guest.save(opened, path, linux_build)
    close(opened)
    return saved


@pytest.fixture
def linux(conn: libvirt.virConnect, folder: Path, linux_saved: linux_guest.Saved) -> linux_guest.LinuxVm:
    """A running Linux with its agent, in less than a second. The `folder` fixture removes it."""
    return linux_saved.restore(conn, folder)


def close(opened: libvirt.virConnect) -> None:
    """Close a connection whose daemon may be gone."""
    with contextlib.suppress(libvirt.libvirtError):
        opened.close()
