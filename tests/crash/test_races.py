# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several controllers at once: on one VM, and on two VMs whose images are in one folder."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import libvirt
import pytest

from tests.crash.controller import Controller, Foreign, Kill, Run, Stop, Trouble, play
from tests.crash.scenarios import COMPOSED, OLDER, SCENARIOS
from tests.crash.stage import LOCK, POOL, Call, Stage, State, differences, header_chain, sources_of
from tests.crash.tally import tally
from tests.lab import vm as vms
from tests.lab.daemon import Daemon

ROUNDS = 4
BUSY = "locked"
NEW: Call = ("create", {"snapshot": "new", "exclude": ["scratch"]})


def race(stage: Stage, calls: list[Call]) -> list[Run]:
    """Run them all at once; what each came to, in order."""
    controllers = [Controller(stage.daemon.uri, verb, options) for verb, options in calls]
    for controller in controllers:
        controller.wait_until_ready()
    for controller in controllers:
        controller.go()
    tally["races"] += 1
    return [controller.end() for controller in controllers]


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("name", ["create-down", "create-up", "preview", "undo", "commit", "restore", "remove-middle", "remove-last-up"])
def test_the_same_task(stage: Stage, name: str, count: int) -> None:
    """One does it; the others are told that it is at work, or find that it is done."""
    scenario = SCENARIOS[name]
    stage.reset(scenario)
    stage.demand(scenario.verb, **scenario.options)
    wanted = stage.observe()
    for _round in range(ROUNDS if count == 2 else 2):
        stage.reset(scenario)
        runs = race(stage, [scenario.call] * count)
        assert {run.outcome for run in runs} <= {"done", BUSY}, [str(run) for run in runs]
        assert sum(run.changed for run in runs) == 1
        assert differences(wanted, stage.observe()) == []
        assert stage.leftovers() == []
        again = stage.demand(scenario.verb, **scenario.options)
        assert not again.changed


DIFFERENT: dict[str, tuple[list[Call], tuple[Call, ...]]] = {
    "preview, create": ([COMPOSED, NEW], ()),
    "preview, remove": ([COMPOSED, ("remove", {"snapshot": "s1"})], ()),
    "two previews": ([COMPOSED, ("preview", OLDER)], ()),
    "commit, undo": ([("commit", {"allow_disk_removal": True}), ("undo", {})], (COMPOSED,)),
    "create, remove": ([NEW, ("remove", {"snapshot": "m"})], ()),
    "restore, create": ([("restore", OLDER), NEW], ()),
    "eight": (
        [
            *[COMPOSED, ("preview", OLDER), ("restore", OLDER), ("undo", {})],
            *[NEW, ("create", {"snapshot": "other", "disks": ["os"]}), ("remove", {"snapshot": "m"}), ("remove", {"snapshot": "s1", "disks": ["os"]})],
        ],
        (),
    ),
}
REFUSED = {BUSY, "in_preview", "unknown_snapshot", "not_in_snapshot"}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_tasks(stage: Stage, name: str) -> None:
    """Whoever got through did so as if alone, one after the other in some order; who did not was refused and changed nothing."""
    calls, before = DIFFERENT[name]
    for _round in range(ROUNDS):
        stage.reset_to(before=before)
        start = stage.observe()
        runs = race(stage, calls)
        assert {run.outcome for run in runs} <= {"done", *REFUSED}, [str(run) for run in runs]
        found = stage.observe()
        assert stage.leftovers() == []
        sound(start, found)
        winners = [call for call, run in zip(calls, runs) if run.changed]
        assert winners or before
        if len(winners) == 1:
            stage.reset_to(before=before)
            stage.demand(winners[0][0], **winners[0][1])
            assert differences(stage.observe(), found) == []


def sound(start: State, found: State) -> None:
    """No snapshot shows anything else than it did, and what libvirt says of the chains is what the images say."""
    for name, snapshot in found["snapshots"].items():
        known = start["snapshots"].get(name, {"disks": start["disks"], "images": {}})
        assert snapshot["disks"].items() <= known["disks"].items(), name
        for target, overlay in snapshot["overlays"].items():
            assert header_chain(overlay)[1] == snapshot["images"][target], (name, target)


# The lock ----------------------------------------------------------------------------------------------------------------------------


def test_the_lock_of_a_controller_that_lives(stage: Stage) -> None:
    """It stands still in the middle of its work; others wait for it however often they ask, and it goes on."""
    scenario = SCENARIOS["preview"]
    stage.reset_to()
    stage.demand(scenario.verb, **scenario.options)
    wanted = stage.observe()
    for number in (3, 5, 7):
        stage.reset_to()
        halted = Controller(stage.daemon.uri, *scenario.call, Trouble(number, "before", Stop()))
        halted.wait_until_ready()
        halted.go()
        halted.wait_until_stopped()
        for verb, options in (scenario.call, NEW, ("remove", {"snapshot": "s1"})):
            other = stage.play(verb, options)
            assert other.outcome == BUSY
            assert str(halted.pid) in other.result["msg"]
            assert other.effects == ["virConnect.secretDefineXML"]
        assert not stage.play("info", {}).failed
        halted.resume()
        assert halted.end().changed
        tally["races"] += 1
        assert differences(wanted, stage.observe()) == []
        assert stage.leftovers() == []


