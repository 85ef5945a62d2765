# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a module is killed before, after, and in the middle of its effects. Running the same task again must lead where it would have led."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.crash.conftest import Some
from tests.crash.controller import Kill, Trouble
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.stage import Call, Stage, State, differences
from tests.crash.tally import tally

LONGEST = 0.03
TRIES = {"virDomain.snapshotCreateXML": 3, "virDomain.managedSave": 3, "virConnect.restoreFlags": 2, "virDomain.blockCommit": 2, "virConnect.createXML": 2}
"""Calls that take long enough to die in the middle, within this many seconds; libvirtd goes on with them. And how often."""


def troubles(name: str, effects: list[str]) -> list[Trouble]:
    """Before the first effect and after each, which is before the next: nothing but reading is in between. Then the calls that take long.

    The same moments in each run of the tests: the seed is the scenario's name.
    """
    moments = random.Random(name)
    found = [Trouble(1, "before", Kill())]
    for number, effect in enumerate(effects, 1):
        found.append(Trouble(number, "after", Kill()))
        found += [Trouble(number, "during", Kill(), moments.uniform(0, LONGEST)) for _try in range(TRIES.get(effect, 0))]
    return found


@dataclass
class Whole:
    """A run that nobody interrupted."""

    effects: list[str]
    start: dict[str, object]
    view: dict[str, object]
    state: State
    later: State | None


def play_whole(stage: Stage, scenario: Scenario) -> Whole:
    stage.reset(scenario)
    start = stage.demand("info").result["vm"]
    run = stage.demand(scenario.verb, **scenario.options)
    assert run.changed
    assert stage.leftovers() == []
    state = stage.observe()
    again = stage.demand(scenario.verb, **scenario.options)
    assert not again.changed
    assert again.effects == []
    view = stage.demand("info").result["vm"]
    return Whole(run.effects, start, view, state, stage.go_on() if state["running"] else None)


def after_kill(stage: Stage, scenario: Scenario, whole: Whole, trouble: Trouble) -> list[str]:
    """What is wrong after the module was killed there and the task was run again."""
    stage.reset(scenario)
    killed = stage.play(scenario.verb, scenario.options, trouble)
    if killed.ended_before(trouble.number):
        return []
    if not killed.killed:
        return [f"it was to be killed, but: {killed}"]
    wrong = []
    seen = stage.play("info", {})
    if seen.failed:
        wrong.append(f"info: {seen}")
    again = stage.play(scenario.verb, scenario.options)
    if again.failed:
        return [*wrong, f"again: {again}"]
    wrong += differences(whole.state, stage.observe(), "again")
    wrong += [f"left behind: {found}" for found in stage.leftovers()]
    third = stage.play(scenario.verb, scenario.options)
    if third.failed or third.changed or third.effects:
        wrong.append(f"the third run: {third}, effects {third.effects}")
    if whole.later is not None and not wrong:
        wrong += differences(whole.later, stage.go_on(), "later")
    return wrong


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_each_effect(stage: Stage, name: str) -> None:
    scenario = SCENARIOS[name]
    whole = play_whole(stage, scenario)
    wrong = []
    for trouble in troubles(name, whole.effects):
        found = after_kill(stage, scenario, whole, trouble)
        tally["kills of the module"] += 1
        wrong += [f"killed {trouble} ({whole.effects[trouble.number - 1]}): {line}" for line in found]
    assert not wrong, "\n".join(wrong)


@dataclass(frozen=True)
class Variant:
    """A task is killed, and then another one is run."""

    killed: str
    other: Call
    refusals: tuple[str, ...] = ()
    """Reasons that fit what is half done, beside those that the other task has before or after the whole."""


ANOTHER: Call = ("create", {"snapshot": "another", "disks": ["os", "data"]})
OTHER_PREVIEW: Call = ("preview", {"snapshot": "s3", "if_previewing": "undo"})

VARIANTS: Mapping[str, Variant] = {
    "preview-create": Variant("preview", ANOTHER),
    "preview-undo": Variant("preview", ("undo", {})),
    "preview-other": Variant("preview", OTHER_PREVIEW),
    "preview-remove": Variant("preview", ("remove", {"snapshot": "s1"})),
    "preview-memory-undo": Variant("preview-memory", ("undo", {})),
    "undo-commit": Variant("undo", ("commit", {"allow_disk_removal": True})),
    "undo-create": Variant("undo", ANOTHER),
    "commit-undo": Variant("commit", ("undo", {})),
    "commit-preview": Variant("commit", OTHER_PREVIEW),
    "commit-remove": Variant("commit", ("remove", {"snapshot": "s1"}), ("in_preview",)),
    "restore-undo": Variant("restore", ("undo", {})),
    "restore-create": Variant("restore", ANOTHER, ("in_preview",)),
    "create-preview": Variant("create-down", ("preview", {"snapshot": "new"})),
    "create-remove": Variant("create-down", ("remove", {"snapshot": "new"})),
    "create-other": Variant("create-up", ANOTHER),
    "create-memory-other": Variant("create-memory", ANOTHER),
    "replace-remove": Variant("create-replace", ("remove", {"snapshot": "m"})),
    "remove-preview": Variant("remove-middle", ("preview", {"snapshot": "m"})),
    "remove-create": Variant("remove-first", ANOTHER),
    "remove-other": Variant("remove-last-up", ("remove", {"snapshot": "s1"})),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_another_task_after_the_kill(stage: Stage, some: Some, name: str) -> None:
    """It meets the settled state: that of before the killed task, or that of after it. Otherwise it is refused, and nothing is lost."""
    variant = VARIANTS[name]
    scenario = SCENARIOS[variant.killed]
    verb, options = variant.other
    stage.reset(scenario)
    ends = [(stage.play(verb, options), stage.observe())]
    stage.reset(scenario)
    effects = stage.demand(scenario.verb, **scenario.options).effects
    whole = stage.observe()
    ends.append((stage.play(verb, options), stage.observe()))
    refusals = {*variant.refusals, *(run.outcome for run, _state in ends if run.failed)}
    wrong = []
    for number, effect in some(effects, 3):
        stage.reset(scenario)
        killed = stage.play(scenario.verb, scenario.options, Trouble(number, "after", Kill()))
        if killed.ended_before(number):
            continue
        assert killed.killed
        tally["kills of the module"] += 1
        run = stage.play(verb, options)
        found: list[str] = []
        if not run.failed:
            wanted = [differences(state, stage.observe()) for end, state in ends if not end.failed]
            found = [] if [] in wanted else [line for lines in wanted for line in (*lines, "or:")]
            found += [f"left behind: {line}" for line in stage.leftovers()]
        elif run.outcome in refusals:
            again = stage.play(scenario.verb, scenario.options)
            found = [f"again: {again}"] if again.failed else differences(whole, stage.observe(), "again")
        else:
            found = [str(run)]
        wrong += [f"killed after effect {number} ({effect}), then {verb}: {line}" for line in found]
    assert not wrong, "\n".join(wrong)
