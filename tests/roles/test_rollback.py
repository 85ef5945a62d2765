# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roll back the OS and keep the data, the data and keep the OS, the configuration and keep every disk."""

from __future__ import annotations

import pytest

from tests.roles.stand import Stand

NIGHTLY = {"diskwise_vm": "db01", "diskwise_snapshot": "nightly"}


@pytest.fixture
def db(stand: Stand) -> Stand:
    stand.make("db01", os="old", data="monday", logs="quiet")
    stand.take("db01", "nightly")
    stand.write("db01", os="new", data="tuesday", logs="loud")
    return stand


def test_the_os_is_rolled_back_and_the_data_stays(db: Stand) -> None:
    dry = db.play("rollback_os", "--check", **NIGHTLY)
    assert dry.status == 0, dry.said
    assert dry.changed
    assert db.words("db01")["os"] == "new"

    first = db.play("rollback_os", **NIGHTLY)
    assert first.status == 0, first.said
    assert db.words("db01") == {"os": "old", "data": "tuesday", "logs": "loud"}

    second = db.play("rollback_os", **NIGHTLY)
    assert second.status == 0, second.said
    assert not second.changed, second.said


def test_the_data_is_rolled_back_once_for_each_ticket_and_the_os_stays(db: Stand) -> None:
    request = {**NIGHTLY, "diskwise_request_id": "CHG-7", "diskwise_if_running": "poweroff"}
    db.start("db01")
    first = db.play("rollback_data", **request)
    assert first.status == 0, first.said
    assert db.runs("db01"), "it ran before"
    db.stop("db01")
    assert db.words("db01") == {"os": "new", "data": "monday", "logs": "quiet"}

    db.write("db01", data="wednesday")
    second = db.play("rollback_data", **request)
    assert second.status == 0, second.said
    assert not second.changed, second.said
    assert db.words("db01")["data"] == "wednesday"


@pytest.mark.once
def test_a_profile_of_ones_own_says_what_data_is(db: Stand) -> None:
    profiles = {"database": {"disks": ["data"]}}
    played = db.play("rollback_data", **NIGHTLY, diskwise_profile="database", diskwise_profiles=profiles)
    assert played.status == 0, played.said
    assert db.words("db01") == {"os": "new", "data": "monday", "logs": "loud"}


@pytest.mark.once
def test_nothing_is_done_when_one_vm_cannot_follow_or_a_snapshot_would_be_lost(db: Stand) -> None:
    db.make("db02", os="old", data="monday")
    db.take("db02", "nightly", ["os"])
    both = db.play("rollback_data", diskwise_vm="db01\ndb02\n", diskwise_snapshot="nightly")
    assert both.status == 2
    assert "does not hold data" in both.said
    assert db.words("db01")["data"] == "tuesday"

    db.take("db01", "newer", ["data"])
    lossy = db.play("rollback_data", **NIGHTLY)
    assert lossy.status == 2
    assert "snapshot newer: nothing of it is left" in lossy.said
    assert db.snapshots("db01") == ["newer", "nightly"]
    allowed = db.play("rollback_data", **NIGHTLY, diskwise_lose_snapshots=True)
    assert allowed.status == 0, allowed.said
    assert db.words("db01")["data"] == "monday"


def test_a_rollback_whose_control_node_dies_is_finished_by_the_next_run(db: Stand) -> None:
    # As far as a death in the middle of the restore leaves it.
    db.module("snapshot_preview", vm="db01", config="nightly", disks=[{"disk": "os", "snapshot": "nightly"}])
    played = db.play("rollback_os", **NIGHTLY)
    assert played.status == 0, played.said
    assert db.words("db01") == {"os": "old", "data": "tuesday", "logs": "loud"}


def test_a_golden_configuration_is_brought_back_and_every_disk_stays(stand: Stand) -> None:
    stand.make("app01", os="old", data="monday")
    golden = {"diskwise_vm": "app01", "diskwise_snapshot": "golden"}
    taken = stand.play("snapshot_profile", **golden, diskwise_profile="config")
    assert taken.status == 0, taken.said
    before = stand.memory("app01")
    stand.memory("app01", before * 2)
    stand.write("app01", os="new")

    first = stand.play("golden_config", **golden)
    assert first.status == 0, first.said
    assert stand.memory("app01") == before
    assert stand.words("app01") == {"os": "new", "data": "monday"}
    second = stand.play("golden_config", **golden)
    assert second.status == 0, second.said
    assert not second.changed, second.said
