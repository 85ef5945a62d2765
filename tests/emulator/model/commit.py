# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit a preview (§7)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.emulator.model import checks
from tests.emulator.model.command import Command, Course, Task
from tests.emulator.model.messages import BUSY, NO_SNAPSHOT, REVERT, Refusal
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Disk, Image, Kind, Snapshot, SnapshotStatus, Vm, VmStatus

DELETIONS, END = 5.0, 2.5
REVERTIBLE = (VmStatus.DOWN, VmStatus.SUSPENDED, VmStatus.UP, VmStatus.UNKNOWN)


@dataclass
class Fate:
    """What a commit will delete."""

    taken: int = 0
    doomed: list[Image] = field(default_factory=list)
    dropped: list[Disk] = field(default_factory=list)


def fate_of(parts: Parts, row: Snapshot) -> Fate:
    """Per taken disk the old branch down to the chosen image; of a dropped disk everything."""
    fate, tables = Fate(), parts.tables
    for record in row.configuration.disks if row.configuration else ():
        disk, current = tables.disks.get(record.disk_id), tables.images.current(record.disk_id)
        if disk is None:
            continue
        if disk.dropped:
            fate.dropped.append(disk)
        elif current and current.id != record.image_id:
            fate.taken += 1
            fate.doomed += tables.images.branch(tables.images.get(record.image_id), current.parent)
    return fate


def clean_newer(parts: Parts, vm: Vm, source: Snapshot) -> list[Snapshot]:
    """§7.3: of the rows that are newer than the source, those without a living image go, the others are broken for good.

    To be asked before the images of dropped disks are deleted: here the engine still counts them as alive.
    """
    gone = []
    for row in parts.tables.rows(vm.id):
        if row.kind is not Kind.REGULAR or row.date <= source.date:
            continue
        records = row.configuration.disks if row.configuration else ()
        if any(record.image_id in parts.tables.images for record in records):
            row.broken = True
        else:
            gone.append(row)
    return gone


class Commit(Command):
    verb = REVERT
    lock_message = BUSY
    phrase = "Committing a Snapshot-Preview"
    codes = (94, 95, 96)
    kind = "commit"

    @property
    def title(self) -> str:
        source = self.tables.previewed(self.vm) if self._vm else None
        return f"Restoring VM Snapshot {source.description if source else '<UNKNOWN>'} of VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        checks.not_locked(self.verb, vm)
        if not self._previewed(vm):
            raise self.verb.cannot(NO_SNAPSHOT, 400)
        checks.status_among(self.verb, vm, *REVERTIBLE)

    def _previewed(self, vm: Vm) -> bool:
        return self.tables.previewed(vm) is not None

    # Execution
    def execute(self) -> Course:
        row = self.tables.row(self.vm.id, Kind.PREVIEW)
        if row is None:
            raise self.verb.cannot(NO_SNAPSHOT, 400)
        fate = fate_of(self.engine, row)
        if fate.taken + len(fate.dropped):
            yield from self._may_not_start(row)
            if self.refusal:
                return
        running = self.vm.status is VmStatus.UP
        doomed, status_while, status_after = self._change_rows(row, fate)
        self.event(self.codes[0], f"{self.phrase} for VM {self.vm.name} was initialized by {self.call.user}.")
        self.vm.status = status_while
        self.unlock()
        self.answer()
        if fate.dropped and self.kind == "commit" and self.fails("commit.hang"):
            self.vm.status = VmStatus.IMAGE_LOCKED  # for ever (§7.4)
            return
        yield from self._deletions(doomed, running, status_after)

    def _change_rows(self, row: Snapshot, fate: Fate) -> tuple[list[str], VmStatus, VmStatus]:
        """The rows are final at once: only the job tells that images are still being deleted (§4.2)."""
        tables, vm = self.tables, self.vm
        source = tables.previewed(vm)
        if source is None:
            raise LookupError("checked before")
        self.task_ids(fate.taken)
        doomed = [image.id for image in fate.doomed]
        for image in fate.doomed:
            tables.images.remove(image)
        hangs = any(injection.kind == "commit.hang" for injection in self.engine.injections.waiting())
        newer = clean_newer(self.engine, vm, source)
        for disk in fate.dropped:
            doomed += [image.id for image in tables.images.of(disk.id)]
            for image in tables.images.of(disk.id):
                tables.images.remove(image)
            del tables.disks[disk.id]
        for gone in [row] + ([] if hangs and fate.dropped else newer):
            del tables.snapshots[gone.id]
            self.engine.forget_memory(gone)
        source.status = SnapshotStatus.OK
        before = vm.status
        holds = bool(source.configuration and source.configuration.disks)
        after = VmStatus.SUSPENDED if before is VmStatus.SUSPENDED else VmStatus.DOWN
        locked = before is not VmStatus.SUSPENDED and holds and self.tasks
        return doomed, VmStatus.IMAGE_LOCKED if locked else after, after

    def _deletions(self, doomed: list[str], running: bool, after: VmStatus) -> Course:
        if doomed:
            yield Task(DELETIONS)
        failed = bool(doomed) and self.fails(f"{self.kind}.task")
        if not failed:
            deleted = [self.storage.delete(volume_id) for volume_id in doomed]
            failed = not all(deleted)
        self.tasks_over = True
        if self.vm.status is VmStatus.IMAGE_LOCKED or not running:
            self.vm.status = after
        yield Task(END)
        self._finish(failed, running)

    def _finish(self, failed: bool, running: bool) -> None:
        if running:
            self.vm.status = VmStatus.UP  # the monitoring finds the guest still there
        self.event(self.codes[1], f"{self.phrase} for VM {self.vm.name} has been completed.")
        self.end(ok=not failed)

    # The host refuses a deletion (§15.2)
    def _may_not_start(self, row: Snapshot) -> Course:
        if self.fails(f"{self.kind}.verb"):
            self._not_started()
            yield Task(2.5)
            self.end(ok=False)
        elif self.fails(f"{self.kind}.verb.later"):
            before = self.vm.status
            self.vm.status = VmStatus.IMAGE_LOCKED
            yield Task(300.0)
            self.vm.status = before
            self._lose_first_volume(row)
            self._not_started()
            self.end(ok=False)

    def _not_started(self) -> None:
        self.event(self.codes[2], f"Failed to {self.kind} Snapshot-Preview for VM {self.vm.name}.", "error")
        self.event(self.codes[1], f"{self.phrase} for VM {self.vm.name} has been completed.")
        self.unlock()
        self.refuse(Refusal(400, "Internal Engine Error"))

    def _lose_first_volume(self, row: Snapshot) -> None:
        """The first deletion was accepted before the second was refused: the volume is gone, invisibly."""
        fate = fate_of(self.engine, row)
        first = next(iter(fate.doomed), None)
        if first:
            self.storage.delete(first.id)
