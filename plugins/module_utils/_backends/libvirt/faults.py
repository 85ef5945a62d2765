# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's errors as the engine's: told apart by code, here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..._engine.errors import BackendFailed, Busy, Interrupted, NotFound, VmError
from .sdk import libvirt

NOT_ALLOWED = ("AUTH_FAILED", "AUTH_CANCELLED", "AUTH_UNAVAILABLE", "ACCESS_DENIED", "OPERATION_DENIED")
BUSY = ("OPERATION_TIMEOUT", "BLOCK_COPY_ACTIVE", "RESOURCE_BUSY")
AGENT_SILENT = ("AGENT_UNRESPONSIVE", "AGENT_UNSYNCED", "AGENT_COMMAND_TIMEOUT", "AGENT_COMMAND_FAILED", "ARGUMENT_UNSUPPORTED", "OPERATION_INVALID")
"""What a freeze answers when no agent answers, none is configured, or the guest is paused."""
LOST = ("RPC", "NO_CONNECT")


def is_one_of(error: libvirt.libvirtError, names: tuple[str, ...]) -> bool:
    """Whether libvirt's error code is one of these; codes that this libvirt-python does not know yet never are."""
    return error.get_error_code() in [getattr(libvirt, f"VIR_ERR_{name}", None) for name in names]


def translate(error: libvirt.libvirtError, doing: str) -> VmError:
    """The engine's error for what libvirt answered while ``doing``."""
    said = error.get_error_message() or str(error)
    message = f"{doing}: {said}"
    if is_one_of(error, ("NO_DOMAIN",)):
        return NotFound(message, "unknown_vm", "it may have been undefined meanwhile")
    if is_one_of(error, NOT_ALLOWED):
        return BackendFailed(message, "no_permission", "the user of this connection needs write access to libvirt (docs/libvirt.md lists what is used)")
    if error.get_error_domain() in (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE, libvirt.VIR_FROM_STREAMS) or is_one_of(error, LOST):
        return Interrupted(message, "connection_lost", "libvirt went away in the middle; run again, it resumes")
    if is_one_of(error, BUSY):
        return Busy(message, "vm_busy", "something else works on the VM (a block job, a backup, a migration); run again when it is done")
    return BackendFailed(message, "backend_failed", "libvirt refused; nothing beyond the steps in done was changed")


@contextmanager
def saying(doing: str) -> Iterator[None]:
    """Turn libvirt's errors within the context into the engine's."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise translate(error, doing) from error
