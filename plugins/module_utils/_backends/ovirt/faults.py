# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine's answer means. It is sorted by the message, since the status says little: final refusals and passing ones share 409."""

from __future__ import annotations

import re

from ..._engine.errors import BackendFailed, Busy, Interrupted, NotFound, Refused, VmError
from .sdk import sdk


class Lost(Exception):
    """A request was sent and no answer came: nobody knows whether it will be carried out."""


LANGUAGE = {"Accept-Language": "en-US"}
"""Sent with every request: an engine answers in the client's language."""

PASSING = re.compile(
    "Snapshot is currently being created for VM|is performing an operation on a Snapshot|Related operation is currently in progress"
    "|VM is locked|disks are locked|in Image Locked status|in Wait for Launch status|is in saving/restoring state|migration is in progress"
    "|during a backup operation|Storage Domain's status is Unknown"
)
"""Somebody else is at work, or the engine is not ready: it goes by."""

PERMITS = "the user needs a role with the permits login and manipulate_vm_snapshots on the VM"
MEANING: tuple[tuple[str, VmError], ...] = (
    ("not authorized to perform this action", BackendFailed("", "no_permission", PERMITS)),
    ("insufficient permissions", BackendFailed("", "no_permission", PERMITS)),
    ("VM is previewing a Snapshot", Refused("", "in_preview", "commit or undo it first")),
    ("has no configuration available", Refused("", "no_config", "take the configuration of another snapshot, or config: current")),
    ("associated with a damaged snapshot", BackendFailed("", "damaged_images", "run again, it is repaired first")),
    ("At least one of the VMs is not down", Refused("", "vm_running", "shut it down, or set if_running: shutdown or poweroff")),
    ("disks are in ILLEGAL status", BackendFailed("", "illegal_image", "remove the disk from that snapshot once more, or repair the image, then run again")),
    ("either unplugged or unattached", Refused("", "unplugged_disk", "shut the VM down, or plug the disk in, then run again")),
    ("disk(s) ID(s) does not exist", Interrupted("", "changed_meanwhile", "somebody deleted the disk; look at the VM, then run again")),
    ("disk(s) are not attached to the VM", Interrupted("", "changed_meanwhile", "somebody detached the disk; look at the VM, then run again")),
    ("Cannot remove Disk Snapshot. VM is not found", NotFound("", "gone", "somebody else removed it; run again")),
    ("description must", Refused("", "bad_character", "use ASCII and letters only")),
    ("running as Stateless", Refused("", "stateless_vm", "stop the VM first")),
    ("must be in status Down, Up or Paused", Refused("", "vm_state", "wait until the VM is down or up")),
    ("in Suspended status", Refused("", "vm_suspended", "start it, or shut it down, then run again")),
    (
        "certificate",
        BackendFailed("", "tls_failed", "set auth.ca_file to the engine's CA (https://ENGINE/ovirt-engine/services/pki-resource?resource=ca-certificate)"),
    ),
)
"""What the text holds, and the error that it means; its message is made of the case at hand."""

NO_PREVIEW = "VM's Snapshot does not exist"


def detail_of(error: Exception) -> str:
    """What the engine said, in one line."""
    fault = getattr(error, "fault", None)
    text = (fault.detail or fault.reason or "") if fault else str(error)
    return " ".join(text.strip("[]").split())


def stumbled(error: Exception) -> bool:
    """A read that failed because a row vanished while the answer was built; the next one goes well."""
    code = getattr(error, "code", None)
    return isinstance(error, sdk.Error) and not isinstance(error, (sdk.AuthError, sdk.ConnectionError)) and code in (None, 500)


def is_away(error: Exception) -> bool:
    """Nobody answered; the SDK has no kind of its own for that."""
    return isinstance(error, sdk.ConnectionError) or str(error).startswith("Failed to read response")


def translate(error: Exception, what: str) -> VmError:
    """The error of the SDK as one of ours."""
    said = detail_of(error)
    away = BackendFailed(f"{what}: the engine cannot be reached: {said}", "cannot_connect", "is the URL right, and does the engine run?")
    if isinstance(error, sdk.ConnectionError):
        return away
    if PASSING.search(said):
        return Busy(f"{what}: {said}", "engine_busy", "wait until that is done, then run again")
    for fragment, meant in MEANING:
        if fragment in said:
            return type(meant)(f"{what}: {said}", meant.reason, meant.hint)
    if is_away(error):
        return away
    if isinstance(error, sdk.AuthError):
        return BackendFailed(f"{what}: {said}", "login_failed", "check user, password or token, and that the user may log in")
    if isinstance(error, sdk.NotFoundError):
        return NotFound(f"{what}: it is not there any more", "gone", "somebody else removed it; run again")
    return BackendFailed(f"{what}: {said or 'the engine failed without saying why'}", "backend_failed", "the engine's events and its log say more")
