# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine talks about: a VM, its disks, its snapshots, and what a preview shows of them.

All values are frozen. Nothing here knows Ansible, an SDK, a clock or a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

CURRENT = "current"
"""The reserved word for "as it is now"; no snapshot can have this name."""

EXCLUDED = "excluded"
"""In a composition: the disk is left out of the VM."""

RESERVED = (CURRENT, EXCLUDED)
"""No snapshot can be made or chosen by these names: in a composition they mean something else."""


@dataclass(frozen=True)
class Disk:
    """A disk of a VM. ``fixed`` says why it cannot take part in snapshots; it is empty for a disk that can.

    ``removable`` marks a drive for media: it belongs to the configuration and comes and goes with it. A disk that is not ``plugged``
    belongs to the VM, and the guest does not see it. ``alias`` is the name that comes with the image, where that brings a name with it.
    """

    id: str
    name: str
    target: str
    bootable: bool = False
    fixed: str = ""
    serial: str = ""
    storage: str = ""
    size: int | None = None
    removable: bool = False
    plugged: bool = True
    read_only: bool = False
    interface: str = ""
    pass_discard: bool = False
    alias: str = ""


@dataclass(frozen=True)
class Image:
    """One file or volume of a disk's chain.

    ``size`` is the space it takes, in bytes, None when unknown. ``missing`` is True when it was looked for and is not there.
    ``users`` names whatever else builds on this image (a disk of another VM, a foreign overlay).
    """

    id: str
    disk: str
    parent: str | None = None
    size: int | None = None
    missing: bool = False
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hardware:
    """What a configuration gives the VM besides disks: CPUs, memory in bytes, and the MAC addresses of its network cards, sorted."""

    vcpus: int | None = None
    memory: int | None = None
    nics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of the configuration and of *some* disks: those in ``images`` (disk id -> image id).

    ``disks`` are the disks of its configuration. ``unusable`` says why it cannot be a source of a preview, ``broken`` why its configuration
    cannot be, while its images can.
    ``quiesced`` is None when nobody knows (or nothing ran). ``own`` is True for snapshots that this collection made. ``hardware`` is None
    where it is not known, and ``memory_size``, the bytes of the saved memory, as well.
    """

    id: str
    name: str
    description: str = ""
    created: int | None = None
    memory: bool = False
    has_config: bool = True
    images: Mapping[str, str] = field(default_factory=dict)
    disks: tuple[Disk, ...] = ()
    quiesced: bool | None = None
    own: bool = False
    parent: str | None = None
    unusable: str = ""
    broken: str = ""
    hardware: Hardware | None = None
    memory_size: int | None = None


@dataclass(frozen=True)
class Composition:
    """What a preview shows: the configuration (None = current), its memory, and per disk a snapshot id or EXCLUDED.

    A disk that is absent from ``disks`` stays exactly as it is.
    """

    config: str | None = None
    memory: bool = False
    disks: Mapping[str, str] = field(default_factory=dict)

    @property
    def excluded(self) -> tuple[str, ...]:
        return tuple(disk for disk, source in sorted(self.disks.items()) if source == EXCLUDED)

    @property
    def sources(self) -> dict[str, str]:
        """Disk id -> snapshot id, without the excluded disks."""
        return {disk: source for disk, source in self.disks.items() if source != EXCLUDED}

    def as_dict(self) -> dict[str, Any]:
        return {"config": self.config, "memory": self.memory, "disks": dict(sorted(self.disks.items()))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Composition:
        return cls(data.get("config"), bool(data.get("memory")), dict(data.get("disks") or {}))


@dataclass(frozen=True)
class Preview:
    """The open session: what it shows, and the images it made (disk id -> image id) that take what the guest writes.

    ``memory_spent``: the VM was started since, and nobody knows any more whether with the memory of its configuration. ``hardware`` and
    ``disks``: what the VM has in the preview, where the hypervisor may give it something else than the configuration says.
    """

    shows: Composition
    images: Mapping[str, str] = field(default_factory=dict)
    memory_spent: bool = False
    hardware: Hardware | None = None
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True)
class Problem:
    """A finding about a VM. ``blocks`` is True when no change may be made until it is cured."""

    code: str
    subject: str
    says: str
    hint: str = ""
    blocks: bool = False


@dataclass(frozen=True)
class Capabilities:
    """What a hypervisor can do, and what it does of its own accord: part of the picture, since a change leads elsewhere where this differs."""

    memory_excluding: bool = False
    """Memory can be restored into a VM that lacks one of its disks."""
    create_suspended: bool = False
    """A snapshot can be taken of a VM whose memory is saved to disk."""
    longest_chain: int = 190
    """How many images a disk's chain may have."""
    plain_text: bool = False
    """Names and descriptions may hold nothing but ASCII and letters."""
    longest_text: int = 0
    """Characters that name and description may have together; 0 for no limit."""
    unplugs: bool = False
    """A disk is excluded by unplugging it; together with another configuration that cannot be done, and a commit destroys the disk."""
    breaks_newer: bool = False
    """A commit takes the configuration of those snapshots that are newer than the one whose configuration it keeps."""
    boots_by_image: bool = False
    """Whether a disk is bootable goes with its image, and not with the configuration."""
    notes_requests: bool = True
    """A request can be noted as carried out although there was nothing to do for it."""
    merges_again: bool = False
    """An image that counts as missing is one whose merge failed: the same removal once more is the cure."""
    tells_quiesced: bool = True
    """Whether the guest was frozen can be known."""


