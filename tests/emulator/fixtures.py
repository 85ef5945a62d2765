# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For pytest: ``from tests.emulator.fixtures import engine`` in a conftest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.control import Emulator


@pytest.fixture(scope="session")
def running_engine() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def engine(running_engine: Emulator) -> Emulator:
    """One process for all tests, a fresh data centre for each."""
    running_engine.speed(1000)
    running_engine.release()
    running_engine.reset()
    return running_engine
