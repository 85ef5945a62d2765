# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock without a server: order, holding, leaping."""

from __future__ import annotations

import pytest

from tests.emulator.model.clock import Clock
from tests.emulator.model.storage import Storage


class Now:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_speed_and_order() -> None:
    now, done = Now(), []
    clock = Clock(10, now)
    clock.after(20, lambda: done.append("late"))
    clock.after(10, lambda: done.append("early"))
    assert clock.wait() == pytest.approx(1.0)
    now.seconds = 1.0
    assert clock.run()
    assert done == ["early"]
    clock.speed = 1000
    assert clock.wait() == pytest.approx(0.01)
    now.seconds = 1.01
    assert clock.run()
    assert done == ["early", "late"]


def test_hold_and_release_lose_no_time() -> None:
    now, done = Now(), []
    clock = Clock(1, now)
    clock.after(5, lambda: done.append("x"))
    now.seconds = 2
    clock.hold()
    now.seconds = 100
    assert clock.wait() is None
    assert not clock.run()
    clock.release()
    assert clock.wait() == pytest.approx(3.0)


def test_leap_passes_time_even_while_held() -> None:
    now, done = Now(), []
    clock = Clock(1, now)
    clock.hold()
    clock.after(50, lambda: clock.after(10, lambda: done.append(clock.now())))
    assert clock.leap()
    assert clock.leap()
    assert not clock.leap()
    assert done == [60]


def test_forget() -> None:
    clock = Clock(1, Now())
    clock.after(1, lambda: None, "a")
    clock.after(1, lambda: None, "b")
    assert clock.forget("a")
    assert not clock.forget("a")
    assert clock.owners() == ["b"]


def test_storage_reads_through_its_layers() -> None:
    storage = Storage()
    assert storage.create("base", "d")
    assert not storage.create("orphan", "d", "missing")
    storage.write("base", "0", "a")
    assert storage.create("top", "d", "base")
    storage.write("top", "1", "b")
    assert storage.content("top") == {"0": "a", "1": "b"}
    assert storage.used("top") > Storage.FRESH
    storage.create("leaf", "d", "top")
    storage.merge("base", "top")
    assert storage.content("leaf") == {"0": "a", "1": "b"}
    storage.delete("base")
    assert not storage.whole("leaf")
