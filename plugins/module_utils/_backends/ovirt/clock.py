# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time: the one clock of the backend, so that every wait has an end and can say so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..._engine.errors import Interrupted

FIRST_PAUSE = 1.0
"""Seconds; no task of an engine is done sooner. Each pause is half as long again as the one before, up to ``interval``."""


@dataclass(frozen=True)
class Clock:
    """``timeout`` and ``interval`` in seconds, for each thing that is waited for."""

    timeout: float
    interval: float

    def ticks(self, what: str) -> Iterator[float]:
        """After each pause, the seconds that passed, for as long as the caller asks; raises Interrupted when time is up."""
        start = time.monotonic()
        pause = min(FIRST_PAUSE, self.interval)
        while True:
            passed = time.monotonic() - start
            if passed >= self.timeout:
                raise Interrupted(
                    f"{what} did not end within {self.timeout:g} s",
                    "timeout",
                    "it may still end, also when the whole engine stands still for a while; run again to go on, or allow a longer timeout",
                )
            time.sleep(min(pause, self.timeout - passed))
            yield time.monotonic() - start
            pause = min(pause * 1.5, self.interval)
