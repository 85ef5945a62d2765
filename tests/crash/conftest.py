# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import pytest

from tests.crash.stage import Stage
from tests.crash.tally import tally
from tests.lab.daemon import Daemon
from tests.lab.fixtures import close, conn, daemon, folder, linux, linux_build, linux_saved, vm

FAILED = pytest.StashKey[bool]()
Some = Callable[[Sequence[str], int], list[tuple[int, str]]]

__all__ = ["conn", "daemon", "folder", "linux", "linux_build", "linux_saved", "vm"]  # pytest finds them here


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-effect", action="store_true", help="also where else only every other or third effect is tried")


@pytest.fixture
def some(request: pytest.FixtureRequest) -> Some:
    """some(effects, n): every n-th with its number, and the last; which ones, differs from test to test, and not from run to run."""

    def chosen(effects: Sequence[str], step: int) -> list[tuple[int, str]]:
        step = 1 if request.config.getoption("--every-effect") else step
        begin = zlib.crc32(request.node.name.encode()) % step
        return [(number, effect) for number, effect in enumerate(effects, 1) if (number - 1) % step == begin or number == len(effects)]

    return chosen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.session.stash[FAILED] = True
    return report


@pytest.fixture
def stage(built: Stage, request: pytest.FixtureRequest) -> Stage:
    """Whatever made a test fail, such as a guest that libvirtd forgot or a libvirtd that is stuck, is not there for the next one."""
    if request.session.stash.get(FAILED, False):
        request.session.stash[FAILED] = False
        built.daemon.replace()
    return built


@pytest.fixture(scope="session")
def built(daemon: Daemon) -> Iterator[Stage]:
    path = daemon.folder / "stage"
    path.mkdir(mode=0o711)
    built = Stage(daemon, path).build()
    yield built
    close(built.vm.conn)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its counts to the process that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = dict(tally)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    tally.update(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tally:
        terminalreporter.write_line("crash tests: " + ", ".join(f"{count} {what}" for what, count in tally.items()))
