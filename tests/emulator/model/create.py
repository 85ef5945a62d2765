# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create a snapshot (§5)."""

from __future__ import annotations

import unicodedata
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.emulator.model import checks
from tests.emulator.model.command import Call, Command, Course, Pause, Task
from tests.emulator.model.create_failures import heal_or_tear, leak_memory_disks, revert
from tests.emulator.model.layers import Layer, freeze, new_id
from tests.emulator.model.messages import CREATE, Refusal, being_taken
from tests.emulator.model.rows import Disk, ImageStatus, Snapshot, SnapshotStatus, Vm, VmStatus

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine

LIVE = (VmStatus.UP, VmStatus.PAUSED, VmStatus.POWERING_UP, VmStatus.POWERING_DOWN, VmStatus.REBOOT_IN_PROGRESS, VmStatus.WAIT_FOR_LAUNCH)
VOLUMES, LIVE_STEP, MEMORY, END = 4.0, 3.0, 4.0, 1.2


@dataclass(frozen=True)
class Choice:
    """A disk of the request; ``image_id`` is for its new active volume."""

    disk_id: str
    image_id: str | None = None


class Create(Command):
    verb = CREATE

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, description: str, memory: bool = False, choices: Sequence[Choice] | None = None) -> None:
        super().__init__(engine, call, vm)
        self.description = description
        self.lock_message = being_taken(vm.name) if vm else None
        self.wants_memory = memory
        self.choices = choices
        self.disks: list[Disk] = []
        self.row: Snapshot | None = None
        self.layers: list[Layer] = []

    @property
    def title(self) -> str:
        return f"Creating VM Snapshot {self.description} for VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    # Checks
    def check(self) -> None:
        describable(self.description)
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        self.disks = self._chosen(vm)
        checks.status_among(self.verb, vm, VmStatus.DOWN, *LIVE)
        checks.no_row_locked(self.tables, self.verb, vm)
        checks.not_in_preview(self.tables, self.verb, vm)
        checks.not_stateless(self.verb, vm)
        checks.disks_free(self.tables, self.verb, self.disks)
        checks.disks_legal(self.tables, self.verb, self.disks)
        self._image_ids_unused()
        checks.domains_active(self.tables, self.verb, self.disks)

    def _chosen(self, vm: Vm) -> list[Disk]:
        """In the engine's own order, which is not the request's: sorted by id it is at least the same in each run."""
        if self.choices is None:
            disks = [disk for _attachment, disk in self.tables.snapshottable(vm)]
            return sorted(disks, key=lambda disk: disk.id)
        wanted = sorted(choice.disk_id for choice in self.choices)
        missing = [disk_id for disk_id in wanted if not self.tables.disk(disk_id)]
        if missing:
            raise self.verb.cannot(f"The following disk(s) ID(s) does not exist: {', '.join(missing)}.", 400)
        disks = [self.tables.disks[disk_id] for disk_id in wanted]
        not_allowed = [disk for disk in disks if disk.id in vm.attachments and not disk.snapshottable]
        if not_allowed:
            raise self.verb.cannot(f"Snapshot is not allowed for the following disk(s): {checks.names(not_allowed)}.", 400)
        foreign = [disk for disk in disks if disk.id not in vm.attachments]
        if foreign:
            raise self.verb.cannot(f"The following disk(s) are not attached to the VM {vm.name}: {checks.names(foreign)}.", 400)
        return disks

    def _image_ids_unused(self) -> None:
        for choice in self.choices or ():
            image = self.tables.images.get(choice.image_id)
            if image and image.disk_id == choice.disk_id:
                raise self.verb.cannot(f"Image IDs \t{image.id} are already used by a snapshot.")

    # Execution
    def execute(self) -> Course:
        refused = self._refused_volume()
        if refused is not None:
            yield from heal_or_tear(self, self.disks[:refused])
            return
        ids = {choice.disk_id: choice.image_id for choice in self.choices or () if choice.image_id}
        self.row, self.layers = freeze(self.engine, self.vm, self.disks, self.description, image_ids=ids)
        if self.wants_memory and self.vm.status in LIVE:
            self.row.memory = (new_id(), new_id())
        self.event(45, f"Snapshot '{self.description}' creation for VM '{self.vm.name}' was initiated by {self.call.user}.")
        self.answer()
        yield from self._work()

    def _refused_volume(self) -> int | None:
        """Which disk's volume the host refuses, if any; those before it were handled already."""
        wanted = [choice.image_id for choice in self.choices or () if choice.image_id]
        for number, disk in enumerate(self.disks):
            mine = next((choice.image_id for choice in self.choices or () if choice.disk_id == disk.id), None)
            taken = mine is not None and (mine in self.tables.images or (wanted.count(mine) > 1 and number > 0))
            if taken or self.fails("create.volume.verb", disk=(disk.id, disk.alias), number=number):
                return number
        return None

    def _work(self) -> Course:
        live = self.vm.status in LIVE
        broken = False
        if self.layers or self._memory():
            broken = yield from self._volumes()
        if broken and live:
            yield from revert(self, labels=True)
        elif live and (self._plugged() or self._memory()):
            yield from self._live(broken)
        else:
            yield Task(END)
            self._finish(broken)

    def _volumes(self) -> Generator[Pause, None, bool]:
        job = self.job
        executing = job.steps[-1] if job else None
        steps = [self.engine.journal.step(job, "unknown", "Creating Volume", executing) for _layer in self.layers] if job else []
        yield Task(VOLUMES)
        for volume_id in self._memory():
            self.storage.create(volume_id, None)
        broken = False
        for number, layer in enumerate(self.layers):
            failure = self.engine.injections.take("create.volume.task", vm=(self.vm.id, self.vm.name), disk=(layer.disk.id, layer.disk.alias))
            made = (failure is None or failure.values.get("damage") == "none") and self.storage.create(layer.top.id, layer.disk.id, layer.below.id)
            broken = broken or failure is not None or not made
            if steps:
                self.engine.journal.end_step(steps[number], failure is None and made)
        return broken

    def _plugged(self) -> list[Disk]:
        return [disk for disk in self.disks if self.vm.attachments[disk.id].plugged]

    def _memory(self) -> tuple[str, ...]:
        return self.row.memory or () if self.row else ()

    def _live(self, broken: bool) -> Course:
        """The host switches the running VM to the new layers."""
        name = self.vm.name
        if self.fails("create.live.verb"):
            advice = "VM restart is recommended. Note that using the created snapshot might cause data inconsistency."
            self.event(170, f"Failed to create live snapshot '{self.description}' for VM '{name}'. {advice}", "warning")
            yield from self._fall_back()
            return
        silent = self.engine.injections.take("create.live.silent", vm=(self.vm.id, name))
        if silent:
            self.engine.stall(float(silent.values.get("seconds", 320)))
        yield Task(LIVE_STEP + (MEMORY if self._memory() else 0))
        if self.fails("create.vmdown"):
            self.engine.power_off(self.vm)
        if silent or self.fails("create.live.job"):
            yield from self._fall_back()
            return
        if self.vm.status not in LIVE and self._memory() and self.row:
            for volume_id in self._memory():
                self.storage.delete(volume_id)
            self.row.memory = None
            self.event(173, f"Failed to save memory as part of Snapshot {self.description} for VM {name} (User: {self.call.user}).", "error")
        yield Task(END)
        self._finish(broken or self.fails("create.live.job_after"))

    def _fall_back(self) -> Course:
        leak_memory_disks(self)
        yield from revert(self, labels=False)

    def _finish(self, broken: bool) -> None:
        if self.row:
            self.row.status = SnapshotStatus.OK
        for layer in self.layers:
            layer.top.status = ImageStatus.OK
        if broken:
            whose = f"Snapshot {self.description} for VM {self.vm.name} (User: {self.call.user})"
            self.event(10774, f"{whose}, may be inconsistent as there was a failure during creation.", "warning")
            self.failed()
        else:
            self.event(68, f"Snapshot '{self.description}' creation for VM '{self.vm.name}' has been completed.")
        self.end(ok=not broken)

    def failed(self) -> None:
        self.event(69, f"Failed to complete snapshot '{self.description}' creation for VM '{self.vm.name}'.", "error")

    def interrupted(self) -> Course:
        """§15.3: rolled back; the job is unknown, 42 s later it has failed, with the end tried six times."""
        yield from super().interrupted()
        self.storage.create(new_id(), self.disks[0].id if self.disks else None)
        yield Task(42)
        for _time in range(6):
            self.failed()
        self.end(ok=False)


def describable(description: str) -> None:
    """§3.4: letters of any script and all of ASCII."""
    if len(description) > 4000:
        raise Refusal(400, "Snapshot description must not exceed 4000 characters", "Attribute: description")
    if not all(character.isascii() or unicodedata.category(character).startswith("L") for character in description):
        text = "Snapshot description must be formed only from alpha-numeric characters and special characters that conform to the standard ASCII character set."
        raise Refusal(400, text, "Attribute: description")
