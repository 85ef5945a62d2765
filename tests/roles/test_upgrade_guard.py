# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upgrade guard: patch the OS disk, keep it or roll it back, and never touch the data."""

from __future__ import annotations

import pytest

from tests.roles.stand import Stand

GUARD = {"diskwise_vm": "app01", "diskwise_snapshot": "before-upgrade", "diskwise_if_running": "poweroff"}
REFUSES = {"name": "See that the application answers", "ansible.builtin.fail": {"msg": "it does not"}}


@pytest.fixture
def app(stand: Stand) -> Stand:
    stand.make("app01", os="old", data="monday")
    return stand


def test_a_good_change_is_kept_and_a_second_run_changes_nothing(app: Stand) -> None:
    guard = {**GUARD, "diskwise_tasks": app.tasks("upgrade", app.change("app01", os="new", data="tuesday"))}
    dry = app.play("upgrade_guard", "--check", **guard)
    assert dry.status == 0, dry.said
    assert app.snapshots("app01") == []
    assert app.words("app01") == {"os": "old", "data": "monday"}

    first = app.play("upgrade_guard", **guard)
    assert first.status == 0, first.said
    assert first.changed
    assert app.words("app01") == {"os": "new", "data": "tuesday"}
    assert app.snapshots("app01") == ["before-upgrade"]

    second = app.play("upgrade_guard", **guard)
    assert second.status == 0, second.said
    assert not second.changed, second.said

    gone = app.play("upgrade_guard", **GUARD, diskwise_action="accept", diskwise_on_success="remove")
    assert gone.status == 0, gone.said
    assert app.snapshots("app01") == []


def test_a_bad_change_is_rolled_back_and_the_data_stays(app: Stand) -> None:
    app.start("app01")
    upgrade = app.tasks("upgrade", app.stopping("app01"), app.change("app01", os="new", data="tuesday"))
    played = app.play("upgrade_guard", **GUARD, diskwise_tasks=upgrade, diskwise_checks=app.tasks("checks", REFUSES))
    assert played.status == 2, played.said
    assert "Rolled back to before-upgrade" in played.said
    assert app.words("app01") == {"os": "old", "data": "tuesday"}
    assert app.runs("app01"), "it ran when the guard was opened"
    assert app.snapshots("app01") == ["before-upgrade"]


def test_a_control_node_that_dies_can_be_followed_by_another(app: Stand) -> None:
    reached = app.folder / "reached"
    app.kill_when(reached, "upgrade_guard", **GUARD, diskwise_tasks=app.hanging(reached))
    assert app.snapshots("app01") == ["before-upgrade"]
    app.write("app01", os="half new", data="tuesday")
    # Whoever comes next may try once more, or give up.
    tried = app.play(
        "upgrade_guard", **GUARD, diskwise_tasks=app.tasks("upgrade", app.change("app01", os="newer")), diskwise_checks=app.tasks("checks", REFUSES)
    )
    assert tried.status == 2, tried.said
    assert app.words("app01") == {"os": "old", "data": "tuesday"}
    app.write("app01", os="again half new")
    given_up = app.play("upgrade_guard", **GUARD, diskwise_action="rollback", diskwise_request_id="CHG-1")
    assert given_up.status == 0, given_up.said
    assert app.words("app01") == {"os": "old", "data": "tuesday"}
    app.write("app01", os="later work")
    pressed_twice = app.play("upgrade_guard", **GUARD, diskwise_action="rollback", diskwise_request_id="CHG-1")
    assert pressed_twice.status == 0, pressed_twice.said
    assert app.words("app01") == {"os": "later work", "data": "tuesday"}


def test_a_rollback_that_dies_is_finished_by_the_next_run(app: Stand) -> None:
    app.play("upgrade_guard", **GUARD, diskwise_action="open")
    app.write("app01", os="new", data="tuesday")
    # As far as a death leaves it: the intention is noted, and the preview of the rollback is open.
    app.module("snapshot_create", vm="app01", snapshot="before-upgrade.rollback", profile="config")
    app.module("snapshot_preview", vm="app01", snapshot="before-upgrade")
    finished = app.play("upgrade_guard", **GUARD, diskwise_tasks=app.tasks("upgrade", app.change("app01", os="newer")))
    assert finished.status == 2, finished.said
    assert "The rollback is finished now" in finished.said
    assert app.words("app01") == {"os": "old", "data": "tuesday"}
    assert app.snapshots("app01") == ["before-upgrade"]


def test_a_guest_that_cannot_be_reached_is_rolled_back(app: Stand) -> None:
    reboot = {"name": "Reboot the guest", "ansible.builtin.ping": None, "delegate_to": "nowhere.invalid", "vars": {"ansible_connection": "ssh"}}
    lost = app.tasks("lost", app.change("app01", os="new", data="tuesday"), reboot)
    played = app.play("upgrade_guard", **GUARD, diskwise_tasks=lost)
    assert played.status != 0, played.said
    assert "unreachable=1" in played.said
    assert app.words("app01") == {"os": "old", "data": "tuesday"}


@pytest.mark.once
def test_a_snapshot_of_long_ago_is_not_taken_for_that_of_this_change(app: Stand) -> None:
    app.play("upgrade_guard", **GUARD, diskwise_action="open")
    played = app.play("upgrade_guard", **GUARD, diskwise_tasks=app.tasks("upgrade", app.change("app01", os="new")), upgrade_guard_longest=-1)
    assert played.status == 2
    assert "cannot be of this change" in played.said
    assert app.words("app01") == {"os": "old", "data": "monday"}


@pytest.mark.once
def test_what_is_missing_is_said(app: Stand) -> None:
    unreadable = app.tasks("unreadable", {"name": "Call a module that does not exist", "nosuch.collection.module": {}})
    assert app.play("upgrade_guard", **GUARD, diskwise_tasks=unreadable).status != 0
    assert app.snapshots("app01") == []
    assert "Set diskwise_tasks" in app.play("upgrade_guard", **GUARD).said
    assert "Set diskwise_vm" in app.play("upgrade_guard", diskwise_snapshot="x", diskwise_vm=" ").said
    assert "Set diskwise_snapshot" in app.play("upgrade_guard", diskwise_vm="app01").said
