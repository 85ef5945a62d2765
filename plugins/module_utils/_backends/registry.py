# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backend serves a task: what is given decides. SDKs are imported only by the backend that is chosen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .._engine.errors import Refused
from .._engine.port import Hypervisor


def connect(params: Mapping[str, Any], users: bool) -> Hypervisor:
    """Open the connection that the options ask for.

    ``users``: it must be known who else uses the VMs' images. Raises Refused for options that decide nothing, BackendFailed when it
    cannot be opened.
    """
    if _chosen(params) == "ovirt":
        raise Refused("there is no oVirt backend yet", "no_ovirt_backend", "use uri with a libvirt host; the oVirt backend comes in a later release")
    from .libvirt.connection import Libvirt

    uri = params.get("uri") or os.environ.get("LIBVIRT_DEFAULT_URI") or "qemu:///system"
    return Libvirt(uri, params["timeout"], params["poll_interval"], users)


def _chosen(params: Mapping[str, Any]) -> str:
    backend, auth, uri = params.get("backend") or "auto", params.get("auth"), params.get("uri")
    if backend == "libvirt" and auth:
        raise Refused("backend is libvirt, but auth is for an oVirt engine", "backend_unclear", "give uri, or leave auth out")
    if backend == "ovirt" and uri:
        raise Refused("backend is ovirt, but uri is for libvirt", "backend_unclear", "give auth, or leave uri out")
    if backend != "auto":
        return str(backend)
    return "ovirt" if auth else "libvirt"
