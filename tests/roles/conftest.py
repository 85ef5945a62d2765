# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors of these tests:  pytest tests/roles --ground=libvirt|ovirt"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator.fixtures import engine, running_engine
from tests.lab.fixtures import conn, daemon, folder
from tests.roles.ground import Engine, Ground, Libvirtd
from tests.roles.stand import Stand

__all__ = ["conn", "daemon", "engine", "folder", "running_engine"]  # pytest finds them here

GROUNDS = ("libvirt", "ovirt")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--ground", choices=GROUNDS, help="play on this hypervisor only")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "once: what is shown does not depend on the hypervisor, so the first of them is enough")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "ground" in metafunc.fixturenames:
        only = metafunc.config.getoption("--ground")
        once = metafunc.definition.get_closest_marker("once")
        metafunc.parametrize("ground", [only] if only else GROUNDS[:1] if once else GROUNDS, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What needs no hypervisor belongs to the first of them."""
    if config.getoption("--ground") == GROUNDS[1]:
        items[:] = [item for item in items if "ground" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("once")]


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Ground:
    if request.param == "libvirt":
        return Libvirtd(request.getfixturevalue("daemon").uri, request.getfixturevalue("folder"))
    emulator = request.getfixturevalue("engine")
    return Engine({"url": emulator.url, "username": emulator.username, "password": emulator.password, "ca_file": emulator.ca})


@pytest.fixture
def stand(ground: Ground, tmp_path: Path) -> Stand:
    return Stand(ground, tmp_path)
