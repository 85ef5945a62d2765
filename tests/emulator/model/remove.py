# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove a snapshot, or one disk of it (§10). Each disk's image takes in the next one and the label of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.emulator.model import checks
from tests.emulator.model.command import Call, Command, Course, Task
from tests.emulator.model.configuration import drop_record
from tests.emulator.model.layers import merge_up
from tests.emulator.model.messages import DURING_SNAPSHOT, ONLY_REGULAR, REMOVE, REMOVE_DISK_SNAPSHOT, Refusal, Verb
from tests.emulator.model.parts import HOST
from tests.emulator.model.rows import Disk, Image, ImageStatus, Kind, Snapshot, SnapshotStatus, Vm, VmStatus

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine

PREPARE, MERGE, END = 1.5, 2.0, 2.0
RUNNING = (VmStatus.UP, VmStatus.PAUSED)
FAILURES = ("remove.prepare", "remove.merge", "remove.finalize", "remove.delete")


def qualified(verb: Verb, vm: Vm) -> None:
    if vm.status not in (VmStatus.DOWN, *RUNNING):
        raise verb.cannot(f"VM {vm.name} must be in status Down, Up or Paused.")


class Merging(Command):
    """What both removals do with the images."""

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, row: Snapshot) -> None:
        super().__init__(engine, call, vm)
        self.row = row
        self.name = row.description
        self.images: list[Image] = []
        self.failed: list[Image] = []

    @property
    def disks(self) -> list[Disk]:
        return [self.tables.disks[image.disk_id] for image in self.images]

    @property
    def live(self) -> bool:
        return self.vm.status in RUNNING

    def not_held(self) -> None:
        """The engine holds the disks of a removal in memory from its check on, before that shows in any status."""
        held = {image.disk_id for other in self.engine.running if isinstance(other, Merging) for image in other.images}
        taken = [disk for disk in self.disks if disk.id in held]
        if taken:
            raise self.verb.disks_locked(checks.names(taken))

    def lock_disks(self, status: ImageStatus) -> None:
        """The lock shows in the attachment and in every snapshot: it is on all images of the disk."""
        for image in self.images:
            for layer in self.tables.images.of(image.disk_id):
                if layer not in self.failed or status is ImageStatus.LOCKED:
                    layer.status = status

    def merge_all(self) -> Course:
        """One disk after the other, as on a host that is down."""
        yield Task(PREPARE)
        for image in list(self.images):
            child = next(iter(self.tables.images.children(image)), None)
            if child and child.id not in self.storage.volumes:
                merge_up(self.engine, image)  # a leftover of a failed create: its layer never was on storage
                continue
            if not self.live and not self._point("remove.prepare", image):
                self._fail(image)
                continue
            self._announce(image, child)
            yield Task(MERGE)
            if self._killed() or not all(self._point(kind, image) for kind in FAILURES[1:]):
                self._fail(image)
            else:
                merge_up(self.engine, image)

    def _fail(self, image: Image) -> None:
        self.failed.append(image)
        image.status = ImageStatus.ILLEGAL if self.live else ImageStatus.OK

    def _killed(self) -> bool:
        """A restart ends the cold merge that it meets."""
        killed, self.saw_restart = self.saw_restart and not self.live, False
        return killed

    def _point(self, kind: str, image: Image) -> bool:
        disk = self.tables.disks[image.disk_id]
        return not self.fails(kind, disk=(disk.id, disk.alias))

    def _announce(self, image: Image, child: Image | None) -> None:
        above = self.tables.snapshots.get(child.snapshot_id or "") if child else None
        if above and not self.live:
            alias = self.tables.disks[image.disk_id].alias
            self.event(72, f"Merging snapshots ({above.description} into {self.name}) of disk {alias} on host {HOST}")


