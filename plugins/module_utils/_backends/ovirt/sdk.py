# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ovirt-engine-sdk-python, if it is there: the one place that imports it."""

from __future__ import annotations

import traceback
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from ..._engine.errors import BackendFailed

__all__ = ["demand", "http", "reader", "sdk", "types", "writer"]

sdk: Any
types: Any
http: Any
reader: Any
writer: Any
try:
    import ovirtsdk4 as sdk  # type: ignore[no-redef]
    from ovirtsdk4 import http, reader, types, writer  # type: ignore[no-redef]
except ImportError:
    sdk = types = http = reader = writer = None
    WHY = traceback.format_exc().strip().rpartition("\n")[2]
else:
    WHY = ""


def demand() -> None:
    """Raises BackendFailed where the SDK is missing."""
    if sdk is None:
        raise BackendFailed(
            f"{missing_required_lib('ovirt-engine-sdk-python')} ({WHY})",
            "missing_library",
            "install ovirt-engine-sdk-python for the Python that runs the module",
        )
