# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen to a request on its way: cut lines, delays, refusals that pass, and what others do just before (§15.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.emulator.model.messages import BUSY, CREATE, PREVIEW, REMOVE, REVERT, Refusal, Verb, being_taken
from tests.emulator.rest.errors import CrashPage, Cut
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.gate import Gate
from tests.emulator.rest.users import Denied

KINDS = frozenset({"cut.before", "cut.after", "read.500html", "unauthorized", "busy", "slow", "then"})
ACTION = re.compile(r"/(previewsnapshot|commitsnapshot|undosnapshot|restore|start|stop|shutdown|suspend|reboot)$")
VERBS: dict[str, Verb] = {"previewsnapshot": PREVIEW, "restore": PREVIEW, "commitsnapshot": REVERT, "undosnapshot": REVERT}


@dataclass
class Disturbance:
    kind: str
    method: str | None = None
    path: str = ""
    """A regular expression that is searched in the path with its parameters."""
    nth: int = 1
    """The first request that is meant; so many before it pass."""
    times: int = 1
    values: dict[str, Any] = field(default_factory=dict)

    def meets(self, method: str, path: str) -> bool:
        if self.method not in (None, method) or not re.search(self.path, path):
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.times -= 1
        return True


class Disturbances:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._waiting: list[Disturbance] = []
        self.perform: Callable[[str, dict[str, Any]], Any] = lambda _name, _arguments: None

    def add(self, kind: str, method: str | None = None, path: str = "", nth: int = 1, times: int = 1, **values: Any) -> None:
        if kind == "read.500html":
            method = method or "GET"
        self._waiting.append(Disturbance(kind, method, path, nth, times, values))

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[str]:
        return [one.kind for one in self._waiting]

    def _met(self, method: str, path: str) -> list[Disturbance]:
        met = [one for one in self._waiting if one.meets(method, path)]
        self._waiting = [one for one in self._waiting if one.times > 0]
        return met

    def around(self, x: Exchange, path: str, answer: Callable[[], Answer], hang_up: Callable[[], None]) -> Answer:
        """Answer the request, with what waits for one like it."""
        query = x.request.query_string.decode()
        cut = False
        for one in self._met(x.request.method, f"{path}?{query}" if query else path):
            if one.kind == "cut.before":
                raise Cut
            if one.kind == "unauthorized":
                raise Denied("invalid_grant: The provided authorization grant for the auth code has expired.")
            if one.kind == "read.500html":
                raise CrashPage("Problem following 'disks' link in Snapshots entity: javax.ws.rs.NotFoundException: HTTP 404 Not Found")
            if one.kind == "busy":
                return self._busy(x, path, one)
            if one.kind == "slow":
                self._gate.nap(float(one.values.get("seconds", 1.0)))
            if one.kind == "then":
                action = dict(one.values["action"])
                self.perform(action.pop("do"), action)
            cut = cut or one.kind == "cut.after"
        if cut:
            hang_up()  # the client is gone, the request is carried out to its end
            answer()
            raise Cut
        return answer()

    def _busy(self, x: Exchange, path: str, one: Disturbance) -> Answer:
        action = ACTION.search(path)
        verb = VERBS.get(action[1], PREVIEW) if action else REMOVE if x.request.method == "DELETE" else CREATE
        vm_id = path.split("/")[2] if path.startswith("/vms/") else ""
        vm = x.engine.tables.vms.get(vm_id)
        text = one.values.get("text") or (being_taken(vm.name if vm else "") if one.values.get("code") == "BEING_TAKEN" else BUSY)
        refusal: Refusal = verb.cannot(text)
        if action is None:
            raise refusal
        return Answer(409, "action", {"fault": {"detail": refusal.detail, "reason": "Operation Failed"}, "status": "failed"})
