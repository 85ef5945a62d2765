# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backends of the contract suite:  pytest tests/contract --backend=libvirt|ovirt|fake|all

A test that takes ``make`` states what every backend must do, and runs on each. One that takes ``lab``, or any other thing of a real
libvirt, is about that alone, and is not collected for another backend.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

pytest.register_assert_rewrite("tests.contract.machine", "tests.contract.engine", "tests.contract.verbs")

from tests.contract.engine import EngineMachine
from tests.contract.machine import SIZE, FakeMachine, LibvirtMachine, Machine
from tests.emulator.fixtures import engine, running_engine
from tests.lab import vm as vms
from tests.lab.fixtures import conn, daemon, folder, linux, linux_build, linux_saved, vm

__all__ = ["conn", "daemon", "engine", "folder", "linux", "linux_build", "linux_saved", "running_engine", "vm"]  # pytest finds them here

BACKENDS = ("libvirt", "ovirt", "fake")
OF_ONE = {"libvirt": {"daemon", "lab", "small"}, "ovirt": {"center", "engine"}}
"""What only one backend has."""

Make = Callable[..., Machine]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", default="all", help=f"which backends must keep the contract: all, or one or more of {', '.join(BACKENDS)}, with commas")


def _chosen(config: pytest.Config) -> tuple[str, ...]:
    chosen = BACKENDS if config.getoption("--backend") == "all" else tuple(config.getoption("--backend").split(","))
    if not set(chosen) <= set(BACKENDS):
        raise pytest.UsageError(f"--backend: known are all, {', '.join(BACKENDS)}")
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "make" in metafunc.fixturenames:
        metafunc.parametrize("make", _chosen(metafunc.config), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unwanted = set().union(*(things for backend, things in OF_ONE.items() if backend not in _chosen(config)))
    gone = [item for item in items if unwanted & set(getattr(item, "fixturenames", ())) and "make" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """libvirt-python asks for the error after the call that failed. A connection that is collected just then resets it, and tests make much garbage."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Make:
    """make("os", "data", name="vm", pool=False) -> a machine that is down, on the backend in question."""
    if request.param == "fake":
        return lambda *disks, name="vm", pool=False: FakeMachine(name, disks or ("os", "data", "logs"))
    return request.getfixturevalue({"libvirt": "lab", "ovirt": "center"}[request.param])


@pytest.fixture
def center(engine) -> Callable[..., EngineMachine]:
    """The same for an engine: each test has a data centre without any other VM."""

    def make(*disks: str, name: str = "vm", pool: bool = False, **options: object) -> EngineMachine:
        return EngineMachine(engine, name, disks or ("os", "data", "logs"), **options)

    return make


@pytest.fixture
def lab(daemon, vm) -> Callable[..., LibvirtMachine]:
    """The same for libvirt, with all that tests.lab.vm.make knows."""

    def make(*disks: str | vms.Disk, name: str = "vm", **options: object) -> LibvirtMachine:
        return LibvirtMachine(daemon, vm(name, disks or ("os", "data", "logs"), **{"boot": "halt", "size": SIZE, **options}))

    return make
