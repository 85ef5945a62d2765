# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine asks of a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from .changes import Change, Decision
from .errors import VmError
from .model import Step, Vm


class Backend(Protocol):
    """One VM on one hypervisor. Only ``apply`` has effects on the VM."""

    def read(self) -> Vm:
        """Everything about the VM, in as few calls as the API allows."""

    def look(self, vm: Vm, decision: Decision) -> Vm:
        """The VM complete, for a ``vm`` that is not: with what only a closer look at what the decision is about can tell. Reads only."""

    def hold(self) -> AbstractContextManager[bool]:
        """Keep every other controller away from this VM while the context is open. Raises Busy.

        False where the hypervisor itself lets only one at work, so that what was read before need not be read again.
        """

    def images(self, vm: Vm, change: Change) -> Mapping[str, str]:
        """Disk id -> id of the image that the change will make; empty where only the hypervisor can know. Pure."""

    def plan(self, vm: Vm, change: Change) -> tuple[Step, ...]:
        """The steps that lead from ``vm`` to ``change.expected(vm)``. Pure."""

    def apply(self, step: Step) -> None:
        """Carry out one step; a step that was already carried out changes nothing."""


class Hypervisor(Protocol):
    """A connection that finds VMs."""

    workers: int
    """How many VMs it serves side by side, each in a thread of its own."""

    def find(self, names: Sequence[str]) -> Sequence[Backend | VmError]:
        """One answer per name or id, in order: its backend, or why there is none."""

    def owner_of(self, disk: str) -> Sequence[str]:
        """Ids of the VMs that have a disk of that id, path or serial."""

    def close(self) -> None:
        """Let go of the connection; never raises."""


class Meeting(Protocol):
    """Where VMs that are taken together wait for each other."""

    def moment(self) -> AbstractContextManager[None]:
        """A context that begins when all are there. Raises CalledOff."""
