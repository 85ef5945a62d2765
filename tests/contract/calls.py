# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call that this process makes to libvirt, by the name it has in libvirt's C API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import libvirt
import libvirt_qemu

READS = frozenset(
    {
        "virConnectClose",
        "virConnectGetLibVersion",
        "virConnectListAllDomains",
        "virConnectListAllStoragePools",
        "virConnectOpen",
        "virDomainCheckpointGetName",
        "virDomainGetBlockInfo",
        "virDomainGetName",
        "virDomainGetState",
        "virDomainGetUUIDString",
        "virDomainGetXMLDesc",
        "virDomainHasManagedSaveImage",
        "virDomainIsActive",
        "virDomainIsPersistent",
        "virDomainListAllCheckpoints",
        "virDomainListAllSnapshots",
        "virDomainLookupByName",
        "virDomainLookupByUUIDString",
        "virDomainSnapshotGetName",
        "virDomainSnapshotGetXMLDesc",
        "virSecretGetXMLDesc",
        "virSecretLookupByUsage",
        "virStoragePoolGetName",
        "virStoragePoolGetUUIDString",
        "virStoragePoolListAllVolumes",
        "virStoragePoolLookupByTargetPath",
        # Writes nothing: libvirtd reads the folder of the pool anew. Without it libvirt knows no file that QEMU made or others removed.
        "virStoragePoolRefresh",
        "virStorageVolGetXMLDesc",
        "virStorageVolLookupByPath",
    }
)
"""All that a module may call in check mode, and in ``snapshot_info``. None of these changes a VM, a file, or anything that libvirt keeps."""

_ON_THIS_SIDE = ("virGetLastError", "virDomainFree", "virConnectUnregister", "virEvent", "virRegisterErrorHandler", "virGetConnect")
"""What libvirt-python calls for its own objects."""


class _Recorder:
    """Stands in for the C module under libvirt-python: passes everything on, and notes each function that is called."""

    def __init__(self, real: Any, made: list[str]) -> None:
        self._real = real
        self._made = made

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not name.startswith("vir") or name.startswith(_ON_THIS_SIDE) or name.endswith("Free"):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._made.append(name)
            return found(*arguments, **named)

        return call


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The names of the calls, in order, that are made while the context is open."""
    made: list[str] = []
    inner, qemu = libvirt.libvirtmod, libvirt_qemu.libvirtmod_qemu
    libvirt.libvirtmod, libvirt_qemu.libvirtmod_qemu = _Recorder(inner, made), _Recorder(qemu, made)
    try:
        yield made
    finally:
        libvirt.libvirtmod, libvirt_qemu.libvirtmod_qemu = inner, qemu
