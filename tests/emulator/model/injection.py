# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures that a test asks for. A command asks at each point where the engine or its host can fail; nobody asked: it goes well."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Injection:
    kind: str
    where: dict[str, Any] = field(default_factory=dict)
    """What must agree with the facts at that point: ``disk`` (alias or id), ``vm`` (name or id), …"""
    values: dict[str, Any] = field(default_factory=dict)
    """Numbers that say how: ``seconds``, …"""
    times: int = 1


VALUES = frozenset({"seconds", "action", "code", "text", "body", "nth", "times", "damage"})


class Injections:
    def __init__(self) -> None:
        self._waiting: list[Injection] = []

    def add(self, kind: str, **where: Any) -> Injection:
        values = {key: value for key, value in where.items() if key in VALUES}
        facts = {key: value for key, value in where.items() if key not in VALUES and value is not None}
        injection = Injection(kind, facts, values, int(values.get("times", 1)))
        self._waiting.append(injection)
        return injection

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[Injection]:
        return list(self._waiting)

    def take(self, kind: str, **facts: Any) -> Injection | None:
        """The first failure of this kind that fits; it is used up. A fact may be a tuple of names for one thing."""
        for injection in self._waiting:
            if injection.kind == kind and all(_agrees(facts.get(key), wanted) for key, wanted in injection.where.items()):
                injection.times -= 1
                if injection.times <= 0:
                    self._waiting.remove(injection)
                return injection
        return None


def _agrees(fact: Any, wanted: Any) -> bool:
    return wanted in fact if isinstance(fact, tuple) else fact == wanted
