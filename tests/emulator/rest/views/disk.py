# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks, attachments, images, and the disks of a snapshot (§3.3, §3.5)."""

from __future__ import annotations

from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import Attachment, Disk, DiskRecord, Image, Kind, Snapshot, Vm
from tests.emulator.rest.formats import Tree
from tests.emulator.rest.views.links import API, DISK_PROFILE, QUOTA, actions, links, reference
from tests.emulator.rest.views.vm import collection


def address(disk_id: str) -> str:
    return f"{API}/disks/{disk_id}"


def _image_fields(parts: Parts, disk: Disk, image: Image, image_id: str | None, total: int) -> Tree:
    cow = image.format == "cow"
    return {
        "actual_size": parts.storage.used(image.id),
        "alias": disk.alias,
        "backup": "none",
        "content_type": "data",
        "format": image.format,
        "image_id": image_id,
        "propagate_errors": False,
        "provisioned_size": image.size,
        "qcow_version": "qcow2_v3" if cow and image.status.value != "locked" else None,
        "shareable": disk.shareable,
        "sparse": image.sparse,
        "status": image.status.value,
        "storage_type": "image",
        "total_size": total,
        "wipe_after_delete": False,
    }


def _quota(parts: Parts) -> Tree:
    return {"href": f"{API}/datacenters/{parts.data_center_id}/quotas/{QUOTA}", "id": QUOTA}


def disk_tree(parts: Parts, disk: Disk) -> Tree:
    base = address(disk.id)
    tree: Tree = {
        "href": base,
        "id": disk.id,
        "actions": actions(base, "sparsify", "copy", "export", "move", "refreshlun", "convert", "reduce"),
        "name": disk.alias,
        "description": disk.description,
        "link": links(base, "permissions", "disksnapshots", "statistics"),
    }
    if disk.lun:
        return {**tree, **_lun_fields(disk)}
    images = parts.tables.images.of(disk.id)
    current = next((image for image in images if image.active), images[-1])
    tree.update(_image_fields(parts, disk, current, current.id, sum(parts.storage.used(image.id) for image in images)))
    tree["disk_profile"] = reference("diskprofiles", DISK_PROFILE)
    tree["quota"] = _quota(parts)
    tree["storage_domains"] = {"storage_domain": [reference("storagedomains", disk.domain_id)]}
    return tree


def _lun_fields(disk: Disk) -> Tree:
    unit: Tree = {"id": f"3600{disk.id.replace('-', '')[:28]}", "lun_mapping": 1, "size": disk.size, "status": "used"}
    return {
        "alias": disk.alias,
        "content_type": "data",
        "lun_storage": {"id": unit["id"], "logical_units": {"logical_unit": [unit]}, "type": "iscsi"},
        "propagate_errors": False,
        "shareable": disk.shareable,
        "sgio": "disabled",
        "status": "ok",
        "storage_type": "lun",
        "wipe_after_delete": False,
    }


def attachment_tree(vm: Vm, attachment: Attachment) -> Tree:
    return {
        "href": f"{API}/vms/{vm.id}/diskattachments/{attachment.disk_id}",
        "id": attachment.disk_id,
        "active": attachment.plugged,
        "bootable": attachment.bootable,
        "interface": attachment.interface,
        "pass_discard": attachment.pass_discard,
        "read_only": attachment.read_only,
        "uses_scsi_reservation": False,
        "disk": reference("disks", attachment.disk_id),
        "vm": reference("vms", vm.id),
    }


def disk_snapshot_tree(parts: Parts, disk: Disk, image: Image, base: str) -> Tree:
    """An image. The active one has no ``snapshot``, the base no ``parent``."""
    tree: Tree = {"href": f"{base}/{image.id}", "id": image.id, "name": disk.alias, "description": disk.description}
    tree.update(_image_fields(parts, disk, image, None, 0))
    tree["disk_profile"] = reference("diskprofiles", DISK_PROFILE)
    tree["quota"] = _quota(parts)
    if not image.active and image.snapshot_id:
        tree["snapshot"] = {"id": image.snapshot_id}
    if base.startswith(f"{API}/storagedomains"):
        tree["storage_domain"] = reference("storagedomains", disk.domain_id)
    tree["storage_domains"] = {"storage_domain": [reference("storagedomains", disk.domain_id)]}
    tree["disk"] = reference("disks", disk.id)
    if image.parent:
        tree["parent"] = {"href": f"{base}/{image.parent}", "id": image.parent}
    return tree


def disk_snapshots_tree(parts: Parts, disk: Disk, include_active: bool) -> Tree:
    base = f"{address(disk.id)}/disksnapshots"
    images = [image for image in parts.tables.images.of(disk.id) if include_active or not image.active]
    return collection("disk_snapshot", [disk_snapshot_tree(parts, disk, image, base) for image in images])


# The disks of a snapshot
def snapshot_disks(parts: Parts, snapshot: Snapshot) -> list[Tree]:
    """ACTIVE shows the images that have its label, all others what their configuration recorded."""
    if snapshot.kind is Kind.ACTIVE:
        images = [image for image in parts.tables.held(snapshot) if not parts.tables.disks[image.disk_id].dropped]
        return [_current_disk(parts, parts.tables.disks[image.disk_id], image, snapshot) for image in images]
    records = snapshot.configuration.disks if snapshot.configuration else ()
    return [_recorded_disk(parts, record, snapshot) for record in records]


def _current_disk(parts: Parts, disk: Disk, image: Image, snapshot: Snapshot) -> Tree:
    tree: Tree = {"id": disk.id, "name": disk.alias, "description": disk.description}
    tree.update(_image_fields(parts, disk, image, image.id, 0))
    tree["disk_profile"] = {"id": DISK_PROFILE}
    tree["quota"] = {"id": QUOTA, "data_center": {"id": parts.data_center_id}}
    tree["snapshot"] = {"id": snapshot.id}
    tree["storage_domains"] = {"storage_domain": [{"id": disk.domain_id}]}
    return tree


def _recorded_disk(parts: Parts, record: DiskRecord, snapshot: Snapshot) -> Tree:
    return {
        "id": record.disk_id,
        "name": record.alias,
        "description": "",
        "actual_size": record.size,
        "alias": record.alias,
        "backup": "none",
        "content_type": "data",
        "format": record.format,
        "image_id": record.image_id,
        "propagate_errors": False,
        "provisioned_size": record.size,
        "shareable": False,
        "sparse": record.sparse,
        "status": parts.tables.record_status(record).value,
        "storage_type": "image",
        "total_size": 0,
        "wipe_after_delete": False,
        "snapshot": {"id": snapshot.id},
        "storage_domains": {"storage_domain": [{"id": record.domain_id}]},
    }
