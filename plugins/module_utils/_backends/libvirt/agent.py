# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest agent: how long it may take, and that it never leaves a guest frozen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..._engine.errors import Interrupted
from .faults import AGENT_SILENT, is_one_of
from .sdk import libvirt

AGENT_SECONDS = 10
"""How long the guest agent may take to freeze or thaw."""
THAW_SECONDS = 20


@contextmanager
def limited(domain: libvirt.virDomain) -> Iterator[None]:
    """Let no call wait longer for the agent while the context is open."""
    domain.agentSetResponseTimeout(AGENT_SECONDS, 0)
    try:
        yield
    finally:
        unlimited(domain)


def unlimited(domain: libvirt.virDomain) -> None:
    with suppress(libvirt.libvirtError):  # if the VM stopped, the setting went with it
        domain.agentSetResponseTimeout(libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0)


def thaw(domain: libvirt.virDomain) -> None:
    """Until the agent confirms it: an agent that was late may freeze the guest when nobody waits for it any more."""
    end = time.monotonic() + THAW_SECONDS
    while True:
        try:
            domain.fsThaw()
            return
        except libvirt.libvirtError as error:
            if not is_one_of(error, AGENT_SILENT) or not domain.isActive():
                return
            if is_one_of(error, ("ARGUMENT_UNSUPPORTED",)) or "connected" not in domain.XMLDesc(0):
                return
            if time.monotonic() > end:
                raise Interrupted(
                    f"the guest agent of VM {domain.name()} does not answer; its file systems may be frozen",
                    "maybe_frozen",
                    "virsh domfsthaw, or restart the agent in the guest; the next run tries again",
                ) from error
        time.sleep(0.5)
