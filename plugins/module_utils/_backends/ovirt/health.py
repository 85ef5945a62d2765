# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage that an engine does not show: an image that takes writes and is not labelled as the current state's."""

from __future__ import annotations

from typing import Any

from . import raw
from .engine import Engine


def damage(engine: Engine, vm: Any) -> list[str]:
    """Names of the disks that a failed operation left with an image that does not fit what the current state records of them.

    While a preview is open nothing can be told.
    """
    active = raw.row(vm, "active")
    if active is None or raw.row(vm, "preview") is not None:
        return []
    recorded = {disk.id: disk.image_id for disk in engine.snapshot(vm.id, active.id).disks or ()}
    return [found.disk.alias or found.disk.id for found in raw.snapshottable(vm) if recorded.get(found.disk.id) != found.disk.image_id]


def is_torn(vm: Any) -> bool:
    """The sign of such damage that the full read shows: an image that is not active bears the current state's label."""
    active = raw.row(vm, "active")
    return active is not None and any(raw.label(image) == active.id for found in raw.snapshottable(vm) for image in raw.images(found.disk))
