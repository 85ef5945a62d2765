# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one measurement yields."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """``ours`` and ``other`` are seconds, or what ``unit`` says, one per run.

    Without ``other`` the figure is ours in milliseconds, else the ratio of the medians.
    """

    name: str
    ours: Sequence[float]
    other: Sequence[float]
    goal: float
    what: str
    against: str
    unit: str = "s"

    @property
    def ratio(self) -> float:
        ours = statistics.median(self.ours)
        return ours / statistics.median(self.other) if self.other else ours * 1000

    @property
    def reached(self) -> bool:
        return self.ratio <= self.goal


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
