# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the VMs of one task wait for each other, each in a thread of its own, so that their snapshots are of one moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition
from typing import Any, Callable, TypeVar

from ._engine.errors import CalledOff

Vm = TypeVar("Vm")
Result = dict[str, Any]


class Meeting:
    """All of the VMs come to the moment, or none gets beyond it. ``seconds``: how long one waits for the others."""

    def __init__(self, vms: int, seconds: float) -> None:
        self._missing = vms
        self._seconds = seconds
        self._complete = False
        self._off, self._hint = "", ""
        self._changed = Condition()
        self._times: list[float] = []

    @property
    def skew(self) -> float | None:
        """Seconds within which everything was done; None when nothing was."""
        return max(self._times) - min(self._times) if self._times else None

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Wait until all are here, then do what is to be done at once. Raises CalledOff."""
        with self._changed:
            self._missing -= 1
            self._complete = not self._missing and not self._off
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._complete or self._off, self._seconds):
                self._call_off(f"{self._missing} of the VMs were not ready within {self._seconds:g} s", "run again, or allow a longer timeout")
            if self._off:
                raise CalledOff(f"called off, because {self._off}", hint=self._hint)
        self._note_time()
        yield
        self._note_time()

    def stay_away(self, why: str, hint: str) -> None:
        """For a VM that will not come: the others do nothing then. Once all were here, it means nothing any more."""
        with self._changed:
            if not self._complete:
                self._call_off(why, hint)

    def _call_off(self, why: str, hint: str) -> None:
        if not self._off:
            self._off, self._hint = why, hint
        self._changed.notify_all()

    def _note_time(self) -> None:
        with self._changed:
            self._times.append(time.monotonic())


def together(vms: Sequence[Vm], work: Callable[[Vm, Meeting], Result], seconds: float) -> tuple[list[Result], float | None]:
    """The result of each VM, and the skew."""
    meeting = Meeting(len(vms), seconds)

    def one(vm: Vm) -> Result:
        result = work(vm, meeting)
        if result.get("failed"):
            meeting.stay_away(f"VM {result['name']} failed", "see what that VM says, and run again")
        else:
            meeting.stay_away(f"VM {result['name']} has the snapshot already, of another moment", "remove it there, or choose another name")
        return result

    with ThreadPoolExecutor(len(vms)) as pool:
        return list(pool.map(one, vms)), meeting.skew
