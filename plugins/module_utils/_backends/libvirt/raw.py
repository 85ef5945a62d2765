# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt says of a domain, before anything is concluded from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from xml.etree import ElementTree

from . import xml
from .faults import saying
from .record import unpack
from .sdk import libvirt


class Raw:
    """What libvirt says of a domain. The snapshots, one call each, are read when they are first asked for."""

    def __init__(self, domain: libvirt.virDomain) -> None:
        self._handle = domain
        self.live = xml.parse(domain.XMLDesc(0)) if domain.isActive() else None
        self.domain = xml.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        self.record = xml.record_of(self.domain)

    @cached_property
    def snapshots(self) -> Mapping[str, ElementTree.Element]:
        found = {snapshot.getName(): xml.parse(snapshot.getXMLDesc()) for snapshot in self._handle.listAllSnapshots()}
        changing = self.record.work["snapshots"] if self.record.work and self.record.phase == "tail" else {}
        anew = {name: changes["anew"] for name, changes in changing.items() if "anew" in changes and name not in found}
        return {**found, **{name: xml.parse(unpack(text)) for name, text in anew.items()}}

    @cached_property
    def saved(self) -> bool:
        """The memory is saved to disk, for the next start to resume."""
        return self.live is None and bool(self._handle.hasManagedSaveImage())


def read_raw(domain: libvirt.virDomain) -> Raw:
    with saying(f"reading VM {domain.name()}"):
        return Raw(domain)
