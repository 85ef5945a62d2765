# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore drill: preview, boot, check, and undo whatever happens."""

from __future__ import annotations

import pytest

from tests.roles.stand import Stand

DRILL = {"diskwise_vm": "db01", "diskwise_snapshot": "nightly", "diskwise_if_running": "poweroff"}


@pytest.fixture
def db(stand: Stand) -> Stand:
    stand.make("db01", os="old", data="monday")
    stand.take("db01", "nightly", ["data"])
    stand.write("db01", os="new", data="tuesday")
    return stand


def as_before(db: Stand) -> bool:
    return db.words("db01") == {"os": "new", "data": "tuesday"} and db.snapshots("db01") == ["nightly"]


def looking(db: Stand) -> str:
    """Checks that see the restored data, in a running guest, and that no disk is the real one."""
    return db.tasks(
        "looking",
        {"name": "Look at the VM", "diskwise.vm.snapshot_info": {"vm": "{{ restore_drill_item.id }}"}, "register": "found"},
        {
            "name": "It runs, and every disk is from a snapshot",
            "ansible.builtin.assert": {
                "that": ["found.vm.power == 'up'", "found.vm.preview.disks == {'data': 'nightly', 'os': 'restore-drill'}"],
            },
        },
    )


def test_a_drill_leaves_no_trace(db: Stand) -> None:
    dry = db.play("restore_drill", "--check", **DRILL)
    assert dry.status == 0, dry.said
    assert as_before(db)
    for _time in range(2):
        played = db.play("restore_drill", **DRILL, diskwise_checks=looking(db))
        assert played.status == 0, played.said
        assert "db01: as it should be" in played.said
        assert not db.runs("db01")
        assert as_before(db)


def test_a_check_that_fails_is_reported_after_the_undo(db: Stand) -> None:
    db.start("db01")
    refuses = db.tasks("refuses", {"name": "Count the orders", "ansible.builtin.fail": {"msg": "there are none"}})
    played = db.play("restore_drill", **DRILL, diskwise_checks=refuses)
    assert played.status == 2
    assert "db01: Count the orders: there are none" in played.said
    assert db.runs("db01"), "it ran before the drill"
    db.stop("db01")
    assert as_before(db)


def test_a_drill_that_was_forgotten_is_undone_by_the_next_one_or_by_the_janitor(db: Stand) -> None:
    reached = db.folder / "reached"
    for deadline in (3600, 0):
        db.start("db01")
        db.kill_when(reached, "restore_drill", **DRILL, diskwise_checks=db.hanging(reached), diskwise_deadline=deadline)
        assert "restore-drill" in db.snapshots("db01")
        if deadline:
            played = db.play("restore_drill", **DRILL, diskwise_start=False)
        else:
            spared = db.play("snapshot_janitor", diskwise_vm="db01")
            assert "a preview is open of nightly: a restore drill, and should have ended" in spared.said
            assert "restore-drill" in db.snapshots("db01")
            played = db.play("snapshot_janitor", diskwise_vm="db01", diskwise_end_drills=True)
        assert played.status == 0, played.said
        assert db.runs("db01"), "it ran before the drill"
        db.stop("db01")
        assert as_before(db)


@pytest.mark.once
def test_checks_that_cannot_be_read_are_refused_before_anything_is_done(db: Stand) -> None:
    broken = db.tasks("broken", {"name": "Call a module that does not exist", "nosuch.collection.module": {}})
    played = db.play("restore_drill", **DRILL, diskwise_checks=broken)
    assert played.status != 0
    assert as_before(db)


@pytest.mark.once
def test_a_preview_that_is_no_drill_is_left_alone(db: Stand) -> None:
    db.module("snapshot_preview", vm="db01", snapshot="nightly")
    played = db.play("restore_drill", **DRILL)
    assert played.status == 2
    assert db.words("db01")["data"] == "monday"


def test_somebody_elses_preview_beside_a_left_mark_is_not_undone(db: Stand) -> None:
    db.take("db01", "other", ["data"])
    db.module("snapshot_create", vm="db01", snapshot="restore-drill", description="drill of nightly until 1", disks=[])
    db.module("snapshot_preview", vm="db01", snapshot="other")
    played = db.play("snapshot_janitor", diskwise_vm="db01", diskwise_end_drills=True)
    assert played.status == 2
    assert "shows something else" in played.said
    assert db.shows("db01")["data"] == "other"
