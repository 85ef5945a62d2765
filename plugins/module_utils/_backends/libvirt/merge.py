# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging an image into the one below it, with QEMU's block jobs: in the running VM, or in a helper that is never started.

A job that is repeated copies the same data to the same place, so a merge may be applied twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from xml.etree import ElementTree

from ..._engine.errors import BackendFailed, Interrupted, VmError
from . import xml
from .desk import Desk
from .dom import add, new, text_of
from .faults import is_one_of, saying, translate
from .sdk import libvirt
from .storage import OVERLAY_FORMAT, cover_of, helper_name
from .waiting import Clock
from .xml import Source

Merges = Mapping[str, Sequence[str]]
"""Target -> (image below, the image above it that is merged into it)."""

LOCKED = "Is another process using the image"
"""What QEMU says of an image that another process has open; libvirt has no code for it."""
DYING_SECONDS = 20


def merge(desk: Desk, merges: Merges) -> None:
    """Carry out the merges."""
    if desk.domain.isActive():
        _merge_in(desk.domain, merges, desk.clock)
        return
    tops = xml.sources(desk.raw().domain)
    with _covered(desk, {target: tops[target] for target in merges}, merges) as opened, _helper(desk.conn, desk.domain, opened, desk.clock) as helper:
        _merge_in(helper, merges, desk.clock)


@contextmanager
def _covered(desk: Desk, tops: Mapping[str, Source], merges: Merges) -> Iterator[Mapping[str, Source]]:
    """From where the helper opens each chain: an image that is to be merged is not its top.

    To merge the top, libvirt turns the disk over to the image below. A libvirtd that dies in the middle of that cannot read its own note of
    it, forgets the helper, and leaves its QEMU with the images locked for good.
    """
    covers = {target: cover_of(source.path) for target, source in tops.items() if source.path == merges[target][1]}
    opened = dict(tops)
    for target, path in covers.items():
        desk.storage.delete(path)  # what a run that died left may be built on another image by now
        with suppress(VmError):  # no room for it, which the merge may make, or the name gets too long
            desk.storage.create_overlay(path, tops[target])
            opened[target] = Source(path, OVERLAY_FORMAT)
    try:
        yield opened
    finally:
        for path in covers.values():
            desk.storage.delete(path)


def _merge_in(domain: libvirt.virDomain, merges: Merges, clock: Clock) -> None:
    for target, (below, above) in sorted(merges.items()):
        with saying(f"merging the images of disk {target}"):
            commit(domain, target, below, above, clock)


def commit(domain: libvirt.virDomain, target: str, below: str, above: str, clock: Clock) -> None:
    """Merge ``above`` into ``below`` and let the disk go on without ``above``."""
    _wait_for_job(domain, target, clock)
    chain = _chain(domain, target)
    if above not in chain:
        return
    if below not in chain:
        raise BackendFailed(
            f"{below} is not in the chain of disk {target}", "not_in_chain", "the chain was changed by others; look at it with virsh domblklist"
        )
    active = chain[0] == above
    flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE if active else 0
    domain.blockCommit(target, below, above, 0, flags)  # named also when active: it may be so no more, and then libvirt refuses
    if active:
        _pivot(domain, target, clock)
    else:
        _wait_for_job(domain, target, clock)
    if above in _chain(domain, target):
        raise BackendFailed(f"the merge of {above} ended without an effect", "merge_failed", "look at libvirt's log of the VM, then run again")


def _chain(domain: libvirt.virDomain, target: str) -> list[str]:
    elements = dict(xml.disk_elements(ElementTree.fromstring(domain.XMLDesc(0))))
    return xml.chain_of(elements[target]) if target in elements else []


def _wait_for_job(domain: libvirt.virDomain, target: str, clock: Clock) -> None:
    """Wait for a job that runs on the disk; one that only waits for its pivot gets it."""
    for _tick in clock.ticks(f"the block job of disk {target}"):
        info = domain.blockJobInfo(target, 0)
        if not info:
            return
        if info["type"] == libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT:
            _pivot(domain, target, clock)


