# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the VM down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .desk import Desk
from .sdk import types


def stop(desk: Desk, args: Mapping[str, Any]) -> None:
    """Raises Interrupted when the guest does not shut down in time."""
    if str(desk.look().status) != "down":
        what = f"the {args['how']} of VM {desk.name}"
        action = "shutdown" if args["how"] == "shutdown" else "stop"
        desk.send(what, "p", (), "POST", f"/{action}", types.Action(), lambda vm: str(vm.status) in ("down", "powering_down"))
        for _passed in desk.engine.clock.ticks(what):
            if str(desk.look().status) == "down":
                return