@dataclass(frozen=True)
class Vm:
    """The whole picture, from one ``read()``.

    ``disks`` and ``leaf`` (disk id -> image id that takes writes) describe the VM outside any preview: what an undo comes back to.
    ``power`` is down, up, paused, or suspended (memory saved to disk). ``agent`` is None when the VM is not running.
    ``unfinished`` names work of an interrupted run; everything else already shows the state that settling it leads to.
    ``committed`` is the composition of the last commit as long as nothing has been written or changed since.
    ``requests`` are the request ids that were carried out, with their compositions where these are known.
    ``complete`` is False as long as only a closer look, for which it must be known what is wanted, can tell ``committed``, ``requests`` and
    some problems. ``asked`` is the request id of which that was told already. ``notes`` are what that look has to say, as warnings.
    """

    id: str
    name: str
    power: str = "down"
    disks: tuple[Disk, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    leaf: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    preview: Preview | None = None
    agent: bool | None = None
    unfinished: str = ""
    problems: tuple[Problem, ...] = ()
    committed: Composition | None = None
    requests: Mapping[str, Composition | None] = field(default_factory=dict)
    checkpoints: tuple[str, ...] = ()
    can: Capabilities = Capabilities()
    complete: bool = True
    asked: str = ""
    notes: tuple[str, ...] = ()
    hardware: Hardware | None = None

    def disk(self, disk_id: str) -> Disk:
        """The disk of that id, wherever it is known from: the VM now, or the newest snapshot that has it."""
        return self._disk_of_id.get(disk_id) or Disk(disk_id, disk_id, disk_id)

    def label(self, disk_id: str) -> str:
        """The disk's name; with its id when another known disk has that name too."""
        name = self.disk(disk_id).name
        return f"{name} ({disk_id})" if self._disks_named.get(name, 0) > 1 else name

    def known_disks(self) -> tuple[Disk, ...]:
        """The VM's disks, then those that only snapshots know."""
        return tuple(self._disk_of_id.values())

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """The snapshot of that id; a KeyError here is a fault of the caller, who looks names up with ``select.snapshot``."""
        return self._snapshot_of_id[snapshot_id]

    def snapshot_name(self, snapshot_id: str | None) -> str:
        if snapshot_id is None:
            return CURRENT
        found = self._snapshot_of_id.get(snapshot_id)
        return found.name if found else snapshot_id

    def chain(self, image_id: str | None) -> tuple[str, ...]:
        """The image and its parents, as far as they are known, from the top down."""
        found: list[str] = []
        seen: set[str] = set()
        while image_id and image_id not in seen:
            seen.add(image_id)
            found.append(image_id)
            image = self.images.get(image_id)
            image_id = image.parent if image else None
        return tuple(found)

    def children(self, image_id: str) -> tuple[str, ...]:
        """The images that are built directly on this one, as far as they are known."""
        return self._children_of_id.get(image_id, ())

    # Looked up once per disk and per snapshot: kept, so that the work grows with the VM and not with its square.

    @cached_property
    def _disk_of_id(self) -> Mapping[str, Disk]:
        found = {disk.id: disk for disk in self.disks}
        for snapshot in reversed(self.snapshots):
            for disk in snapshot.disks:
                found.setdefault(disk.id, disk)
        return found

    @cached_property
    def _disks_named(self) -> Mapping[str, int]:
        return Counter(disk.name for disk in self._disk_of_id.values())

    @cached_property
    def _snapshot_of_id(self) -> Mapping[str, Snapshot]:
        return {snapshot.id: snapshot for snapshot in self.snapshots}

    @cached_property
    def _children_of_id(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for image in self.images.values():
            if image.parent:
                found[image.parent] = (*found.get(image.parent, ()), image.id)
        return found


@dataclass(frozen=True)
class Step:
    """One effect: serialisable, may be applied twice, and is both the ``plan`` result and the log line.

    ``meets``: VMs that are taken together do this one at the same moment.
    """

    verb: str
    subject: str
    says: str
    args: Mapping[str, Any] = field(default_factory=dict)
    meets: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {"verb": self.verb, "subject": self.subject, "says": self.says, "args": dict(self.args)}


@dataclass(frozen=True)
class Loss:
    """What a commit, an undo or a removal destroys or breaks. ``size`` is in bytes, None when a part of it is unknown."""

    images: tuple[str, ...] = ()
    size: int | None = 0
    disks: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    snapshots_removed: tuple[str, ...] = ()
    snapshots_reduced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    without_config: tuple[str, ...] = ()
    backup_impact: bool = False
    says: tuple[str, ...] = ()
