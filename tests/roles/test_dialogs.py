# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people press: the single click, the dialogs to create and to preview, and the point for a backup."""

from __future__ import annotations

import re

import pytest

from tests.roles.stand import Stand


@pytest.fixture
def app(stand: Stand) -> Stand:
    stand.make("app01", os="old", data="monday", logs="quiet")
    return stand


def test_a_single_click_takes_the_configuration_and_the_os(app: Stand) -> None:
    dry = app.play("snapshot_profile", "--check", diskwise_vm="app01")
    assert dry.status == 0, dry.said
    assert app.snapshots("app01") == []
    first = app.play("snapshot_profile", diskwise_vm="app01", whole=True)
    assert first.status == 0, first.said
    assert "app01: down, 1 snapshots" in first.said
    (name,) = app.snapshots("app01")
    assert re.fullmatch(r"config_os-\d{4}-\d\d-\d\d", name)
    assert first.of("snapshot_create")[0]["snapshot"]["disks"] == ["os"]
    assert not app.play("snapshot_profile", diskwise_vm="app01").changed
    unknown = app.play("snapshot_profile", diskwise_vm="app01", diskwise_profile="configos")
    assert unknown.status == 2
    assert "there is no profile" in unknown.said


def test_the_dialogs_from_create_to_commit(app: Stand) -> None:
    """Also a death between any two of them changes nothing: each is a play of its own."""
    dialog = {"diskwise_vm": "app01\n", "diskwise_snapshot": "before import; $(touch x)", "diskwise_memory": "false", "diskwise_description": ""}
    created = app.play("snapshot_create", **dialog, diskwise_disks="data\nlogs\n")
    assert created.status == 0, created.said
    assert created.of("snapshot_create")[0]["snapshot"]["disks"] == ["data", "logs"]
    assert not app.play("snapshot_create", **dialog, diskwise_disks=["data", "logs"]).changed
    app.write("app01", os="new", data="tuesday", logs="loud")

    preview = {"diskwise_vm": "app01", "diskwise_choices": f"data = {dialog['diskwise_snapshot']}\nlogs = exclude\n"}
    assert app.play("preview_open", "--check", **preview).changed
    shown = app.play("preview_open", **preview)
    assert shown.status == 0, shown.said
    assert "= preview" in shown.said or "= result" in shown.said
    assert app.words("app01") == {"os": "new", "data": "monday"}
    assert not app.play("preview_open", **preview).changed
    undone = app.play("preview_undo", diskwise_vm="app01")
    assert undone.status == 0, undone.said
    assert app.words("app01") == {"os": "new", "data": "tuesday", "logs": "loud"}

    app.play("preview_open", diskwise_vm="app01", diskwise_choices=[{"disk": "data", "snapshot": dialog["diskwise_snapshot"]}])
    kept = app.play("preview_commit", diskwise_vm="app01", diskwise_snapshot="")
    assert kept.status == 0, kept.said
    assert "with what was written since: data" in kept.said
    assert app.words("app01") == {"os": "new", "data": "monday", "logs": "loud"}
    removed = app.play("snapshot_remove", diskwise_vm="app01", diskwise_snapshot=dialog["diskwise_snapshot"])
    assert removed.status == 0, removed.said
    assert app.snapshots("app01") == []
    assert "Set diskwise_config, or diskwise_choices" in app.play("preview_open", diskwise_vm="app01").said
    seen = app.play("show", diskwise_vm="app01", diskwise_profiles={"database": {"disks": ["data"]}})
    assert seen.status == 0, seen.said
    assert '"database"' in seen.said


def test_a_backup_sees_its_own_moment_and_the_point_goes_whatever_happens(app: Stand) -> None:
    look = {"name": "Look", "diskwise.vm.snapshot_info": {"vm": "app01"}, "register": "found"}
    held = {"name": "Find the point", "ansible.builtin.assert": {"that": "found.vm.snapshots | map(attribute='name') == ['pre-backup']"}}
    fails = {"name": "Copy it", "ansible.builtin.fail": {"msg": "no room"}}
    good = app.play("pre_backup", diskwise_vm="app01", diskwise_backup=app.tasks("good", look, held))
    assert good.status == 0, good.said
    assert app.snapshots("app01") == []
    bad = app.play("pre_backup", diskwise_vm="app01", diskwise_backup=app.tasks("bad", fails))
    assert bad.status == 2
    assert app.snapshots("app01") == []

    reached = app.folder / "reached"
    app.kill_when(reached, "pre_backup", diskwise_vm="app01", diskwise_backup=app.hanging(reached))
    assert app.snapshots("app01") == ["pre-backup"]
    after = app.play("pre_backup", diskwise_vm="app01", diskwise_backup=app.tasks("good", look, held))
    assert after.status == 0, after.said
    assert [result["changed"] for result in after.of("snapshot_create")] == [True], "the point of the run that died was not used again"
    assert app.snapshots("app01") == []
