# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who knows nothing of this collection works on the VM at the same time, right before each effect of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable
from xml.etree import ElementTree

import libvirt
import pytest

from tests.crash.conftest import Some
from tests.crash.controller import Foreign, Trouble
from tests.crash.scenarios import SCENARIOS
from tests.crash.stage import Stage, State, header_chain
from tests.crash.tally import tally

THEIRS = "theirs"


def take_snapshot(conn: libvirt.virConnect) -> None:
    """virsh snapshot-create-as vm theirs --disk-only"""
    conn.lookupByName("vm").snapshotCreateXML(f"<domainsnapshot><name>{THEIRS}</name></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)


def edit(conn: libvirt.virConnect) -> None:
    """virsh edit vm"""
    root = ElementTree.fromstring(conn.lookupByName("vm").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
    root.find("description").text = THEIRS
    conn.defineXML(ElementTree.tostring(root, encoding="unicode"))


def start(conn: libvirt.virConnect) -> None:
    """virsh start vm"""
    conn.lookupByName("vm").create()


ACTIONS: Mapping[str, Callable[[libvirt.virConnect], None]] = {"snapshot": take_snapshot, "edit": edit, "start": start}
NAMES = ("create-down", "create-up", "preview", "undo", "commit", "restore", "remove-middle", "remove-last-up")


def lost(start: State, whole: State, found: State, going: str = "", settled: bool = True) -> list[str]:
    """What is wrong with a state, whatever led to it. ``going`` is a snapshot that is being removed.

    Not ``settled``: what was merged may still stand in the chains.
    """
    wrong = []
    for name, snapshot in found["snapshots"].items():
        if name == going:
            continue
        for target, digest in snapshot["disks"].items():
            before = start["snapshots"].get(name) or whole["snapshots"].get(name)
            right = {before["disks"].get(target)} if before else {start["disks"].get(target), whole["disks"].get(target)}
            if digest not in right:
                wrong.append(f"snapshot {name} shows other data of {target}")
        for target, overlay in snapshot["overlays"].items():
            if settled and header_chain(overlay)[1:2] != [snapshot["images"][target]]:
                wrong.append(f"{overlay} is built on {header_chain(overlay)[1:2]}, libvirt says {snapshot['images'][target]}")
    held = {image: name for name, snapshot in found["snapshots"].items() for image in snapshot["images"].values()}
    for target, digest in found["disks"].items():
        path = found["chains"][target][0]
        if digest not in (start["disks"].get(target), whole["disks"].get(target)):
            wrong.append(f"disk {target} shows other data")
        if path in held:
            wrong.append(f"disk {target} writes into the image {path} of snapshot {held[path]}")
        if found["running"] and found["running"].get(target, [""])[0] != path:
            wrong.append(f"disk {target} runs on {found['running'].get(target)}, its configuration says {path}")
    return wrong


REFUSED = {"changed_meanwhile", "not_as_planned", "still_used", "in_preview", "vm_running", "backend_failed"}


@pytest.mark.parametrize(("name", "action"), [(name, action) for name in NAMES for action in ACTIONS if action != "start" or SCENARIOS[name].power == "down"])
def test_nothing_is_lost(stage: Stage, some: Some, name: str, action: str) -> None:
    """The task takes it into account, or is refused. What is there then is sound, and so it is after another run."""
    scenario = SCENARIOS[name]
    going = str(scenario.options["snapshot"]) if scenario.verb == "remove" else ""
    stage.reset(scenario)
    start = stage.observe()
    effects = stage.demand(scenario.verb, **scenario.options).effects
    whole = stage.observe()
    wrong = []
    for number, effect in some(effects, 2):
        stage.reset(scenario)
        run = stage.play(*scenario.call, Trouble(number, "before", Foreign(stage.daemon.uri, ACTIONS[action])))
        tally["interferences"] += 1
        found = [] if run.outcome in {"done", *REFUSED} else [str(run)]
        found += lost(start, whole, stage.observe(), going, settled=False)
        if scenario.power == "down":
            stage.vm.destroy()
        again = stage.play(*scenario.call)
        found += [] if again.outcome in {"done", *REFUSED} else [str(again)]
        found += [f"again: {line}" for line in lost(start, whole, stage.observe())]
        wrong += [f"{action} before effect {number} ({effect}), {run.outcome}: {line}" for line in found]
    assert not wrong, "\n".join(wrong)
