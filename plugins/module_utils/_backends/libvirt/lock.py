# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock: one libvirt secret per VM, which libvirtd makes only if it is absent.

The secret is ephemeral (gone with the daemon) and holds no value; its description says who holds the lock, so that a holder that is
known to be dead does not block anybody. It works over every URI, since it is libvirt's own object.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from xml.etree import ElementTree

from ..._engine.errors import Busy
from .dom import add, new, text_of
from .faults import NOT_ALLOWED, is_one_of, saying
from .sdk import libvirt

USAGE = "/diskwise.vm/lock/"
GRACE = 60
"""Seconds that a lease outlives the time that the task was given."""


@contextmanager
def held(conn: libvirt.virConnect, vm_id: str, vm_name: str, seconds: int) -> Iterator[None]:
    """Hold the VM's lock. Raises Busy when somebody alive holds it."""
    secret = _take(conn, vm_id, vm_name, seconds)
    try:
        yield
    finally:
        _release(secret)


def is_abandoned(conn: libvirt.virConnect, vm_id: str) -> bool:
    """Whether the lock is that of a controller that died."""
    found = _lookup(conn, vm_id)
    return found is not None and _is_dead(_holder(found))


def _take(conn: libvirt.virConnect, vm_id: str, vm_name: str, seconds: int) -> libvirt.virSecret:
    for _attempt in range(3):
        try:
            return conn.secretDefineXML(_xml(vm_id, seconds))
        except libvirt.libvirtError as error:
            found = _lookup(conn, vm_id)
            if found is None:
                if error.get_error_domain() != libvirt.VIR_FROM_SECRET or is_one_of(error, NOT_ALLOWED):
                    with saying(f"taking the lock of VM {vm_name}"):
                        raise
                continue  # it was released just now
            holder = _holder(found)
            if not _is_dead(holder):
                raise Busy(
                    f"VM {vm_name} is being worked on by process {holder.get('pid')} on {holder.get('host')}",
                    "locked",
                    "wait for it and run again; a lock whose holder is dead is taken over",
                ) from error
            _release(found)  # by uuid: if another took it over already, this finds nothing
    raise Busy(f"VM {vm_name} is being worked on by others", "locked", "run again")


def _xml(vm_id: str, seconds: int) -> str:
    secret = new("secret", ephemeral="yes", private="yes")
    add(secret, "description", json.dumps(_me(seconds), sort_keys=True))
    add(add(secret, "usage", type="volume"), "volume", USAGE + vm_id)
    return text_of(secret)


def _me(seconds: int) -> dict[str, Any]:
    return {"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid(), "started": _started(os.getpid()), "until": int(time.time()) + seconds + GRACE}


def _boot() -> str:
    """Which boot of which process namespace: a pid means nothing without it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip() + " " + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When the process began, in clock ticks: tells it from a later one of the same pid. None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def _lookup(conn: libvirt.virConnect, vm_id: str) -> libvirt.virSecret | None:
    try:
        return conn.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_VOLUME, USAGE + vm_id)
    except libvirt.libvirtError:
        return None


def _holder(secret: libvirt.virSecret) -> dict[str, Any]:
    try:
        return dict(json.loads(ElementTree.fromstring(secret.XMLDesc()).findtext("description") or "{}"))
    except (libvirt.libvirtError, ValueError):
        return {}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Dead for sure: its lease ran out, or it ran here (same boot, same process namespace) and runs no more."""
    if time.time() > holder.get("until", float("inf")):
        return True
    return bool(_boot()) and holder.get("boot") == _boot() and _started(int(holder.get("pid", 0))) != holder.get("started")


def _release(secret: libvirt.virSecret) -> None:
    with suppress(libvirt.libvirtError):  # it may be taken over, or gone with the daemon
        secret.undefine()
