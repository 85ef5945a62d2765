# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator answers as a real engine did, scenario by scenario."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.control import Emulator

HERE = Path(__file__).parent
SCENARIOS = sorted((HERE / "scenarios").glob("*.yml"))


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 24


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(speed=100) as running:
        yield running


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(emulator: Emulator, scenario: Path) -> None:
    command = [sys.executable, str(HERE / "truth.py"), "check", "--url", emulator.url, "--cafile", emulator.ca, str(scenario)]
    environment = {**os.environ, "OVIRT_USERNAME": emulator.username, "OVIRT_PASSWORD": emulator.password}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("1 passed, 0 failed\n")
