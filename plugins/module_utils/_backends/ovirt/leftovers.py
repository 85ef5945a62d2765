# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots that are there although their creation failed: the engine calls them good, and images of them may not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from . import jobs, raw
from .desk import Desk

CREATING = 45
"""Code of the event that tells that a creation was begun."""

FAILED_CREATION = {69, 10774}


def creations(desk: Desk) -> list[Any]:
    """The events of every creation of ours, the newest first. An engine keeps them for some weeks."""
    return desk.engine.events(jobs.prefix("c", desk.id) + "-*")


def leftovers(desk: Desk, vm: Any, events: Sequence[Any]) -> list[str]:
    """Ids of those of ours, the oldest first: in this order they can be removed."""
    return [row.id for row in raw.rows(vm, "regular") if creation_failed(desk, row, events)]


def creation_failed(desk: Desk, row: Any, events: Iterable[Any]) -> bool:
    begins = made_as(desk, row)
    mine = [event for event in events if str(event.correlation_id).startswith(begins)]
    last = [event for event in mine if event.correlation_id == mine[0].correlation_id]
    begun = [event.time for event in last if int(event.code) == CREATING]
    # Somebody else may have made one of this name later: then it is not the one whose creation failed.
    return bool(begun) and row.date <= max(begun) and bool(FAILED_CREATION & {int(event.code) for event in last})


def made_as(desk: Desk, row: Any) -> tuple[str, ...]:
    """What the correlation id of our creation of this snapshot would begin with: under its name, or one of our own under its whole description."""
    return tuple(jobs.prefix("c", desk.id, key) for key in dict.fromkeys([str(row.description or ""), raw.named(row)[0]]))
