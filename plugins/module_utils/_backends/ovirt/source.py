# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots that this collection makes for its own needs, and takes away again. Their descriptions say what they are for.

An engine keeps no note for us, and cannot preview with the current configuration. So a preview of it has a snapshot as its source that
is made just before. Users never see these: they are not in the list of snapshots.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import raw

BEGINS = "diskwise.vm: "
SOURCE = BEGINS + "configuration for a preview, removed when that ends"
UNPLUGGING = BEGINS + "a disk is unplugged for a moment, removed when it is plugged in again"
REPAIR = BEGINS + "repair of an interrupted operation, removed at once"


@dataclass(frozen=True)
class Own:
    """One of our own: its kind is its first line. ``note`` is what has to be known after a death."""

    id: str
    kind: str
    note: Mapping[str, Any]


def text(kind: str, **note: Any) -> str:
    """The description of a snapshot of that kind."""
    return f"{kind}\n{json.dumps(note, sort_keys=True)}" if note else kind


def own(vm: Any) -> list[Own]:
    """Those that are there, the oldest first."""
    return [_parsed(found) for found in raw.rows(vm, "regular") if is_own(found)]


def is_own(row: Any) -> bool:
    return raw.named(row)[0] in (SOURCE, UNPLUGGING, REPAIR)


def of_kind(found: Iterable[Own], kind: str) -> list[Own]:
    return [each for each in found if each.kind == kind]


def _parsed(row: Any) -> Own:
    kind, rest = raw.named(row)
    try:
        note = json.loads(rest) if rest else {}
    except ValueError:
        note = {}
    return Own(row.id, kind, note if isinstance(note, dict) else {})