class Remove(Merging):
    verb = REMOVE

    @property
    def title(self) -> str:
        return f"Removing Snapshot {self.name} of VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def check(self) -> None:
        if self._vm is None:
            raise Refusal(500, "General command validation failure.")
        vm, tables = self._vm, self.tables
        checks.not_locked(self.verb, vm)
        self.images = sorted(tables.held(self.row), key=lambda image: image.disk_id)
        self._disjoint(vm)
        checks.not_in_preview(tables, self.verb, vm)
        if self.row.kind is not Kind.REGULAR:
            raise self.verb.cannot(ONLY_REGULAR)
        qualified(self.verb, vm)
        if vm.status is VmStatus.DOWN:
            self._legal()
        else:
            self._plugged(vm)
        checks.disks_free(tables, self.verb, self.disks)
        self.not_held()
        checks.domains_active(tables, self.verb, self.disks)

    def _disjoint(self, vm: Vm) -> None:
        """Other removals may run if they have no disk in common; any other locked row is in the way."""
        others = [command for command in self.engine.running if isinstance(command, Remove) and command.vm is vm]
        mine = {image.disk_id for image in self.images}
        removed = {other.row.id for other in others}
        shared = any(other.row is self.row or mine & {image.disk_id for image in other.images} for other in others)
        if shared or any(row.id not in removed for row in self.tables.locked_rows(vm)):
            raise self.verb.cannot(DURING_SNAPSHOT)

    def _legal(self) -> None:
        illegal = [disk for disk in self.disks if any(image.status is ImageStatus.ILLEGAL for image in self.tables.images.of(disk.id))]
        if illegal:
            raise self.verb.disks_illegal(checks.names(illegal))

    def _plugged(self, vm: Vm) -> None:
        out = [disk for disk in self.disks if disk.id not in vm.attachments or not vm.attachments[disk.id].plugged]
        if out:
            lines = "\n ".join(disk.alias for disk in out)
            raise self.verb.cannot(f"The following disks are either unplugged or unattached: \n {lines}")

    def execute(self) -> Course:
        self.event(342, f"Snapshot '{self.name}' deletion for VM '{self.vm.name}' was initiated by {self.call.user}.")
        if not self.images:
            self._drop_row()
            self.answer()
            yield Task(END)
            self._completed("<UNKNOWN>")
            return
        self.row.status = SnapshotStatus.LOCKED
        self.lock_disks(ImageStatus.LOCKED)
        self.answer()
        yield from self.merge_all()
        yield Task(END)
        if self.failed:
            self._partly()
        else:
            self.lock_disks(ImageStatus.OK)
            self._drop_row()
            self._completed(self.name)

    def _drop_row(self) -> None:
        del self.tables.snapshots[self.row.id]
        self.engine.forget_memory(self.row)

    def _completed(self, name: str) -> None:
        self.event(356, f"Snapshot '{name}' deletion for VM '{self.vm.name}' has been completed.")
        self.end(ok=True)

    def _partly(self) -> None:
        """§15.2: the row is back with the failed disks only. Disks that were merged and still have layers keep their lock for ever."""
        self.row.status = SnapshotStatus.OK
        for image in self.images:
            layers = self.tables.images.of(image.disk_id)
            if image in self.failed:
                for layer in layers:
                    layer.status = image.status if layer is image else ImageStatus.OK
            else:
                drop_record(self.row, image.disk_id)
                if len(layers) == 1 and not self.live:
                    layers[0].status = ImageStatus.OK
        self.event(357, f"Failed to delete snapshot '{self.name}' for VM '{self.vm.name}'.", "error")
        self.end(ok=False)


class RemoveDisk(Merging):
    """One disk out of a snapshot. The row stays ``ok``: only the disk is locked (§10.2)."""

    verb = REMOVE_DISK_SNAPSHOT

    def __init__(self, engine: Engine, call: Call, vm: Vm | None, row: Snapshot, image: Image) -> None:
        super().__init__(engine, call, vm, row)
        self.images = [image]

    @property
    def title(self) -> str:
        return f"Removing Disks from Snapshot(s) {self.name} of VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    @property
    def image(self) -> Image:
        return self.images[0]

    @property
    def disk(self) -> Disk:
        return self.tables.disks[self.image.disk_id]

    def check(self) -> None:
        vm, tables = checks.exists(self.verb, self._vm), self.tables
        checks.not_locked(self.verb, vm)
        if self.image.active:
            raise self.verb.cannot(f"The following disk snapshot(s) is active: {self.image.id} ({self.disk.alias}).", 400)
        layers = tables.images.of(self.disk.id)
        if any(layer.status is ImageStatus.LOCKED for layer in layers):
            raise self.verb.disks_locked(", ".join(self.disk.alias for _layer in layers))  # the alias once per image
        self.not_held()
        attachment = vm.attachments.get(self.disk.id)
        if attachment and attachment.plugged:
            qualified(self.verb, vm)
        checks.no_row_locked(tables, self.verb, vm)
        checks.not_in_preview(tables, self.verb, vm)
        checks.domains_active(tables, self.verb, [self.disk])

    def execute(self) -> Course:
        vm, disk = self.vm, self.disk
        self.event(373, f"Disk '{disk.alias}' from Snapshot(s) '{self.name}' of VM '{vm.name}' deletion was initiated by {self.call.user}.")
        self.lock_disks(ImageStatus.LOCKED)
        self.answer()
        if self.live and not vm.attachments[disk.id].plugged:
            yield from self._never_merged()
        else:
            yield from self.merge_all()
        yield Task(END)
        self.lock_disks(ImageStatus.OK)
        if self.failed:
            self.event(
                376, f"Failed to complete deletion of Disk '{disk.alias}' from snapshot(s) '{self.name}' of VM '{vm.name}' (User: {self.call.user}).", "error"
            )
        else:
            drop_record(self.row, disk.id)
            text = f"Disk '{disk.alias}' from Snapshot(s) '{self.name}' of VM '{vm.name}' deletion has been completed (User: {self.call.user})."
            self.event(375, text)
        self.end(ok=not self.failed)

    def _never_merged(self) -> Course:
        """The host refuses to merge an unplugged disk and the engine asks again until the VM stops."""
        while self.live:
            yield Task(10.0)
        self.image.status = ImageStatus.ILLEGAL
        self.failed.append(self.image)
