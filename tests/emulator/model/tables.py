# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables and the questions that commands and answers ask of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.emulator.model.rows import Attachment, Backup, Disk, DiskRecord, Domain, Image, ImageStatus, Kind, Snapshot, SnapshotStatus, Vm


class Images:
    """The images, also found by their disk: an answer about a big VM asks for hundreds of them."""

    def __init__(self) -> None:
        self._all: dict[str, Image] = {}
        self._of_disk: dict[str, dict[str, Image]] = defaultdict(dict)

    def __iter__(self) -> Iterator[Image]:
        return iter(list(self._all.values()))

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._all

    def get(self, image_id: str | None) -> Image | None:
        return self._all.get(image_id) if image_id else None

    def add(self, image: Image) -> Image:
        self._all[image.id] = self._of_disk[image.disk_id][image.id] = image
        return image

    def remove(self, image: Image) -> None:
        del self._all[image.id], self._of_disk[image.disk_id][image.id]

    def of(self, disk_id: str) -> list[Image]:
        return list(self._of_disk[disk_id].values()) if disk_id in self._of_disk else []

    def current(self, disk_id: str) -> Image | None:
        return next((image for image in self.of(disk_id) if image.active), None)

    def children(self, image: Image) -> list[Image]:
        return [other for other in self.of(image.disk_id) if other.parent == image.id]

    def labelled(self, snapshot_id: str) -> list[Image]:
        return [image for image in self._all.values() if image.snapshot_id == snapshot_id]

    def branch(self, leaf: Image | None, until: str | None) -> list[Image]:
        """From this image down, without ``until``."""
        found = []
        while leaf is not None and leaf.id != until:
            found.append(leaf)
            leaf = self.get(leaf.parent)
        return found


class Tables:
    def __init__(self) -> None:
        self.vms: dict[str, Vm] = {}
        self.disks: dict[str, Disk] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.images = Images()
        self.domains: dict[str, Domain] = {}
        self.backups: dict[str, Backup] = {}

    # Snapshots
    def rows(self, vm_id: str) -> list[Snapshot]:
        """In the order of a listing: by date, equal dates in an order that promises nothing (§3.4)."""
        return sorted((row for row in self.snapshots.values() if row.vm_id == vm_id), key=lambda row: row.date)

    def row(self, vm_id: str, kind: Kind) -> Snapshot | None:
        return next((row for row in self.snapshots.values() if row.vm_id == vm_id and row.kind is kind), None)

    def active(self, vm: Vm) -> Snapshot:
        row = self.row(vm.id, Kind.ACTIVE)
        if row is None:
            raise LookupError(f"VM {vm.name} has no ACTIVE row")
        return row

    def previewed(self, vm: Vm) -> Snapshot | None:
        """The source of the preview."""
        return next((row for row in self.rows(vm.id) if row.status is SnapshotStatus.IN_PREVIEW), None)

    def locked_rows(self, vm: Vm) -> list[Snapshot]:
        return [row for row in self.rows(vm.id) if row.status is SnapshotStatus.LOCKED]

    # Disks
    def disk(self, disk_id: str | None) -> Disk | None:
        """As REST sees it: a disk that a preview dropped does not exist."""
        disk = self.disks.get(disk_id) if disk_id else None
        return None if disk is None or disk.dropped else disk

    def attached(self, vm: Vm) -> list[tuple[Attachment, Disk]]:
        return [(attachment, self.disks[attachment.disk_id]) for attachment in vm.attachments.values()]

    def snapshottable(self, vm: Vm) -> list[tuple[Attachment, Disk]]:
        return [(attachment, disk) for attachment, disk in self.attached(vm) if disk.snapshottable]

    def vm_of(self, disk_id: str) -> Vm | None:
        return next((vm for vm in self.vms.values() if disk_id in vm.attachments), None)

    def disk_status(self, disk: Disk) -> ImageStatus:
        image = self.images.current(disk.id)
        return image.status if image else ImageStatus.OK

    def locked_disks(self, disks: list[Disk]) -> list[Disk]:
        return [disk for disk in disks if self.disk_status(disk) is ImageStatus.LOCKED]

    # Stored configurations
    def record_status(self, record: DiskRecord) -> ImageStatus:
        """§3.5: a recorded image that is gone, or whose label names no row any more, is shown as illegal."""
        image = self.images.get(record.image_id)
        if image is None or image.snapshot_id not in self.snapshots:
            return ImageStatus.ILLEGAL
        return image.status

    def held(self, snapshot: Snapshot) -> list[Image]:
        """The images that the snapshot froze."""
        return self.images.labelled(snapshot.id)

    def damaged(self, vm: Vm) -> list[Disk]:
        """Disks whose labels contradict the rows: any preview is refused until a create has set them right (§15.1)."""
        active = self.active(vm)

        def sound(image: Image) -> bool:
            return image.snapshot_id in self.snapshots and (image.snapshot_id == active.id) == image.active

        return [disk for _attachment, disk in self.snapshottable(vm) if not all(sound(image) for image in self.images.of(disk.id))]
