# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo a preview (§8). It fails like a commit, but worse."""

from __future__ import annotations

from tests.emulator.model.branches import BEFORE, leave
from tests.emulator.model.commit import Commit, Fate
from tests.emulator.model.rows import Kind, Snapshot, SnapshotStatus, Vm, VmStatus


class Undo(Commit):
    phrase = "Undoing a Snapshot-Preview"
    codes = (650, 651, 652)
    kind = "undo"

    @property
    def title(self) -> str:
        row = self.tables.row(self.vm.id, Kind.PREVIEW) if self._vm else None
        return f"Restoring VM Snapshot {BEFORE if row else '<UNKNOWN>'} of VM {self.vm.name if self._vm else '<UNKNOWN>'}"

    def _previewed(self, vm: Vm) -> bool:
        """The row is there a moment before the preview is over: then the status decides (§13)."""
        return self.tables.row(vm.id, Kind.PREVIEW) is not None

    def _change_rows(self, row: Snapshot, fate: Fate) -> tuple[list[str], VmStatus, VmStatus]:
        back = leave(self.engine, self.vm)
        self.task_ids(back.count)
        row.status = SnapshotStatus.LOCKED if back.count else SnapshotStatus.OK
        row.memory = None
        return [image.id for image in back.doomed], VmStatus.DOWN, VmStatus.DOWN

    def _finish(self, failed: bool, running: bool) -> None:
        if not failed:  # else ACTIVE stays locked for ever
            self.tables.active(self.vm).status = SnapshotStatus.OK
        super()._finish(failed, running)

    def _lose_first_volume(self, row: Snapshot) -> None:
        for record in row.configuration.disks if row.configuration else ():
            current = self.tables.images.current(record.disk_id)
            if current and current.id != record.image_id:
                self.storage.delete(current.id)
                return
