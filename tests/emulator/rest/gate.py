# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lock around the model, and the thread that lets its time pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from tests.emulator.model.engine import Engine

SHORTEST_NAP, LONGEST_NAP = 0.0005, 1.0


class Gate:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._awaited: list[Callable[[], bool]] = []

    def __enter__(self) -> Engine:
        self._changed.acquire()
        self._advance()
        return self.engine

    def _advance(self) -> bool:
        """What is due happens, but not beyond the moment that somebody waits for: on a busy machine the waiting thread may need longer
        to wake up than a task takes, and its answer would show what came afterwards."""
        moved = False
        while not any(condition() for condition in self._awaited) and self.engine.advance():
            moved = True
        return moved

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._changed.notify_all()
        self._changed.release()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Inside the lock; others get it meanwhile."""
        self._awaited.append(condition)
        try:
            while not condition():
                if self._advance():
                    self._changed.notify_all()
                else:
                    self._nap()
        finally:
            self._awaited.remove(condition)

    def nap(self, seconds: float) -> None:
        """Let others have the lock for this long, in real seconds."""
        self._changed.wait_for(lambda: False, seconds)

    def _nap(self) -> None:
        wait = self.engine.wait()
        self._changed.wait(LONGEST_NAP if wait is None else min(max(wait, SHORTEST_NAP), LONGEST_NAP))

    def drive(self) -> None:
        """What is due happens although nobody asks."""
        with self._changed:
            while not self._closed:
                if self._advance():
                    self._changed.notify_all()
                self._nap()

    def start(self) -> None:
        threading.Thread(target=self.drive, name="engine", daemon=True).start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
