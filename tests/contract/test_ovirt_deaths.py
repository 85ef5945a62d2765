# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process, or the engine, dies at each request that changes something. The next run, of this verb or of another, finds its way."""

from __future__ import annotations

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.faults import Lost
from tests.contract.scenes import NAMES, POINTS, SCENES, Killed, all_rests, counted, hurried, picture, run, undisturbed
from tests.contract.verbs import commit, create, remove, undo

OTHERS = {
    "create": (remove("new"), ("",)),
    "create-live": (remove("new"), ("",)),
    "create-memory": (remove("new"), ("",)),
    "replace": (remove("s1"), ("remove",)),
    "preview": (undo(), ("",)),
    "preview-old": (undo(), ("",)),
    "commit": (undo(), ("commit", "undo")),
    "commit-repair": (undo(), ("commit-repair", "undo-repair")),
    "commit-old": (undo(), ("commit-old", "undo-old")),
    "undo": (commit(allow_disk_removal=True), ("undo", "commit")),
    "restore": (undo(), ("", "restore")),
    "restore-old": (undo(), ("", "restore-old")),
    "remove": (create("s1", disks=["tmp"], on_conflict="replace"), ("remove-and-replace",)),
    "remove-disk": (remove("s1"), ("remove",)),
}
"""Scene -> another verb that comes after the death, and the scenes one of whose ends it leads to; "" is how it was before."""


def killed(machine, scene, number, when):
    """The process dies at this request: before it is sent, or when it is sent, and the engine is still at it."""

    def act(count, send):
        if count < number:
            return send()
        if when == "after":
            machine.engine.fault("cut.after", method=scene.sends[number - 1].split()[0])
            with pytest.raises(Lost):
                send()
        raise Killed

    with pytest.raises(Killed), counted(act) as sent:
        run(machine, scene.verb)
    assert tuple(sent) == scene.sends[:number]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("name", "number"), POINTS, ids=NAMES)
def test_the_same_verb_again(center, name, number, when):
    scene = SCENES[name]
    wanted = undisturbed(scene, center)
    machine = scene.machine(center)
    with hurried(1.0):
        killed(machine, scene, number, when)
        run(machine, scene.verb)
        assert picture(machine) == wanted
        all_rests(machine)
        again = run(machine, scene.verb)
    assert not again.changed, [step.says for step in again.steps]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("name", "number"), POINTS, ids=NAMES)
def test_another_verb(center, name, number, when):
    scene = SCENES[name]
    verb, ends = OTHERS[name]
    wanted = [undisturbed(SCENES[end], center) for end in ends if end in SCENES]
    machine = scene.machine(center)
    if "" in ends:
        wanted.append(picture(machine))
    with hurried(1.0):
        killed(machine, scene, number, when)
        run(machine, verb)
        assert picture(machine) in wanted
        all_rests(machine)
        again = run(machine, verb)
    assert not again.changed, [step.says for step in again.steps]
