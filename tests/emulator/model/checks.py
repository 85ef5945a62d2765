# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that several commands share. Each raises a Refusal; their order is the engine's, and shows (§5.2, §6.2)."""

from __future__ import annotations

from tests.emulator.model.messages import DOMAIN_UNKNOWN, DURING_SNAPSHOT, IN_PREVIEW, STATELESS, VM_NOT_FOUND, Verb
from tests.emulator.model.rows import Disk, ImageStatus, Snapshot, Vm, VmStatus
from tests.emulator.model.tables import Tables


def names(disks: list[Disk]) -> str:
    return ", ".join(disk.alias for disk in disks)


def exists(verb: Verb, vm: Vm | None) -> Vm:
    if vm is None:
        raise verb.cannot(VM_NOT_FOUND, 400)
    return vm


def not_locked(verb: Verb, vm: Vm) -> None:
    """The lock in the engine's memory comes before everything that is read from the database."""
    if vm.lock:
        raise verb.cannot(vm.lock)


def no_row_locked(tables: Tables, verb: Verb, vm: Vm) -> None:
    if tables.locked_rows(vm):
        raise verb.cannot(DURING_SNAPSHOT)


def not_in_preview(tables: Tables, verb: Verb, vm: Vm) -> None:
    if tables.previewed(vm):
        raise verb.cannot(IN_PREVIEW)


def not_stateless(verb: Verb, vm: Vm) -> None:
    if vm.running_stateless:
        raise verb.cannot(STATELESS)


def configured(verb: Verb, vm: Vm, row: Snapshot) -> None:
    if row.broken:
        text = f"The snapshot {row.description} of VM {vm.name} has no configuration available. Please choose a snapshot with configuration available."
        raise verb.cannot(text, 400)


def status_among(verb: Verb, vm: Vm, *allowed: VmStatus) -> None:
    if vm.status not in allowed:
        raise verb.because(vm.status.words)


def disks_free(tables: Tables, verb: Verb, disks: list[Disk]) -> None:
    locked = tables.locked_disks(disks)
    if locked:
        raise verb.disks_locked(names(locked))


def disks_legal(tables: Tables, verb: Verb, disks: list[Disk]) -> None:
    illegal = [disk for disk in disks if tables.disk_status(disk) is ImageStatus.ILLEGAL]
    if illegal:
        raise verb.disks_illegal(names(illegal))


def domains_active(tables: Tables, verb: Verb, disks: list[Disk]) -> None:
    if any(tables.domains[disk.domain_id].status != "active" for disk in disks if disk.domain_id in tables.domains):
        raise verb.cannot(DOMAIN_UNKNOWN)
