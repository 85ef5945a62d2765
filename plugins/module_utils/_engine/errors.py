# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one tree of errors. ``reason`` is a stable code with an entry in docs/reasons.md; ``hint`` says what to do or what exists."""

from __future__ import annotations

from typing import Any

from .model import Step


class VmError(Exception):
    """``done`` and ``left`` are the steps of an interrupted plan, ``state_after`` a view of the VM as it was found afterwards."""

    reason = "failed"

    def __init__(self, message: str, reason: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.hint = hint
        self.done: tuple[Step, ...] = ()
        self.left: tuple[Step, ...] = ()
        self.state_after: dict[str, Any] | None = None


class NotFound(VmError):
    """What was named does not exist."""

    reason = "not_found"


class Ambiguous(VmError):
    """Several things answer to what was named where one is meant."""

    reason = "ambiguous"


class Refused(VmError):
    """The request is understood and will not be carried out; nothing was changed."""

    reason = "refused"


class Busy(VmError):
    """Somebody else is at work on the VM; nothing was changed."""

    reason = "busy"


class Interrupted(VmError):
    """The work stopped in the middle and its outcome is open; running again resumes."""

    reason = "interrupted"


class CalledOff(VmError):
    """Another VM of those that are to be taken together does not come; what was prepared is taken back."""

    reason = "called_off"


class BackendFailed(VmError):
    """The hypervisor said no, or could not be reached."""

    reason = "backend_failed"
