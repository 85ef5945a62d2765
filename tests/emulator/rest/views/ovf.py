# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stored configuration as OVF, the form in which ``all_content`` shows it."""

from __future__ import annotations

from datetime import datetime, timezone
from xml.sax.saxutils import escape, quoteattr

from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import BLANK, Configuration, DiskRecord, Nic, Snapshot
from tests.emulator.rest.views.links import QUOTA

INTERFACES = {"virtio_scsi": "VirtIO_SCSI", "virtio": "VirtIO", "ide": "IDE", "sata": "SATA", "spapr_vscsi": "SPAPR_VSCSI"}
NAMESPACES = (
    'xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/" '
    'xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" '
    'xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ovf:version="4.4.0.0"'
)


def _date(stamp: int) -> str:
    return f"{datetime.fromtimestamp(stamp / 1000, timezone.utc):%Y/%m/%d %H:%M:%S}"


def _tag(name: str, value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"


def _attributes(prefix: str, **values: object) -> str:
    return " ".join(
        f"{prefix}{key.replace('_', '-')}={quoteattr(str(value).lower() if isinstance(value, bool) else str(value))}" for key, value in values.items()
    )


def ovf(parts: Parts, row: Snapshot, stored: Configuration) -> str:
    files = "".join(_file(record) for record in stored.disks)
    disks = "".join(_disk(row, record) for record in stored.disks)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><ovf:Envelope {NAMESPACES}><References>{files}</References>'
        "<NetworkSection><Info>List of networks</Info></NetworkSection>"
        f'<Section xsi:type="ovf:DiskSection_Type"><Info>List of Virtual Disks</Info>{disks}</Section>'
        f'<Content ovf:id="out" xsi:type="ovf:VirtualSystem_Type">{_content(parts, row, stored)}</Content></ovf:Envelope>'
    )


def _path(record: DiskRecord) -> str:
    return f"{record.disk_id}/{record.image_id}"


def _file(record: DiskRecord) -> str:
    size = f'ovf:size="{record.used}" ovf:description="Active VM" ovf:disk_storage_type="IMAGE" ovf:cinder_volume_type=""'
    return f'<File ovf:href="{_path(record)}" ovf:id="{record.image_id}" {size}></File>'


def _disk(row: Snapshot, record: DiskRecord) -> str:
    attributes = _attributes("ovf:", boot=record.bootable, pass_discard=record.pass_discard, incremental_backup=False, disk_alias=record.alias)
    return (
        f'<Disk ovf:diskId="{record.image_id}" ovf:size="{record.size >> 30}" ovf:actual_size="1" ovf:vm_snapshot_id="{row.id}" '
        f'ovf:parentRef="{record.parent or ""}" ovf:fileRef="{_path(record)}" ovf:format="http://www.gnome.org/~markmc/qcow-image-format.html" '
        f'ovf:volume-format="{record.format.upper()}" ovf:volume-type="Sparse" ovf:disk-interface="{INTERFACES.get(record.interface, record.interface)}" '
        f'ovf:read-only="{str(record.read_only).lower()}" ovf:shareable="false" {attributes} ovf:disk-description="" ovf:wipe-after-delete="false"></Disk>'
    )


