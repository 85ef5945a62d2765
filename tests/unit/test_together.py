# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are taken together: all come to the moment, or none goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import CalledOff
from ansible_collections.diskwise.vm.plugins.module_utils._together import Meeting, together

Result = dict[str, Any]


class Play:
    """What each VM does before the moment: nothing, sleep for so many seconds, "fail", or "stay" where it is."""

    def __init__(self, **vms: float | str) -> None:
        self.vms = vms
        self.done: dict[str, tuple[float, float]] = {}

    def work(self, name: str, meeting: Meeting) -> Result:
        does = self.vms[name]
        if does == "fail":
            return {"name": name, "failed": True}
        if does == "stay":
            return {"name": name}
        time.sleep(float(does))
        try:
            with meeting.moment():
                begun = time.monotonic()
                time.sleep(0.05)
                self.done[name] = (begun, time.monotonic())
        except CalledOff as error:
            return {"name": name, "failed": True, "msg": error.message, "hint": error.hint}
        return {"name": name, "failed": False}

    def run(self, seconds: float = 10) -> tuple[Mapping[str, Result], float | None]:
        results, skew = together(list(self.vms), self.work, seconds)
        assert [result["name"] for result in results] == list(self.vms)
        return {result["name"]: result for result in results}, skew


def test_all_begin_when_the_last_is_ready() -> None:
    play = Play(a=0, b=0.3, c=0.1)
    results, skew = play.run()
    assert not any(result["failed"] for result in results.values())
    begins, ends = zip(*play.done.values())
    assert max(begins) < min(ends), "each was at work while the others were"
    assert skew is not None
    assert max(ends) - min(begins) <= skew < 0.3


def test_one_that_fails_keeps_the_others_from_going_on() -> None:
    play = Play(a=0, b="fail", c=0.2)
    results, skew = play.run()
    assert play.done == {}
    assert skew is None
    assert results["a"]["msg"] == results["c"]["msg"] == "called off, because VM b failed"


def test_one_that_has_nothing_to_do_keeps_the_others_from_going_on() -> None:
    play = Play(a=0, b="stay")
    results, _skew = play.run()
    assert play.done == {}
    assert "VM b has the snapshot already" in results["a"]["msg"]
    assert "remove it" in results["a"]["hint"]


def test_one_that_is_late_keeps_all_from_going_on() -> None:
    play = Play(a=0, b=0.5)
    results, _skew = play.run(0.1)
    assert play.done == {}
    assert results["a"]["msg"] == results["b"]["msg"] == "called off, because 1 of the VMs were not ready within 0.1 s"


def test_all_that_have_nothing_to_do_are_fine() -> None:
    assert Play(a="stay", b="stay").run() == ({"a": {"name": "a"}, "b": {"name": "b"}}, None)


def test_many_meet() -> None:
    play = Play(**{f"vm{number}": 0 for number in range(60)})
    play.run()
    begins, ends = zip(*play.done.values())
    assert len(begins) == 60
    assert max(begins) < max(ends)