def _pivot(domain: libvirt.virDomain, target: str, clock: Clock) -> None:
    for _tick in clock.ticks(f"the merge of disk {target}"):
        info = domain.blockJobInfo(target, 0)
        if not info:
            return
        if info["cur"] == info["end"]:
            try:
                domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
                return
            except libvirt.libvirtError as error:
                if not is_one_of(error, ("BLOCK_COPY_ACTIVE",)):  # not ready for the pivot yet
                    raise


def _end_helper(conn: libvirt.virConnect, name: str, clock: Clock) -> None:
    """End the helper of a dead controller: libvirtd does it, too, but later, and not when it died itself in between."""
    for _tick in clock.ticks("the end of the helper of an interrupted run"):
        left = [found for found in conn.listAllDomains() if found.name() == name]
        if not left:
            return
        with suppress(libvirt.libvirtError):  # it has just gone, or is only being started
            left[0].destroy()


def _started(conn: libvirt.virConnect, domain: libvirt.virDomain, text: str, flags: int, clock: Clock) -> libvirt.virDomain:
    """Start it as soon as the images are free: a QEMU that libvirtd has just given up holds them until the kernel has taken it down."""
    patience = time.monotonic() + DYING_SECONDS
    for _tick in clock.ticks("the QEMU that uses the images"):
        try:
            return conn.createXML(text, flags)
        except libvirt.libvirtError as error:
            if LOCKED not in error.get_error_message():
                raise
            if domain.isActive():
                raise Interrupted(f"VM {domain.name()} was started meanwhile", "changed_meanwhile", "run again") from error
            if time.monotonic() > patience:
                said = translate(error, "starting the helper that merges images")
                raise BackendFailed(
                    said.message, "image_locked", "find the process that uses the image, with lslocks or virsh list, and run again when it is done"
                ) from error


@contextmanager
def _helper(conn: libvirt.virConnect, domain: libvirt.virDomain, tops: Mapping[str, Source], clock: Clock) -> Iterator[libvirt.virDomain]:
    """A paused domain that has only these disks, and that goes when this connection goes."""
    with saying("starting the helper that merges images"):
        flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
        text = _helper_xml(xml.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)), tops)
        _end_helper(conn, helper_name(domain.UUIDString()), clock)
        helper = _started(conn, domain, text, flags, clock)
    try:
        yield helper
    finally:
        with saying("stopping the helper that merges images"):
            helper.destroy()


def _helper_xml(domain: ElementTree.Element, tops: Mapping[str, Source]) -> str:
    """The same emulator and machine as the VM's, 8 MiB, and the disks."""
    root = new("domain", type=domain.get("type") or "qemu")
    add(root, "name", helper_name(str(domain.findtext("uuid"))))
    add(root, "memory", "8", unit="MiB")
    kind = domain.find("os/type")
    add(add(root, "os"), "type", "hvm", **({key: str(kind.get(key)) for key in ("arch", "machine") if kind is not None and kind.get(key)}))
    devices = add(root, "devices")
    if domain.findtext("devices/emulator"):
        add(devices, "emulator", str(domain.findtext("devices/emulator")))
    for target, source in sorted(tops.items()):
        disk = add(devices, "disk", type="file", device="disk")
        add(disk, "driver", name="qemu", type=source.format)
        add(disk, "source", file=source.path)
        bus = domain.find(f"devices/disk/target[@dev='{target}']")
        kind_of_bus = (bus.get("bus") if bus is not None else None) or "virtio"
        add(disk, "target", dev=target, bus="virtio" if kind_of_bus == "usb" else kind_of_bus)
    add(devices, "controller", type="usb", model="none")
    add(devices, "memballoon", model="none")
    return text_of(root)
