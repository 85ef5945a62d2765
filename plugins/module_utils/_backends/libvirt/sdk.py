# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt-python, if it is there: the one place that imports it."""

from __future__ import annotations

import json
import traceback
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from ..._engine.errors import BackendFailed

libvirt: Any
try:
    import libvirt  # type: ignore[no-redef]
except ImportError:
    libvirt = None
    WHY = traceback.format_exc().strip().rpartition("\n")[2]
else:
    WHY = ""
    libvirt.registerErrorHandler(lambda context, error: None, None)  # errors are raised; printing them too would spoil the module's output


def demand() -> None:
    """Raises BackendFailed where libvirt-python is missing."""
    if libvirt is None:
        raise BackendFailed(
            f"{missing_required_lib('libvirt-python')} ({WHY})", "missing_library", "install libvirt-python for the Python that runs the module"
        )


def ask_qemu(domain: Any, command: str, **arguments: Any) -> Any:
    """What QEMU itself answers. Needed only for recoveries, so not every task loads what speaks to it."""
    import libvirt_qemu

    text = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(libvirt_qemu.qemuMonitorCommand(domain, text, 0)).get("return")
