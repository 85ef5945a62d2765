# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time: the one clock of the backend, so that every wait has an end and can say so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..._engine.errors import Interrupted

FIRST_PAUSE = 0.01
"""Seconds; each pause is half as long again as the one before, up to ``interval``."""


@dataclass(frozen=True)
class Clock:
    """``timeout`` and ``interval`` in seconds, for each thing that is waited for."""

    timeout: float
    interval: float

    def ticks(self, what: str) -> Iterator[None]:
        """Once at first and then after each pause, for as long as the caller asks; raises Interrupted when time is up."""
        end = time.monotonic() + self.timeout
        pause = FIRST_PAUSE
        while True:
            yield
            left = end - time.monotonic()
            if left <= 0:
                raise Interrupted(f"{what} did not end within {self.timeout:g} s", "timeout", "it may still end; run again to go on, or allow a longer timeout")
            time.sleep(min(pause, self.interval, left))
            pause *= 1.5
