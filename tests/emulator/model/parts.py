# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands work on: tables, storage, journal, clocks, injected failures."""

from __future__ import annotations

import itertools
import time
import uuid

from tests.emulator.model.clock import Clock
from tests.emulator.model.injection import Injections
from tests.emulator.model.journal import Journal
from tests.emulator.model.rows import BLANK, Domain
from tests.emulator.model.storage import Storage
from tests.emulator.model.tables import Tables

HOST = "fakehost"
"""The only host, by the name that events call it."""


class Parts:
    def __init__(self, speed: float) -> None:
        self.execution = Clock(speed)
        self.clock = Clock(speed)
        self.injections = Injections()
        self._last = 0
        self.empty()

    def empty(self) -> None:
        """A data centre in which nothing was made yet."""
        self.tables = Tables()
        self.storage = Storage()
        self.journal = Journal(self.stamp)
        self._macs = itertools.count(1)
        self.data_center_id, self.cluster_id = str(uuid.uuid4()), str(uuid.uuid4())
        self.template_id = BLANK
        for name in ("sd1", "sd2"):
            self.add_domain(name)

    def add_domain(self, name: str) -> Domain:
        domain = Domain(str(uuid.uuid4()), name, master=not self.tables.domains)
        self.tables.domains[domain.id] = domain
        return domain

    def stamp(self) -> int:
        """Now, in milliseconds, never the same twice: the order of dates decides at commits (§7.3)."""
        self._last = max(self._last + 1, int(time.time() * 1000))
        return self._last

    def new_mac(self) -> str:
        while True:
            number = next(self._macs)
            mac = f"56:6f:00:00:{number >> 8 & 255:02x}:{number & 255:02x}"
            if not any(nic.mac == mac for vm in self.tables.vms.values() for nic in vm.nics):
                return mac

    def mac_is_free(self, mac: str, for_vm: str) -> bool:
        return not any(nic.mac == mac for vm in self.tables.vms.values() if vm.id != for_vm for nic in vm.nics)
