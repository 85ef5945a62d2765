# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is interrupted: one call of a module each, from the start that stage.py describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.crash.stage import Call

COMPOSED: Call = (
    "preview",
    {
        "config": "s1",
        "disks": [
            {"disk": "os", "snapshot": "s1"},
            {"disk": "data", "snapshot": "m"},
            {"disk": "logs", "snapshot": "s3"},
            {"disk": "scratch", "exclude": True},
        ],
    },
)
OLDER = {"config": "s1", "disks": [{"disk": "os", "snapshot": "s1"}, {"disk": "data", "snapshot": "s1"}]}
WITH_MEMORY: Call = ("preview", {"snapshot": "m", "memory": True, "allow_partial_memory": True})


@dataclass(frozen=True)
class Scenario:
    """``before`` are the calls that lead from the stage's start to where ``verb`` begins."""

    verb: str
    options: Mapping[str, Any] = field(default_factory=dict)
    power: str = "down"
    before: tuple[Call, ...] = ()
    written: bool = False  # the guest wrote to its disks since

    @property
    def call(self) -> Call:
        return self.verb, self.options


SCENARIOS: Mapping[str, Scenario] = {
    "create-down": Scenario("create", {"snapshot": "new", "exclude": ["scratch"]}),
    "create-up": Scenario("create", {"snapshot": "new", "exclude": ["scratch"]}, "up"),
    "create-paused": Scenario("create", {"snapshot": "new", "disks": ["os"]}, "paused"),
    "create-memory": Scenario("create", {"snapshot": "new", "memory": True}, "up"),
    "create-config-only": Scenario("create", {"snapshot": "new", "disks": []}),
    "create-replace": Scenario("create", {"snapshot": "m", "disks": ["os", "logs"], "on_conflict": "replace"}),
    "preview": Scenario(*COMPOSED),
    "preview-memory": Scenario(*WITH_MEMORY),
    "preview-switch": Scenario("preview", {"snapshot": "s3", "if_previewing": "undo"}, before=(COMPOSED,)),
    "preview-poweroff": Scenario("preview", {"snapshot": "s3", "if_running": "poweroff"}, "up"),
    "undo": Scenario("undo", before=(COMPOSED,)),
    "undo-memory": Scenario("undo", before=(WITH_MEMORY,)),
    "commit": Scenario("commit", before=(("preview", OLDER),)),
    "commit-written": Scenario("commit", before=(("preview", OLDER),), written=True),
    "commit-excluding": Scenario("commit", {"allow_disk_removal": True}, before=(COMPOSED,)),
    "commit-memory": Scenario("commit", before=(WITH_MEMORY,)),
    "commit-emptying": Scenario("commit", before=(("preview", {**OLDER, "config": "m"}),)),
    "commit-request": Scenario("restore", {**OLDER, "request_id": "r1"}, before=(("preview", OLDER),)),
    "restore": Scenario("restore", {**OLDER, "request_id": "r1"}),
    "remove-first": Scenario("remove", {"snapshot": "s1"}),
    "remove-middle": Scenario("remove", {"snapshot": "m"}),
    "remove-last": Scenario("remove", {"snapshot": "s3"}),
    "remove-one-disk": Scenario("remove", {"snapshot": "s1", "disks": ["data"]}),
    "remove-each-disk": Scenario("remove", {"snapshot": "m", "disks": ["os", "data"]}),
    "remove-first-up": Scenario("remove", {"snapshot": "s1"}, "up"),
    "remove-last-up": Scenario("remove", {"snapshot": "s3"}, "up"),
}
