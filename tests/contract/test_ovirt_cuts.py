# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every request that changes something is cut once, before and after its effect: the process goes on by itself, and loses nothing."""

from __future__ import annotations

import pytest

from tests.contract.scenes import NAMES, POINTS, SCENES, all_rests, counted, hurried, picture, run, undisturbed

GRACE = {"cut.before": 0.1, "cut.after": 1.0}
"""Seconds. What was cut before never shows, so that it need not be waited for longer."""


@pytest.mark.parametrize("cut", list(GRACE))
@pytest.mark.parametrize(("name", "number"), POINTS, ids=NAMES)
def test_a_request_without_an_answer(center, name, number, cut):
    scene = SCENES[name]
    wanted = undisturbed(scene, center)
    machine = scene.machine(center)

    def act(count, send):
        if count == number:
            machine.engine.fault(cut, method=scene.sends[number - 1].split()[0])
        return send()

    with hurried(GRACE[cut]), counted(act) as sent:
        outcome = run(machine, scene.verb)
    assert machine.engine.faults() == []
    assert outcome.changed
    repeated = [scene.sends[number - 1]] if cut == "cut.before" else []
    assert sent == [*scene.sends[:number], *repeated, *scene.sends[number:]]
    assert picture(machine) == wanted
    all_rests(machine)
    again = run(machine, scene.verb)
    assert not again.changed, [step.says for step in again.steps]
    assert picture(machine) == wanted
