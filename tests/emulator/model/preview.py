# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preview a snapshot, whole or composed (§6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.emulator.model import checks
from tests.emulator.model.branches import Branches, enter, leave
from tests.emulator.model.command import Call, Command, Course, Task
from tests.emulator.model.layers import new_id
from tests.emulator.model.messages import ACTIVE_SOURCE, BUSY, NO_MAC, NO_SNAPSHOT, NOT_DOWN, PREVIEW, Crashed, Refusal
from tests.emulator.model.rows import Disk, ImageStatus, Kind, Snapshot, SnapshotStatus, Vm, VmStatus

if TYPE_CHECKING:
    from tests.emulator.model.engine import Engine

VOLUMES, LAST_MOMENT = 6.0, 0.6


@dataclass(frozen=True)
class Lease:
    """The request's wish; None: no lease."""

    domain_id: str | None


@dataclass(frozen=True)
class Pick:
    disk_id: str
    image_id: str


class Preview(Command):
    verb = PREVIEW
    lock_message = BUSY

    def __init__(
        self,
        engine: Engine,
        call: Call,
        vm: Vm | None,
        source_id: str,
        picks: list[Pick] | None = None,
        memory: bool = True,
        lease: Lease | None = None,
    ) -> None:
        super().__init__(engine, call, vm)
        self.source = self.tables.snapshots.get(source_id)
        self.listed = bool(picks)
        self.picks = picks or self._recorded()
        self.wants_memory = memory
        self.lease = lease
        self.branches: Branches | None = None

    def _recorded(self) -> list[Pick]:
        """A regular preview shows what the source recorded, as far as it still exists."""
        stored = self.source.configuration if self.source else None
        return [Pick(record.disk_id, record.image_id) for record in (stored.disks if stored else ()) if record.image_id in self.tables.images]

    @property
    def title(self) -> str:
        return f"Preview VM Snapshot {self.source.description if self.source else '<UNKNOWN>'} of VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    # Checks
    def check(self) -> None:
        vm = checks.exists(self.verb, self._vm)
        if self.source is None and not self.listed:
            raise Crashed(500, "java.lang.NullPointerException")
        checks.not_locked(self.verb, vm)
        self._lease(vm)
        if vm.status is not VmStatus.DOWN:
            raise self.verb.cannot(NOT_DOWN)
        source = self.source
        if source is None or source.vm_id != vm.id:
            raise self.verb.cannot(NO_SNAPSHOT, 400)
        checks.no_row_locked(self.tables, self.verb, vm)
        checks.not_in_preview(self.tables, self.verb, vm)
        checks.configured(self.verb, vm, source)
        disks = [disk for _attachment, disk in self.tables.snapshottable(vm)]
        checks.disks_legal(self.tables, self.verb, disks)
        checks.disks_free(self.tables, self.verb, disks)
        self._images(vm)
        checks.domains_active(self.tables, self.verb, disks)
        self._no_damage(vm)
        self._not_active(source)

    def _images(self, vm: Vm) -> None:
        seen: list[str] = []
        for pick in self.picks:
            if pick.disk_id in seen:
                raise self.verb.cannot(f"The following disk ids are duplicated: {pick.disk_id}.")
            seen.append(pick.disk_id)
        foreign = [pick for pick in self.picks if pick.disk_id not in vm.attachments]
        if foreign and self.listed:
            lines = "".join(f" {self._alias(pick)} ,{self._owner(pick)} \n" for pick in foreign)
            raise self.verb.cannot(f"The following VM's disks snapshots are not attached to VM {vm.name} (Disk Alias/Snapshot Description):\n\n{lines}\n")

    def _alias(self, pick: Pick) -> str:
        return self.tables.disks[pick.disk_id].alias

    def _owner(self, pick: Pick) -> str:
        image = self.tables.images.get(pick.image_id)
        row = self.tables.snapshots.get(image.snapshot_id or "") if image else None
        return row.description if row else ""

    def _lease(self, vm: Vm) -> None:
        """It must be the VM's own or that of one of its snapshots."""
        stored = [row.configuration.settings for row in self.tables.rows(vm.id) if row.configuration]
        if self.lease and self.lease.domain_id and self.lease.domain_id not in {settings.lease_domain for settings in (vm.settings, *stored)}:
            text = "Specified lease domain ID is not valid. The ID does not belong to any of the VM leases storage domains snapshots."
            raise Refusal(400, text, text)

    def _no_damage(self, vm: Vm) -> None:
        damaged = [disk.id for disk in self.tables.damaged(vm)]
        if damaged:
            listed = "\n".join(damaged)
            text = "The following disk IDs are associated with a damaged snapshot and may require manual inspection:\n ${diskIds}"
            raise Refusal(409, f"$diskids {listed}", f"Cannot preview Snapshot. {text}")

    def _not_active(self, source: Snapshot) -> None:
        """ACTIVE is refused either way, with an inactive image in the list by a message about MACs."""
        if source.kind is not Kind.ACTIVE:
            return
        images = [self.tables.images.get(pick.image_id) for pick in self.picks]
        if self.listed and not all(image and image.active for image in images):
            raise self.verb.cannot(NO_MAC)
        raise Refusal(400, ACTIVE_SOURCE)

    # Execution
    def execute(self) -> Course:
        source = self.source
        if source is None:
            raise LookupError("checked before")
        with_memory = self.wants_memory and source.memory is not None
        picks = {pick.disk_id: pick.image_id for pick in self.picks if pick.disk_id in self.vm.attachments}
        self.branches = branches = enter(self.engine, self.vm, source, picks, with_memory)
        self._set_lease()
        if any(self.fails("preview.verb", disk=self._names(image.disk_id)) for image in branches.taken):
            self._roll_back()
            self.event(115, f"Failed to preview Snapshot {source.description} for VM {self.vm.name} (User: {self.call.user}).", "error")
            raise Refusal(400, "Error creating a new volume")
        self.event(46, f"Snapshot-Preview {source.description} for VM {self.vm.name} was initiated by {self.call.user}.")
        self.task_ids(len(branches.taken))
        after = VmStatus.SUSPENDED if with_memory else VmStatus.DOWN
        if branches.taken:
            self.vm.status = VmStatus.IMAGE_LOCKED
            self.unlock()
            self.answer()
            yield from self._volumes(after)
        else:
            self.vm.status = after
            self._rows_final()
            self.end(ok=True)

    def _names(self, disk_id: str) -> tuple[str, str]:
        disk: Disk = self.tables.disks[disk_id]
        return disk.id, disk.alias

    def _set_lease(self) -> None:
        if self.lease:
            self.vm.settings = replace(self.vm.settings, lease_domain=self.lease.domain_id)

    def _volumes(self, after: VmStatus) -> Course:
        branches, source = self.branches, self.source
        if branches is None or source is None:
            raise LookupError("not executed")
        yield Task(VOLUMES)
        if self.fails("preview.end"):
            self._stuck()
            return
        failed = [image for image in branches.taken if self.fails("preview.task", disk=self._names(image.disk_id))]
        made = [self.storage.create(image.id, image.disk_id, image.parent) for image in branches.taken if image not in failed]
        self.tasks_over = True
        if failed or not all(made):
            self._roll_back()
            self.vm.status = VmStatus.IMAGE_LOCKED
            self.event(99, f"Failed to complete Snapshot-Preview {source.description} for VM {self.vm.name}.", "error")
            self.end(ok=False)
            yield Task(0.5)
            self.vm.status = VmStatus.DOWN
            return
        self.vm.status = after
        yield Task(LAST_MOMENT)
        if self.tables.snapshots.get(branches.row.id) is branches.row and branches.row.kind is Kind.PREVIEW:  # else it was undone in the last moment
            self._rows_final()
        self.event(71, f"Snapshot-Preview {source.description} for VM {self.vm.name} has been completed.")
        self.end(ok=True)

    def _rows_final(self) -> None:
        if self.branches and self.source:
            self.branches.row.status = SnapshotStatus.OK
            self.source.status = SnapshotStatus.IN_PREVIEW

    def _stuck(self) -> None:
        """§15.2: the end ran just after a host outage and died; nothing over REST gets the VM out of this."""
        if self.branches and self.source:
            for image in self.branches.taken:
                self.storage.create(image.id, image.disk_id, image.parent)
                image.status = ImageStatus.LOCKED
            self.event(99, f"Failed to complete Snapshot-Preview {self.source.description} for VM {self.vm.name}.", "error")

    def _roll_back(self) -> None:
        """All disks are as before, but those that were kept have the label of an ACTIVE row that is gone (§15.1)."""
        branches = self.branches
        if branches is None:
            return
        dead = self.tables.active(self.vm).id
        back = leave(self.engine, self.vm)
        for image in back.doomed:
            self.storage.delete(image.id)
        for image in branches.kept:
            image.snapshot_id = dead
        active = self.tables.active(self.vm)
        active.date, active.status = branches.active_date, SnapshotStatus.OK
        self.vm.status = VmStatus.DOWN

    def interrupted(self) -> Course:
        """§15.3: rolled back before REST answers again; the job stays unknown, there is no event, and kept disks are damaged."""
        yield from super().interrupted()
        dead = new_id()
        for pick in self.picks:
            image = self.tables.images.get(pick.image_id)
            if image and image.active:
                image.snapshot_id = dead
        self.over = True
