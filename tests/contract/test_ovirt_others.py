# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who knows nothing of this collection works on the VM at the same time, right before each request of a task that changes something.

The task ends well or with one clear reason, nothing of what was there is lost, and another run ends well or says why not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

import pytest

from tests.contract.engine import EngineMachine
from tests.contract.scenes import SCENES as ALL
from tests.contract.scenes import Scene, all_rests, counted, error_of, hurried
from tests.contract.verbs import EXCLUDED, commit, composition, undo
from tests.emulator.client import Client

REFUSED = {"changed_meanwhile", "engine_busy", "gone", "in_preview", "not_as_planned", "other_preview", "preview_failed", "unplugged_disk", "vm_running"}
"""What a task may be told that somebody came in between of."""

KEPT = "written by somebody else"
Held = set[tuple[str, str]]


class Somebody:
    """``do`` once, and put it to an end later."""

    def __init__(self, machine: EngineMachine) -> None:
        self.machine, self.engine = machine, machine.engine
        self.rest = Client(machine.engine)
        self.backup = ""
        self.lost: set[str] = set()
        """Names of disks that they deleted."""

    def opens_a_preview(self) -> None:
        s2 = next((row["id"] for row in self._rows() if row["description"] == "s2"), None)
        if s2:
            self.rest.preview(self.machine.id, s2)
            self.engine.settle(self.machine.id)

    def starts_the_vm(self) -> None:
        self.rest.post(f"/vms/{self.machine.id}/start")
        self.engine.settle(self.machine.id)

    def deletes_a_disk(self) -> None:
        if self.rest.delete(f"/disks/{self._disk('tmp')}").status == 200:
            self.lost.add("tmp")
            self.engine.settle(self.machine.id)

    def adds_a_disk(self) -> None:
        body = "<disk_attachment><active>true</active><bootable>false</bootable><interface>virtio</interface><disk><alias>late</alias><format>cow</format>"
        body += "<provisioned_size>1073741824</provisioned_size></disk></disk_attachment>"
        made = self.rest.post(f"/vms/{self.machine.id}/diskattachments", body)
        self.engine.settle(self.machine.id)
        if made.status in (201, 202):
            self.engine.write(self._disk("late"), "0", KEPT)

    def takes_a_snapshot(self) -> None:
        self.rest.create(self.machine.id, "theirs")
        self.engine.settle(self.machine.id)

    def migrates_a_disk(self) -> None:
        """It goes on while the task does."""
        self.rest.post(f"/disks/{self._disk('data')}/move", f"<action><storage_domain id='{self.rest.get('/storagedomains').xml[1].get('id')}'/></action>")

    def backs_up(self) -> None:
        self.backup = self.rest.post(f"/vms/{self.machine.id}/backups", f"<backup><disks><disk id='{self._disk('os')}'/></disks></backup>").id

    def ends(self) -> None:
        """Whatever they began is over."""
        self.engine.settle()
        if self.backup:
            self.rest.post(f"/vms/{self.machine.id}/backups/{self.backup}/finalize")
        if self.rest.status(self.machine.id) == "up":
            self.rest.post(f"/vms/{self.machine.id}/stop")
        self.engine.settle()

    def _rows(self) -> Any:
        return self.engine.state(self.machine.id)["snapshots"]

    def _disk(self, name: str) -> str:
        return str(self.engine.state(self.machine.id)["disks"][name]["id"])


OTHERS: dict[str, Callable[[Somebody], None]] = {
    "preview": Somebody.opens_a_preview,
    "start": Somebody.starts_the_vm,
    "disk-gone": Somebody.deletes_a_disk,
    "disk-new": Somebody.adds_a_disk,
    "snapshot": Somebody.takes_a_snapshot,
    "migration": Somebody.migrates_a_disk,
    "backup": Somebody.backs_up,
}
SCENES = {name: ALL[name] for name in ("create", "create-live", "preview", "preview-old", "commit", "commit-old", "undo", "undo-old", "remove")}
# With a guard: another run is not to commit the preview of somebody else.
SCENES["commit"] = replace(ALL["commit"], verb=commit(composition(disks={"os": "s1", "tmp": EXCLUDED}), allow_disk_removal=True))
SCENES["commit-old"] = replace(ALL["commit-old"], verb=commit(composition("s1")))
CASES = [
    (name, number, other)
    for name in SCENES
    for number in range(1, len(SCENES[name].sends) + 1)
    for other in OTHERS
    if other != "backup" or number == 1  # it is waited for in vain, which takes its time
]


def contents(machine: EngineMachine) -> Held:
    """What is still there: disk and content, of each image that the current state or a snapshot has, locked ones included."""
    found = set()
    for name, disk in machine.engine.state(machine.id)["disks"].items():
        for image in disk["images"]:
            assert image["written"] != "no volume"
            found.add((name, repr(machine.engine.image_content(image["id"]))))
    return found


WHOLE: dict[str, Held] = {}


def dropped(scene: Scene, center: Callable[..., EngineMachine]) -> Held:
    """What the task itself is asked to give up: what cannot be reached any more after a run that nobody disturbed."""
    if scene.name not in WHOLE:
        machine = scene.machine(center)
        before = contents(machine)
        with hurried(1.0):
            assert error_of(machine, scene.verb) is None
        WHOLE[scene.name] = before - contents(machine)
        machine.engine.reset()
    return WHOLE[scene.name]


@pytest.mark.parametrize(("name", "number", "other"), CASES, ids=["-".join(map(str, case)) for case in CASES])
def test_nothing_is_lost(center, monkeypatch, name, number, other):
    monkeypatch.setattr("tests.contract.scenes.TIMEOUT", 3)  # a backup is not over before the task is
    scene = SCENES[name]
    given_up = dropped(scene, center)
    machine = scene.machine(center)
    somebody = Somebody(machine)
    before = contents(machine)

    def act(count, send):
        if count == number:
            OTHERS[other](somebody)
        return send()

    def missing():
        return {(disk, held) for disk, held in before - given_up - contents(machine) if disk not in somebody.lost}

    with hurried(1.0):
        with counted(act):
            error = error_of(machine, scene.verb)
        assert error is None or (error.reason in REFUSED and error.hint), f"{error.reason}: {error.message}"
        assert not missing()
        somebody.ends()
        error = error_of(machine, scene.verb)
        assert error is None or (error.reason in REFUSED and error.hint), f"again, {error.reason}: {error.message}"
        assert not missing()
        if any(row["kind"] == "preview" for row in machine.engine.state(machine.id)["snapshots"]):
            error = error_of(machine, undo())  # theirs, perhaps: what ours left beside it goes with its end
            assert error is None, error.message
            assert not missing()
        all_rests(machine)
    assert "late" not in machine.disks() or machine.contents()["late"] == {"0": KEPT}
