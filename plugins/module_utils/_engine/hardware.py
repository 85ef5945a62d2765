# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration of a composition changes of the VM besides its disks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from .model import Composition, Hardware, Vm


def view(hardware: Hardware | None) -> dict[str, Any] | None:
    """As info shows it; None when it is not known."""
    return {"vcpus": hardware.vcpus, "memory": hardware.memory, "nics": list(hardware.nics)} if hardware else None


def changes(vm: Vm, shows: Composition) -> list[dict[str, Any]]:
    """Each part that the configuration has otherwise than the VM has now: ``what``, ``now`` and ``then``. Empty also where nobody knows."""
    then = vm.snapshot(shows.config).hardware if shows.config else None
    if vm.hardware is None or then is None:
        return []
    now = vm.hardware
    names = [field.name for field in fields(Hardware) if getattr(now, field.name) != getattr(then, field.name)]
    return [{"what": name, "now": _plain(getattr(now, name)), "then": _plain(getattr(then, name))} for name in names]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
