# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time that runs faster than real time, or stands still.

A command of the engine waits twice: while it is *executed* (the client waits too) and while its *tasks* run on the host. There is one
clock for each, so that a test can stop the tasks and still get answers.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable

Action = Callable[[], None]


class Clock:
    """Timers in engine seconds; ``speed`` engine seconds pass in one real second."""

    def __init__(self, speed: float, source: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._speed = speed
        self._since = source()
        self._passed = 0.0
        self._held = False
        self._number = itertools.count()
        self._timers: list[tuple[float, int, object, Action]] = []

    def now(self) -> float:
        running = 0.0 if self._held else (self._source() - self._since) * self._speed
        return self._passed + running

    def _restart(self) -> None:
        self._passed, self._since = self.now(), self._source()

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._restart()
        self._speed = speed

    @property
    def held(self) -> bool:
        return self._held

    def hold(self) -> None:
        self._restart()
        self._held = True

    def release(self) -> None:
        if self._held:
            self._since = self._source()
            self._held = False

    def after(self, seconds: float, action: Action, owner: object = None) -> None:
        heapq.heappush(self._timers, (self.now() + seconds, next(self._number), owner, action))

    def wait(self) -> float | None:
        """Real seconds until the next timer is due; None if there is none or the clock is held."""
        if self._held or not self._timers:
            return None
        return max(0.0, (self._timers[0][0] - self.now()) / self._speed)

    def run(self) -> bool:
        """Carry out the next timer if it is due."""
        if self._held or not self._timers or self._timers[0][0] > self.now():
            return False
        heapq.heappop(self._timers)[3]()
        return True

    def leap(self) -> bool:
        """Carry out the next timer now, whenever it is due, and also while the clock is held."""
        if not self._timers:
            return False
        due, _number, _owner, action = heapq.heappop(self._timers)
        ahead = due - self.now()
        if ahead > 0:
            self._passed += ahead
        action()
        return True

    def owners(self) -> list[object]:
        """For whom something is still to be done."""
        return [owner for _due, _number, owner, _action in self._timers]

    def forget(self, owner: object) -> bool:
        """Drop what was to be done for this owner; True if there was something."""
        kept = [timer for timer in self._timers if timer[2] is not owner]
        found = len(kept) < len(self._timers)
        heapq.heapify(kept)
        self._timers = kept
        return found
