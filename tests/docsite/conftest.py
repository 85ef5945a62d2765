# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from tests.emulator.fixtures import engine, running_engine
from tests.lab.fixtures import daemon

__all__ = ["daemon", "engine", "running_engine"]  # pytest finds them here
