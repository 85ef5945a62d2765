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


def of_config(vm: Vm, shows: Composition | None) -> Hardware | None:
    """That of the snapshot whose configuration is shown; None when it is the current one, or not known."""
    return vm.snapshot(shows.config).hardware if shows and shows.config else None


def changes(vm: Vm, shows: Composition) -> list[dict[str, Any]]:
    """Each part that the configuration has otherwise than the VM has now: ``what``, ``now`` and ``then``. Empty also where nobody knows."""
    now, then = vm.hardware, of_config(vm, shows)
    if now is None or then is None:
        return []
    names = [field.name for field in fields(Hardware) if getattr(now, field.name) != getattr(then, field.name)]
    return [{"what": name, "now": _plain(getattr(now, name)), "then": _plain(getattr(then, name))} for name in names]


def other_nics(before: Vm, after: Vm, shows: Composition | None) -> tuple[str, ...]:
    """What is to be said when the VM got other network cards than those of the configuration that it shows now."""
    wanted = of_config(before, shows)
    got = after.preview.hardware if after.preview else after.hardware
    if wanted is None or got is None or wanted.nics == got.nics:
        return ()
    lost = ", ".join(sorted(set(wanted.nics) - set(got.nics))) or "none"
    new = ", ".join(sorted(set(got.nics) - set(wanted.nics))) or "none"
    return (f"the network cards have other MAC addresses than in the configuration: {new} in place of {lost}, which another VM may have by now",)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