def _content(parts: Parts, row: Snapshot, stored: Configuration) -> str:
    settings, vm = stored.settings, parts.tables.vms.get(row.vm_id)
    created = vm.created if vm else row.date
    megabytes = settings.memory >> 20
    general = {
        "Name": settings.name,
        "Description": settings.description,
        "Comment": settings.comment,
        "CreationDate": _date(created),
        "ExportDate": _date(stored.exported),
        "DeleteProtected": settings.delete_protected,
        "SsoMethod": "guest_agent",
        "NumOfIoThreads": 1,
        "TimeZone": "Etc/GMT",
        "default_boot_sequence": 0,
        "Generation": 5,
        "ClusterCompatibilityVersion": "4.8",
        "VmType": 1,
        "ResumeBehavior": "AUTO_RESUME",
        "MinAllocatedMem": settings.memory_guaranteed >> 20,
        "IsStateless": settings.stateless,
        "IsRunAndPause": False,
        "AutoStartup": settings.high_availability,
        "Priority": 0,
        "MigrationSupport": 0,
        "BiosType": 2,
        "MaxMemorySizeMb": settings.memory_max >> 20,
        "MultiQueuesEnabled": True,
        "ClusterName": "Default",
        "TemplateId": BLANK,
        "TemplateName": "Blank",
        "IsInitilized": settings.initialization is not None,
        "Origin": 3,
        "quota_id": QUOTA,
        "DefaultDisplayType": 2,
        "StopTime": _date((vm.stopped if vm else None) or created),
    }
    cpus = settings.sockets * settings.cores * settings.threads
    cpu = {"num_of_sockets": settings.sockets, "cpu_per_socket": settings.cores, "threads_per_cpu": settings.threads, "max_num_of_vcpus": 16}
    hardware = [
        _item(Caption=f"{cpus} virtual cpu", Description="Number of virtual CPU", InstanceId=1, ResourceType=3, **cpu, VirtualQuantity=cpus),
        _item(
            Caption=f"{megabytes} MB of memory", Description="Memory Size", InstanceId=2, ResourceType=4, AllocationUnits="MegaBytes", VirtualQuantity=megabytes
        ),
        *(_disk_item(parts, record) for record in stored.disks),
        *(_nic_item(number, nic) for number, nic in enumerate(stored.nics)),
        "<Item><rasd:Caption>Graphical Controller</rasd:Caption><rasd:ResourceType>20</rasd:ResourceType><Type>video</Type><Device>vga</Device></Item>",
        "<Item><rasd:Caption>CDROM</rasd:Caption><rasd:ResourceType>15</rasd:ResourceType><Type>disk</Type><Device>cdrom</Device>"
        "<BootOrder>0</BootOrder><IsPlugged>true</IsPlugged><IsReadOnly>true</IsReadOnly></Item>",
    ]
    system = f'<Section ovf:id="{row.vm_id}" ovf:required="false" xsi:type="ovf:OperatingSystemSection_Type"><Info>Guest Operating System</Info>'
    return (
        "".join(_tag(name, value) for name, value in general.items())
        + f"{system}{_tag('Description', settings.os_type)}</Section>"
        + f'<Section xsi:type="ovf:VirtualHardwareSection_Type"><Info>{cpus} CPU, {megabytes} Memory</Info>'
        + "<System><vssd:VirtualSystemType>ENGINE 4.4.0.0</vssd:VirtualSystemType></System>"
        + "".join(hardware)
        + "</Section>"
    )


def _item(**values: object) -> str:
    return "<Item>" + "".join(_tag(f"rasd:{name}", value) for name, value in values.items()) + "</Item>"


def _device(plugged: bool, read_only: bool, alias: str, kind: str, device: str, boot_order: int) -> str:
    return (
        f"<Type>{kind}</Type><Device>{device}</Device><rasd:Address></rasd:Address><BootOrder>{boot_order}</BootOrder>"
        f"<IsPlugged>{str(plugged).lower()}</IsPlugged><IsReadOnly>{str(read_only).lower()}</IsReadOnly><Alias>{alias}</Alias>"
    )


def _disk_item(parts: Parts, record: DiskRecord) -> str:
    item = _item(
        Caption=record.alias,
        InstanceId=record.image_id,
        ResourceType=17,
        HostResource=_path(record),
        Parent=record.parent or BLANK,
        Template=BLANK,
        ApplicationList="",
        StorageId=record.domain_id,
        StoragePoolId=parts.data_center_id,
    )
    return item.replace("</Item>", _device(record.plugged, record.read_only, f"ua-{record.disk_id}", "disk", "disk", 1 if record.bootable else 0) + "</Item>")


def _nic_item(number: int, nic: Nic) -> str:
    item = _item(
        Caption=f"Ethernet adapter on {nic.name}",
        InstanceId=number + 3,
        ResourceType=10,
        OtherResourceType="",
        ResourceSubType=3,
        Connection="",
        Linked=nic.linked,
        Name=nic.name,
        ElementName=nic.name,
        MACAddress=nic.mac,
        speed=10000,
    )
    return item.replace("</Item>", _device(nic.plugged, False, f"ua-{nic.id}", "interface", "bridge", 0) + "</Item>")