def holder(**changes: Any) -> dict[str, Any]:
    """Who holds a lock, as a controller on this machine writes it."""
    me = {
        "host": socket.gethostname(),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + os.readlink("/proc/self/ns/pid"),
        "pid": os.getpid(),
        "started": Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19],
        "until": int(time.time()) + 600,
    }
    return {**me, **changes}


HOLDERS: dict[str, tuple[Callable[[], dict[str, Any]], bool]] = {
    "alive here": (holder, True),
    "on another machine": (lambda: holder(host="elsewhere", boot="another", pid=1, started="1"), True),
    "unknown": (dict, True),
    "on another machine, lease ended": (lambda: holder(host="elsewhere", boot="another", until=int(time.time()) - 1), False),
    "alive here, lease ended": (lambda: holder(until=int(time.time()) - 1), False),
    "dead": (lambda: holder(pid=2**22 - 1, started="1"), False),
    "dead, its number taken by another process": (lambda: holder(started="1"), False),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_whose_lock_is_respected(stage: Stage, name: str) -> None:
    make, respected = HOLDERS[name]
    stage.reset_to()
    before = stage.observe()
    stage.vm.conn.secretDefineXML(
        f"<secret ephemeral='yes' private='yes'><description>{escape(json.dumps(make()))}</description>"
        f"<usage type='volume'><volume>{LOCK}{stage.vm.uuid}</volume></usage></secret>"
    )
    run = stage.play(*NEW)
    if respected:
        assert run.outcome == BUSY
        assert differences(before, stage.observe()) == []
        assert len(stage.leftovers()) == 1
    else:
        assert run.changed
        assert stage.leftovers() == []


@pytest.mark.parametrize("count", [2, 8])
def test_the_lock_of_a_dead_controller_is_taken_over_once(stage: Stage, count: int) -> None:
    scenario = SCENARIOS["preview"]
    stage.reset_to()
    stage.demand(scenario.verb, **scenario.options)
    wanted = stage.observe()
    for _round in range(ROUNDS):
        stage.reset_to()
        assert stage.play(*scenario.call, Trouble(5, "after", Kill())).killed
        tally["kills of the module"] += 1
        runs = race(stage, [scenario.call] * count)
        assert {run.outcome for run in runs} <= {"done", BUSY}, [str(run) for run in runs]
        assert sum(run.changed for run in runs) == 1
        assert differences(wanted, stage.observe()) == []
        assert stage.leftovers() == []


# Two VMs whose images are in one folder ------------------------------------------------------------------------------------------------


def close_pools(conn: libvirt.virConnect) -> None:
    """What another controller does when it is done in the folder."""
    for pool in conn.listAllStoragePools():
        if pool.name().startswith(POOL):
            pool.destroy()


@pytest.mark.parametrize("name", ["create-down", "preview", "undo", "commit", "remove-middle"])
def test_the_pool_is_closed_by_another(stage: Stage, name: str) -> None:
    scenario = SCENARIOS[name]
    stage.reset(scenario)
    effects = stage.demand(scenario.verb, **scenario.options).effects
    wanted = stage.observe()
    for number in range(1, len(effects) + 1):
        stage.reset(scenario)
        run = stage.play(*scenario.call, Trouble(number, "before", Foreign(stage.daemon.uri, close_pools)))
        tally["races"] += 1
        assert run.outcome == "done", f"before effect {number} ({effects[number - 1]}): {run}"
        assert differences(wanted, stage.observe()) == [], f"before effect {number} ({effects[number - 1]})"
        assert stage.leftovers() == []


def test_two_vms_in_one_folder(daemon: Daemon, stage: Stage, conn: libvirt.virConnect, folder: Path) -> None:
    names = ("one", "two", "three", "four")
    made = [vms.make(conn, folder, name, ("os", "data"), size="1M", boot=None, console=False) for name in names]
    for number in range(ROUNDS):
        for call in (("create", {"snapshot": f"s{number}"}), ("preview", {"snapshot": f"s{number}"}), ("undo", {})):
            runs = race(stage, [(call[0], {**call[1], "vm": name}) for name in names])
            assert all(run.changed for run in runs), [str(run) for run in runs]
    runs = race(stage, [("remove", {"snapshot": "s0", "vm": name}) for name in names])
    assert all(run.changed for run in runs), [str(run) for run in runs]
    assert [pool.name() for pool in conn.listAllStoragePools()] == []
    for vm in made:
        assert sorted(vm.snapshots()) == sorted(f"s{number}" for number in range(1, ROUNDS))
        for path in sources_of(vm.dom).values():
            assert len(header_chain(path)) == ROUNDS
    assert not play(daemon.uri, "create", {"snapshot": f"s{ROUNDS - 1}", "vm": list(names)}).changed
