# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the engine's database that matter for disk snapshots (§4.1). Ids are UUIDs in text, dates epoch milliseconds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import Enum

BLANK = "00000000-0000-0000-0000-000000000000"


class VmStatus(str, Enum):
    DOWN = "down"
    UP = "up"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    IMAGE_LOCKED = "image_locked"
    WAIT_FOR_LAUNCH = "wait_for_launch"
    POWERING_UP = "powering_up"
    POWERING_DOWN = "powering_down"
    REBOOT_IN_PROGRESS = "reboot_in_progress"
    SAVING_STATE = "saving_state"
    RESTORING_STATE = "restoring_state"
    MIGRATING = "migrating"
    NOT_RESPONDING = "not_responding"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """As messages spell it: "Image Locked", "Wait for Launch", "Reboot in Progress"."""
        return " ".join(word if word in ("for", "in") else word.capitalize() for word in self.value.split("_"))


class Kind(str, Enum):
    ACTIVE = "active"
    REGULAR = "regular"
    PREVIEW = "preview"
    STATELESS = "stateless"


class SnapshotStatus(str, Enum):
    OK = "ok"
    LOCKED = "locked"
    IN_PREVIEW = "in_preview"


class ImageStatus(str, Enum):
    OK = "ok"
    LOCKED = "locked"
    ILLEGAL = "illegal"


@dataclass(frozen=True)
class Nic:
    id: str
    name: str
    mac: str
    interface: str = "virtio"
    linked: bool = True
    plugged: bool = True


@dataclass(frozen=True)
class Settings:
    """What a snapshot's configuration brings back (§6.4); the rest of a VM stays as it is."""

    name: str
    description: str = ""
    comment: str = ""
    memory: int = 1 << 30
    memory_guaranteed: int = 1 << 30
    memory_max: int = 4 << 30
    sockets: int = 1
    cores: int = 1
    threads: int = 1
    os_type: str = "other"
    boot_devices: tuple[str, ...] = ("hd",)
    delete_protected: bool = False
    stateless: bool = False
    high_availability: bool = False
    lease_domain: str | None = None
    initialization: str | None = None
    """Cloud-init's host name; None if nothing of it is set."""


@dataclass(frozen=True)
class DiskRecord:
    """A disk as a stored configuration remembers it."""

    disk_id: str
    image_id: str
    alias: str
    size: int
    format: str
    bootable: bool
    interface: str
    pass_discard: bool
    plugged: bool
    read_only: bool
    domain_id: str
    parent: str | None
    used: int
    sparse: bool = True


@dataclass(frozen=True)
class Configuration:
    """The VM and some of its disks at one moment; the engine keeps it as OVF (§3.4)."""

    settings: Settings
    nics: tuple[Nic, ...]
    disks: tuple[DiskRecord, ...]
    exported: int

    def record(self, disk_id: str) -> DiskRecord | None:
        return next((record for record in self.disks if record.disk_id == disk_id), None)


@dataclass
class Snapshot:
    id: str
    vm_id: str
    kind: Kind
    status: SnapshotStatus
    description: str
    date: int
    configuration: Configuration | None = None
    broken: bool = False
    """The engine gave the configuration up at a commit: never again a source (§7.3)."""
    memory: tuple[str, str] | None = None
    """Ids of the memory volume and its metadata volume."""
    stateless_disks: bool = False


@dataclass
class Image:
    """A layer of a disk as the database knows it. What is on storage is in storage.py: the two can differ (§15.1)."""

    id: str
    disk_id: str
    parent: str | None
    snapshot_id: str | None
    """The label: ACTIVE's id for current images, a regular row's id for frozen ones, an id without a row after some failures."""
    active: bool
    status: ImageStatus
    size: int
    format: str = "cow"
    born: int = 0
    sparse: bool = True


@dataclass
class Disk:
    id: str
    alias: str
    description: str = ""
    shareable: bool = False
    lun: bool = False
    size: int = 1 << 30
    domain_id: str = ""
    dropped: bool = False
    """A preview left it out: REST does not know it, its images stay (§6.3)."""
    leaked: bool = False
    """A lock that nothing releases any more (§15.1)."""

    @property
    def snapshottable(self) -> bool:
        return not (self.shareable or self.lun)


@dataclass
class Attachment:
    disk_id: str
    plugged: bool = True
    read_only: bool = False
    bootable: bool = False
    interface: str = "virtio_scsi"
    pass_discard: bool = False


@dataclass
class Vm:
    id: str
    settings: Settings
    created: int
    status: VmStatus = VmStatus.DOWN
    nics: list[Nic] = field(default_factory=list)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    started: int | None = None
    stopped: int | None = None
    agent: bool = False
    lock: str | None = None
    """The engine's in-memory lock: the message that others get."""
    running_stateless: bool = False
    next_device: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def name(self) -> str:
        return self.settings.name


@dataclass
class Domain:
    id: str
    name: str
    master: bool = True
    status: str = "active"


@dataclass
class Backup:
    id: str
    vm_id: str
    disks: list[str]
    snapshot_id: str
    created: int
    phase: str = "initializing"
    description: str = ""
