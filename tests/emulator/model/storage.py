# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is really on the storage domains: volumes with contents.

The database's images say what should be there. Only here does a test learn which data a disk shows, and what a failure left behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Volume:
    """A layer. It maps the blocks that were written in it to what was written."""

    id: str
    disk_id: str | None
    """None: a memory volume."""
    parent: str | None
    content: dict[str, str] = field(default_factory=dict)


class Storage:
    FRESH = 200_704
    """Bytes of a qcow2 volume in which nothing was written."""
    BLOCK = 65_536

    def __init__(self) -> None:
        self.volumes: dict[str, Volume] = {}

    def create(self, volume_id: str, disk_id: str | None, parent: str | None = None) -> bool:
        """False: a volume without its parent cannot be made (as vdsm answers)."""
        if parent is not None and parent not in self.volumes:
            return False
        self.volumes[volume_id] = Volume(volume_id, disk_id, parent)
        return True

    def delete(self, volume_id: str) -> bool:
        """False: there is no such volume."""
        return self.volumes.pop(volume_id, None) is not None

    def write(self, volume_id: str, block: str, token: str) -> None:
        self.volumes[volume_id].content[block] = token

    def merge(self, base_id: str, child_id: str) -> None:
        """The child's blocks go into the base, which takes the child's place; the base's id stays (§10.1)."""
        base, child = self.volumes[base_id], self.volumes.pop(child_id)
        base.content.update(child.content)
        for volume in self.volumes.values():
            if volume.parent == child_id:
                volume.parent = base_id

    def chain(self, volume_id: str) -> list[Volume]:
        """From the volume down to its base. Raises KeyError where a layer is missing: no guest could start."""
        layers: list[Volume] = []
        at: str | None = volume_id
        while at is not None:
            volume = self.volumes[at]
            layers.append(volume)
            at = volume.parent
        return layers

    def whole(self, volume_id: str) -> bool:
        try:
            return bool(self.chain(volume_id))
        except KeyError:
            return False

    def content(self, volume_id: str) -> dict[str, str]:
        """What a guest would read: upper layers hide lower ones."""
        found: dict[str, str] = {}
        for volume in reversed(self.chain(volume_id)):
            found.update(volume.content)
        return found

    def used(self, volume_id: str) -> int:
        volume = self.volumes.get(volume_id)
        return self.FRESH + (len(volume.content) * self.BLOCK if volume else 0)
