# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures of the emulator's own tests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.emulator.client import Client
from tests.emulator.control import Emulator
from tests.emulator.fixtures import engine, running_engine

__all__ = ["engine", "running_engine"]


@dataclass
class Machine:
    """A VM with disks os, db and data, and the ids that tests need."""

    id: str
    disks: dict[str, str]


@pytest.fixture
def rest(engine: Emulator) -> Client:
    return Client(engine)


@pytest.fixture
def vm(engine: Emulator) -> Machine:
    return machine(engine, "vm")


def machine(engine: Emulator, name: str, disks: tuple[str, ...] = ("os", "db", "data"), **options: object) -> Machine:
    made = engine.make_vm(name, disks, **options)
    found = engine.state(made)["disks"]
    for alias in disks:
        engine.write(found[alias]["id"], "0", f"{alias} 0")
    return Machine(made, {alias: disk["id"] for alias, disk in found.items()})
