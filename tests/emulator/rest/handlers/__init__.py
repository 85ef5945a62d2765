# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each address answers."""

from __future__ import annotations

import importlib

NAMES = ("catalog", "disks", "journal", "operations", "others", "snapshots", "vms", "vm_parts")


def load() -> None:
    """Each module registers its routes."""
    for name in NAMES:
        importlib.import_module(f"{__name__}.{name}")
