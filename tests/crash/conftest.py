# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash.stage import Stage
from tests.crash.tally import tally
from tests.lab.daemon import Daemon
from tests.lab.fixtures import close, conn, daemon, folder, linux, linux_build, linux_saved, vm

__all__ = ["conn", "daemon", "folder", "linux", "linux_build", "linux_saved", "vm"]  # pytest finds them here


@pytest.fixture(scope="session")
def stage(daemon: Daemon) -> Iterator[Stage]:
    path = daemon.folder / "stage"
    path.mkdir(mode=0o711)
    built = Stage(daemon, path).build()
    yield built
    built.connect()
    built.clear()
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
