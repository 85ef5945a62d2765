# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test bed comes back to its baseline."""

from __future__ import annotations

import pytest

from tests.roles.stand import Stand

BED = {"diskwise_vm": ["web", "db"], "diskwise_if_running": "poweroff", "diskwise_create": True}


def test_the_first_run_takes_the_baseline_and_later_ones_come_back_to_it(stand: Stand) -> None:
    stand.make("web", os="clean")
    stand.make("db", os="clean", data="empty")
    taken = stand.play("baseline_reset", **BED)
    assert taken.status == 0, taken.said
    assert stand.snapshots("web") == stand.snapshots("db") == ["baseline"]

    stand.write("web", os="dirty")
    stand.write("db", data="full")
    dry = stand.play("baseline_reset", "--check", **BED)
    assert dry.status == 0, dry.said
    assert stand.words("web") == {"os": "dirty"}

    first = stand.play("baseline_reset", **BED)
    assert first.status == 0, first.said
    assert stand.words("web") == {"os": "clean"}
    assert stand.words("db") == {"os": "clean", "data": "empty"}
    second = stand.play("baseline_reset", **BED)
    assert second.status == 0, second.said
    assert not second.changed, second.said

    # A run that died between the two VMs, and a VM that was started since.
    stand.write("db", data="full")
    stand.module("snapshot_preview", vm="db", snapshot="baseline")
    stand.start("web")
    resumed = stand.play("baseline_reset", **BED, diskwise_start=True)
    assert resumed.status == 0, resumed.said
    assert stand.runs("web")
    assert stand.runs("db")
    stand.stop("web")
    stand.stop("db")
    assert stand.words("db") == {"os": "clean", "data": "empty"}


@pytest.mark.once
def test_newer_snapshots_are_not_lost_by_the_way(stand: Stand) -> None:
    stand.make("web", os="clean")
    stand.take("web", "baseline")
    stand.take("web", "work")
    stand.write("web", os="dirty")
    refused = stand.play("baseline_reset", diskwise_vm="web")
    assert refused.status == 2
    assert "snapshot work: nothing of it is left" in refused.said
    assert stand.words("web") == {"os": "dirty"}
    meant = stand.play("baseline_reset", diskwise_vm="web", diskwise_lose_snapshots=True)
    assert meant.status == 0, meant.said
    assert stand.words("web") == {"os": "clean"}
