# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backend serves a task: what is given decides. SDKs are imported only by the backend that is chosen."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from .._engine.errors import Refused
from .._engine.port import Hypervisor

ENGINE = ("OVIRT_URL", "OVIRT_HOSTNAME", "OVIRT_INI_PATH")
LIBVIRT_URI = "LIBVIRT_DEFAULT_URI"
"""Environment variables that say by themselves where to connect to."""


def connect(params: Mapping[str, Any], users: bool, patient: bool = True) -> Hypervisor:
    """Open the connection that the options ask for.

    ``users``: it must be known who else uses the VMs' images. ``patient``: wait for what the hypervisor is at, instead of showing it.
    Raises Refused for options that decide nothing, BackendFailed when it cannot be opened.
    """
    if chosen(params) == "ovirt":
        from .ovirt.connection import Ovirt
        from .ovirt.login import login

        names_storage = not patient or "storage" in json.dumps([params.get("disks"), params.get("exclude")])
        return Ovirt(login(params.get("auth"), os.environ), params["timeout"], params["poll_interval"], patient, names_storage)
    from .libvirt.connection import Libvirt

    uri = params.get("uri") or os.environ.get(LIBVIRT_URI) or "qemu:///system"
    return Libvirt(uri, params["timeout"], params["poll_interval"], users, bool(params.get("together")))


def chosen(params: Mapping[str, Any]) -> str:
    """ovirt or libvirt. Raises Refused when that is not clear."""
    backend, auth, uri = params.get("backend") or "auto", params.get("auth"), params.get("uri")
    if backend == "libvirt" and auth:
        raise Refused("backend is libvirt, but auth is for an oVirt engine", "backend_unclear", "give uri, or leave auth out")
    if backend == "ovirt" and uri:
        raise Refused("backend is ovirt, but uri is for libvirt", "backend_unclear", "give auth, or leave uri out")
    if backend != "auto":
        return str(backend)
    if auth or uri:
        return "ovirt" if auth else "libvirt"
    engine = [name for name in ENGINE if os.environ.get(name)]
    if engine and os.environ.get(LIBVIRT_URI):
        raise Refused(
            f"the environment names an oVirt engine ({engine[0]}) and a libvirt host ({LIBVIRT_URI})", "backend_unclear", "set backend, or give auth or uri"
        )
    return "ovirt" if engine else "libvirt"
