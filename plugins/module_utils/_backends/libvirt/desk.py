# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk: what every effect works with, one domain and what is noted in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from .dom import document, new, text_of
from .faults import saying
from .raw import Raw, read_raw
from .record import ELEMENT, NAMESPACE, PREFIX, Record
from .sdk import libvirt
from .storage import Storage
from .waiting import Clock

Args = Mapping[str, Any]


class Desk:
    """One domain, on one connection. ``held``: what tail.py has read of the snapshots."""

    def __init__(self, conn: libvirt.virConnect, domain: libvirt.virDomain, storage: Storage, clock: Clock) -> None:
        self.conn = conn
        self.domain = domain
        self.storage = storage
        self.clock = clock
        self.held: frozenset[str] | None = None

    @property
    def name(self) -> str:
        return str(self.domain.name())

    def raw(self) -> Raw:
        return read_raw(self.domain)

    def text(self, secure: bool = True) -> str:
        """The domain's XML as the next start would use it; ``secure``: with its passwords."""
        return str(self.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | (libvirt.VIR_DOMAIN_XML_SECURE if secure else 0)))

    def document(self, secure: bool = True) -> Any:
        return document(self.text(secure))

    def note(self, raw: Raw, work: Args | None) -> None:
        """Replace what the record says of the work."""
        self.write(raw.record.with_work(work))

    def write(self, record: Record) -> None:
        """Replace the record in the configuration; one call, which libvirt makes durable before it answers."""
        text = text_of(new(ELEMENT, record.dumps())) if record else None  # libvirt declares the namespace of the element itself
        with saying(f"noting in VM {self.name} what is being done"):
            self.domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, PREFIX, NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


Effect = Callable[[Desk, Args], None]
"""What carries out a step, with the step's args. May be applied twice."""
