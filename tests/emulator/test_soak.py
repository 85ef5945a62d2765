# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long random histories: whatever order operations come in, every snapshot shows what it froze, and nothing is left on storage."""

from __future__ import annotations

import random

import pytest

from tests.emulator import small
from tests.emulator.model.command import Call, Command
from tests.emulator.model.commit import Commit
from tests.emulator.model.create import Choice, Create
from tests.emulator.model.engine import Engine
from tests.emulator.model.messages import Refusal
from tests.emulator.model.preview import Pick, Preview
from tests.emulator.model.remove import Remove, RemoveDisk
from tests.emulator.model.rows import ImageStatus, Kind
from tests.emulator.model.undo import Undo

CALL = Call("soak", "admin@internal-authz")
Contents = dict[str, dict[str, str]]


class History:
    """A VM and what each of its snapshots must show, noted when it was made."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.engine = Engine(1e6)
        self.tables = self.engine.tables
        self.vm = small.make_vm(self.engine, "soak", [f"d{number}" for number in range(4)])
        self.frozen: dict[str, Contents] = {}
        self.writes = 0

    def run(self, command: Command) -> None:
        self.engine.submit(command)
        self.engine.settle()
        assert command.over
        assert command.refusal is None

    def content(self, disk_id: str) -> dict[str, str]:
        image = self.tables.images.current(disk_id)
        assert image is not None
        return self.engine.storage.content(image.id)

    def write(self) -> None:
        for disk_id in self.some(list(self.vm.attachments)):
            image = self.tables.images.current(disk_id)
            assert image is not None
            self.writes += 1
            self.engine.storage.write(image.id, str(self.random.randrange(3)), f"write {self.writes}")

    def some(self, things: list[str]) -> list[str]:
        return self.random.sample(things, self.random.randint(0, len(things)))

    # Operations
    def create(self) -> None:
        chosen = self.some(list(self.vm.attachments))
        shown = {disk_id: self.content(disk_id) for disk_id in chosen}
        command = Create(self.engine, CALL, self.vm, "s", False, [Choice(disk_id) for disk_id in chosen])
        self.run(command)
        assert command.row is not None
        self.frozen[command.row.id] = shown

    def preview(self) -> None:
        """Each disk as it is or as some snapshot has it; then commit or undo."""
        rows = [row for row in self.tables.rows(self.vm.id) if row.kind is Kind.REGULAR and not row.broken]
        if not rows:
            return
        before = {disk_id: self.content(disk_id) for disk_id in self.vm.attachments}
        picks, expected = [], {}
        for disk_id in self.vm.attachments:
            layers = [image for image in self.tables.images.of(disk_id) if image.active or image.snapshot_id in self.frozen]
            image = self.random.choice(layers)
            picks.append(Pick(disk_id, image.id))
            expected[disk_id] = before[disk_id] if image.active else self.engine.storage.content(image.id)  # a kept disk has no layer of its own
        active = self.tables.active(self.vm).id
        self.run(Preview(self.engine, CALL, self.vm, self.random.choice(rows).id, picks, False))
        assert {disk_id: self.content(disk_id) for disk_id in self.vm.attachments} == expected
        self.write()
        written = {disk_id: self.content(disk_id) for disk_id in self.vm.attachments}
        if self.random.random() < 0.5:
            kept = {disk_id for disk_id in written if expected[disk_id] is before[disk_id]}
            self.run(Undo(self.engine, CALL, self.vm))
            assert {disk_id: self.content(disk_id) for disk_id in self.vm.attachments} == before | {disk_id: written[disk_id] for disk_id in kept}
            assert self.tables.active(self.vm).id == active
        else:
            self.run(Commit(self.engine, CALL, self.vm))
            assert {disk_id: self.content(disk_id) for disk_id in self.vm.attachments} == written

    def remove(self) -> None:
        rows = [row for row in self.tables.rows(self.vm.id) if row.kind is Kind.REGULAR]
        if rows:
            self.run(Remove(self.engine, CALL, self.vm, self.random.choice(rows)))

    def remove_disk(self) -> None:
        images = [image for image in self.tables.images if not image.active]
        if images:
            image = self.random.choice(images)
            row = self.tables.snapshots[image.snapshot_id or ""]
            self.run(RemoveDisk(self.engine, CALL, self.vm, row, image))
            self.frozen.get(row.id, {}).pop(image.disk_id, None)

    # What must hold between operations
    def check(self) -> None:
        assert self.tables.damaged(self.vm) == []
        assert not self.tables.locked_rows(self.vm)
        assert {image.id for image in self.tables.images} == set(self.engine.storage.volumes)
        for row in self.tables.rows(self.vm.id):
            for record in row.configuration.disks if row.configuration else ():
                if self.tables.record_status(record) is ImageStatus.OK:
                    assert self.engine.storage.content(record.image_id) == self.frozen[row.id][record.disk_id]


@pytest.mark.parametrize("seed", range(12))
def test_histories(seed: int) -> None:
    history = History(seed)
    for _step in range(60):
        history.write()
        operation = history.random.choice([history.create, history.create, history.preview, history.remove, history.remove_disk])
        operation()
        history.check()
    assert history.writes > 50


def test_a_second_operation_at_the_same_time_is_refused() -> None:
    history = History(0)
    history.engine.clock.hold()
    history.engine.submit(Create(history.engine, CALL, history.vm, "s"))
    with pytest.raises(Refusal, match="currently being created"):
        history.engine.submit(Create(history.engine, CALL, history.vm, "s"))
