# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots may go: every decision comes with its reason, and whatever is in doubt stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .errors import Refused, VmError

DAY = 86400
_KEYS = ("match", "last", "days")


@dataclass(frozen=True)
class Rule:
    """The newest ``last`` of the snapshots whose name matches stay, and those younger than ``days``. None of the two: they all stay."""

    match: str
    last: int | None = None
    days: float | None = None


@dataclass(frozen=True)
class Verdict:
    snapshot: str
    name: str
    keep: bool
    why: str

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.snapshot, "name": self.name, "keep": self.keep, "why": self.why}


def rule(written: Any, match: str = "") -> Rule:
    """A rule from what a user wrote; ``match`` is the pattern when none is written."""
    if not isinstance(written, Mapping):
        raise _bad(f"{written!r} is not a dictionary")
    unknown = sorted(set(map(str, written)) - set(_KEYS))
    if unknown:
        raise _bad(f"unknown {', '.join(unknown)}")
    pattern = written.get("match", match)
    if not isinstance(pattern, str) or not pattern:
        raise _bad("match has to be a pattern of names, such as 'nightly-*'")
    last, days = _number(written, "last"), _number(written, "days")
    if last is not None and last != int(last):
        raise _bad(f"last wants a whole number, not {last}")
    return Rule(pattern, None if last is None else int(last), days)


def _number(written: Mapping[str, Any], key: str) -> float | None:
    value = written.get(key)
    if value is None:
        return None
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise _bad(f"{key} wants a number, not {value!r}")
    return number


def _bad(what: str) -> VmError:
    return Refused(f"a rule of retention is wrong: {what}", "bad_retention", "write {match: nightly-*, last: 3, days: 7}; last and days may be left out")


def verdicts(snapshots: Sequence[Mapping[str, Any]], rules: Sequence[Rule], now: float, in_preview: bool = False) -> list[Verdict]:
    """One verdict for each snapshot as ``snapshot_info`` shows it, the oldest first. The first rule whose pattern matches decides."""
    matching: dict[str, Rule] = {}
    for snapshot in snapshots:
        found = next((r for r in rules if fnmatchcase(snapshot["name"], r.match)), None)
        if snapshot["own"] and found:
            matching[snapshot["id"]] = found
    newer: dict[str, int] = {}
    seen: Counter[Rule] = Counter()
    # The list's own order tells apart what was taken within one second.
    by_age = sorted(snapshots, key=lambda each: each["created"] or 0)
    for snapshot in reversed(by_age):
        if snapshot["id"] in matching:
            found = matching[snapshot["id"]]
            newer[snapshot["id"]] = seen[found]
            seen[found] += 1
    said = []
    for snapshot in snapshots:
        keep, why = _verdict(snapshot, matching.get(snapshot["id"]), newer.get(snapshot["id"], 0), now)
        if not keep and in_preview:
            keep, why = True, f"a preview is open; without it: {why}"
        said.append(Verdict(snapshot["id"], snapshot["name"], keep, why))
    return said


def _verdict(snapshot: Mapping[str, Any], found: Rule | None, newer: int, now: float) -> tuple[bool, str]:
    if not snapshot["own"]:
        return True, "foreign: this collection did not take it"
    if found is None:
        return True, "no rule speaks of it"
    if snapshot["created"] is None:
        return True, "nobody knows when it was taken"
    if found.last is None and found.days is None:
        return True, f"the rule for {found.match} keeps all"
    age = (now - snapshot["created"]) / DAY
    if found.last is not None and newer < found.last:
        return True, f"one of the {found.last} newest of {found.match}"
    if found.days is not None and age < found.days:
        return True, f"{age:.1f} days old, and {found.match} stay for {found.days:g}"
    said = f"{age:.1f} days old"
    return False, f"{said}, and {newer} newer ones of {found.match}" if found.last is not None else f"{said}, and {found.match} stay for {found.days:g}"
