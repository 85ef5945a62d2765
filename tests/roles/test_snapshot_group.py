# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several VMs as one: all or none."""

from __future__ import annotations

import re

import pytest

from tests.roles.stand import Stand

GROUP = {"diskwise_vm": ["web", "db"], "diskwise_snapshot": "release-1"}


@pytest.fixture
def app(stand: Stand) -> Stand:
    stand.make("web", os="one")
    stand.make("db", os="one", data="one")
    return stand


def both(app: Stand) -> list[list[str]]:
    return [app.snapshots("web"), app.snapshots("db")]


def test_taken_shown_undone_committed_and_removed_as_one(app: Stand) -> None:
    dry = app.play("snapshot_group", "--check", **GROUP)
    assert dry.status == 0, dry.said
    assert both(app) == [[], []]
    first = app.play("snapshot_group", **GROUP)
    assert first.status == 0, first.said
    assert 0 < float(re.findall(r"taken within ([\d.]+) s", first.said)[0]) <= 10
    assert both(app) == [["release-1"], ["release-1"]]
    assert not app.play("snapshot_group", **GROUP).changed

    app.write("web", os="two")
    app.write("db", data="two")
    shown = app.play("snapshot_group", **GROUP, diskwise_action="preview")
    assert shown.status == 0, shown.said
    assert (app.words("web"), app.words("db")) == ({"os": "one"}, {"os": "one", "data": "one"})
    undone = app.play("snapshot_group", **GROUP, diskwise_action="undo")
    assert undone.status == 0, undone.said
    assert (app.words("web"), app.words("db")) == ({"os": "two"}, {"os": "one", "data": "two"})

    app.play("snapshot_group", **GROUP, diskwise_action="preview")
    # A commit that died between the two is finished.
    app.module("snapshot_commit", vm="web")
    kept = app.play("snapshot_group", **GROUP, diskwise_action="commit")
    assert kept.status == 0, kept.said
    assert (app.words("web"), app.words("db")) == ({"os": "one"}, {"os": "one", "data": "one"})
    again = app.play("snapshot_group", **GROUP, diskwise_action="commit")
    assert again.status == 0, again.said
    assert not again.changed
    removed = app.play("snapshot_group", **GROUP, diskwise_action="remove")
    assert removed.status == 0, removed.said
    assert both(app) == [[], []]


@pytest.mark.once
def test_what_is_seen_to_fail_is_not_begun(app: Stand) -> None:
    unknown = app.play("snapshot_group", **GROUP, diskwise_profile="data")
    assert unknown.status == 0, "a VM with nothing but an OS disk has no data: its configuration is taken"
    app.play("snapshot_group", **GROUP, diskwise_action="remove")
    memory = app.play("snapshot_group", **GROUP, diskwise_profile="full_memory")
    assert memory.status == 2
    assert both(app) == [[], []]


@pytest.mark.once
def test_half_a_group_of_a_run_that_died_is_taken_anew_and_one_that_is_not_ours_is_left_alone(app: Stand) -> None:
    app.module("snapshot_create", vm="web", snapshot="release-1", description="one of a group of 2 VMs")
    app.write("web", os="two")
    anew = app.play("snapshot_group", **GROUP)
    assert anew.status == 0, anew.said
    assert both(app) == [["release-1"], ["release-1"]]
    assert app.play("snapshot_group", **GROUP, diskwise_action="preview").status == 0
    assert app.words("web") == {"os": "two"}, "it is of the moment of the other, not of the run that died"
    app.play("snapshot_group", **GROUP, diskwise_action="undo")
    app.play("snapshot_group", **GROUP, diskwise_action="remove")

    app.take("web", "release-1")
    refused = app.play("snapshot_group", **GROUP)
    assert refused.status == 2
    assert "Choose another name" in refused.said
    assert both(app) == [["release-1"], []]


@pytest.mark.once
def test_half_a_preview_is_not_committed(app: Stand) -> None:
    app.play("snapshot_group", **GROUP)
    app.write("db", data="two")
    app.module("snapshot_preview", vm="db", snapshot="release-1")
    app.write("web", os="two")
    refused = app.play("snapshot_group", **GROUP, diskwise_action="commit")
    assert refused.status == 2, refused.said
    assert app.shows("db") is not None


@pytest.mark.once
def test_a_skew_that_is_too_large_takes_all_of_them_back(app: Stand) -> None:
    played = app.play("snapshot_group", **GROUP, diskwise_longest_skew=-1)
    assert played.status == 2
    assert "All snapshots were taken within" in played.said
    assert both(app) == [[], []]
