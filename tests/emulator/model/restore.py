# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore: a preview and its commit in one request (§9)."""

from __future__ import annotations

from tests.emulator.model.commit import Commit
from tests.emulator.model.preview import Preview
from tests.emulator.model.rows import Kind, SnapshotStatus


class Restore(Preview):
    """Answered when the commit's tasks are over; its end is still to come. The job of the answer is the commit's."""

    commit: Commit | None = None

    def answer(self) -> None:
        """Not yet: the client waits for the second half."""

    def end(self, ok: bool) -> None:
        answered = self.answered
        super().end(ok)
        row = self.tables.row(self.vm.id, Kind.PREVIEW)
        if not ok or row is None or row.status is not SnapshotStatus.OK:
            return
        self.answered, self.tasks_over = answered, False
        self.commit = Commit(self.engine, self.call, self.vm)
        self.engine.submit(self.commit)

    @property
    def done(self) -> bool:
        return self.answered or (self.commit is not None and self.commit.tasks_over)
