# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The janitor says why, and removes only what this collection took."""

from __future__ import annotations

import pytest

from tests.roles.stand import Stand


def test_what_goes_what_stays_and_why(stand: Stand) -> None:
    stand.make("app01", os="one", data="one")
    names = ["nightly-1", "nightly-2", "before-upgrade"]
    for name in names:
        stand.take("app01", name, ["data"])
    stand.ground.foreign_snapshot("app01", "nightly-0")
    janitor = {"diskwise_vm": "app01", "diskwise_profiles": {"nightly": {"retain": {"last": 0}}}}

    said = stand.play("snapshot_janitor", **janitor)
    assert said.status == 0, said.said
    assert not said.changed
    assert "app01: nightly-0 stays: foreign" in said.said
    assert "app01: before-upgrade stays: no rule speaks of it" in said.said
    assert "app01: nightly-1 may go: 0.0 days old, and 1 newer ones of nightly-*" in said.said or "nightly-1 may go" in said.said
    assert set(stand.snapshots("app01")) == {*names, "nightly-0"}

    few = stand.play("snapshot_janitor", **janitor, diskwise_prune=True, diskwise_most=1)
    assert few.status == 2
    assert "2 snapshots may go, 1 are allowed" in few.said
    dry = stand.play("snapshot_janitor", "--check", **janitor, diskwise_prune=True)
    assert dry.status == 0, dry.said
    assert dry.changed
    assert set(stand.snapshots("app01")) == {*names, "nightly-0"}

    pruned = stand.play("snapshot_janitor", **janitor, diskwise_prune=True)
    assert pruned.status == 0, pruned.said
    assert stand.snapshots("app01") == ["before-upgrade", "nightly-0"]
    again = stand.play("snapshot_janitor", **janitor, diskwise_prune=True)
    assert not again.changed, again.said


@pytest.mark.once
def test_rules_that_are_wrong_remove_nothing(stand: Stand) -> None:
    stand.make("app01", os="one")
    stand.take("app01", "nightly-1")
    played = stand.play("snapshot_janitor", diskwise_vm="app01", diskwise_prune=True, diskwise_rules=[{"match": "nightly-*", "lats": 0}])
    assert played.status == 2
    assert "unknown lats" in played.said, played.said
    assert stand.snapshots("app01") == ["nightly-1"]
