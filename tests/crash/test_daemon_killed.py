# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirtd is killed before, during and after each effect, and started again. Then the same task must lead where it would have led."""

from __future__ import annotations

import os
import random
import re
import signal

import pytest

from tests.crash.controller import Kill, Trouble
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.stage import Stage, differences
from tests.crash.tally import tally
from tests.crash.test_module_killed import Whole, play_whole
from tests.lab.patience import wait_until

NAMES = (
    "create-down",
    "create-up",
    "create-memory",
    "create-config-only",
    "preview",
    "preview-memory",
    "commit",
    "undo",
    "remove-middle",
    "remove-last-up",
)
LONGEST = 0.03
"""Seconds into a call after which libvirtd is killed at the latest."""
TRIES = {"virDomain.snapshotCreateXML": 6, "virDomain.blockCommit": 3, "virConnect.defineXML": 2}
"""How often a call is hit in the middle; once when it is not here."""
LOCKS = ("virConnect.secretDefineXML", "virSecret.undefine")

ORPHANED = re.compile(r"/snapshots/new/parent: wanted \w+, found None$")
"""libvirtd notes that the former snapshot is no more the current one before it notes the new one. Killed in between, it has no current one,
and what is taken next has no parent: its place in the tree that virsh shows is lost, and nothing of its content."""


def troubles(name: str, effects: list[str], libvirtd: int) -> list[Trouble]:
    """The same moments in each run of the tests: the seed is the scenario's name."""
    moments = random.Random(name)
    found = [Trouble(2, "before", Kill(libvirtd))]
    for number, effect in enumerate(effects, 1):
        found += [Trouble(number, "after", Kill(libvirtd)) for _once in range(effect not in LOCKS)]
        found += [Trouble(number, "during", Kill(libvirtd), moments.uniform(0, LONGEST)) for _try in range(TRIES.get(effect, 1)) if effect not in LOCKS]
    return found


def after_kill(stage: Stage, scenario: Scenario, whole: Whole, trouble: Trouble) -> list[str]:
    killed = stage.play(scenario.verb, scenario.options, trouble)
    if killed.outcome not in ("done", "connection_lost"):
        return [f"the task that it was killed under: {killed}"]
    assert wait_until(lambda: stage.daemon.pid is None), "libvirtd does not die"
    stage.connect()
    seen = stage.play("info", {})
    wrong = [f"info: {seen}"] if seen.failed else []
    forgotten = stage.forgotten()
    if forgotten:
        # Killed while it turns a disk over to the image below, libvirtd 9.0 cannot read its own note of the VM, and takes it for down.
        refused = stage.play(scenario.verb, scenario.options)
        if refused.outcome != "image_locked":
            wrong.append(f"while its QEMU goes on unknown to libvirtd: {refused}")
        os.kill(forgotten, signal.SIGKILL)
        tally["guests that libvirtd forgot"] += 1
    again = stage.play(scenario.verb, scenario.options)
    if again.failed:
        return [*wrong, f"again: {again}"]
    state = stage.observe()
    if forgotten:
        state.update({key: whole.state[key] for key in ("power", "running")})
    if "stale_view" in [found["code"] for found in stage.demand("info").result["vm"]["health"]]:
        state["running"] = whole.state["running"]  # libvirtd died between QEMU's switch and its own: it learns of it when the VM is powered off
    wrong += [line for line in differences(whole.state, state, "again") if not ORPHANED.search(line)]
    left = stage.leftovers()
    wrong += [f"left behind: {found}" for found in left if not found.startswith("pool")]
    third = stage.play(scenario.verb, scenario.options)
    if third.failed or third.changed:
        wrong.append(f"the third run: {third}")
    if whole.later is not None and not forgotten:
        wrong += [line for line in differences(whole.later, stage.go_on(), "later") if not ORPHANED.search(line)]
    if left:
        # A pool outlives libvirtd, the lock does not. So nobody knows that it was left, until somebody works in the folder again.
        stage.demand("create", snapshot="later", disks=[]) if scenario.verb != "preview" else stage.demand("undo")
        wrong += [f"left behind for good: {found}" for found in stage.leftovers()]
    return wrong


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_each_effect(stage: Stage, name: str) -> None:
    scenario = SCENARIOS[name]
    whole = play_whole(stage, scenario)
    wrong = []
    for planned in troubles(name, whole.effects, 0):
        stage.reset(scenario)
        trouble = Trouble(planned.number, planned.when, Kill(stage.daemon.pid), planned.delay)
        found = after_kill(stage, scenario, whole, trouble)
        tally["kills of libvirtd"] += 1
        wrong += [f"libvirtd killed {trouble} ({whole.effects[trouble.number - 1]}): {line}" for line in found]
    assert not wrong, "\n".join(wrong)
