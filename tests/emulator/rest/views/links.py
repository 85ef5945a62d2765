# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses. They begin with the interface's path, whatever the client's address was."""

from __future__ import annotations

from tests.emulator.rest.formats import Tree

API = "/ovirt-engine/api"

DISK_PROFILE = "7abefc42-b84c-4805-9c8f-8d0aa0b9baea"
CPU_PROFILE = "58ca604e-01a7-003f-01de-000000000250"
QUOTA = "b74d3b28-e70d-11f1-9ea1-02fc00000001"
LARGE_ICON = "4d8f9b29-cb49-48b1-9b4b-ab5d8344d449"
SMALL_ICON = "775c208b-3dc4-4aa6-a020-31059cc44a97"
HOST = "aface281-b5e3-44a2-9f18-ba78711fa301"
MAC_POOL = "58ca604b-017d-0374-0220-00000000014e"


def reference(collection: str, object_id: str) -> Tree:
    return {"href": f"{API}/{collection}/{object_id}", "id": object_id}


def links(base: str, *names: str) -> list[Tree]:
    return [{"href": f"{base}/{name}", "rel": name} for name in names]


def actions(base: str, *names: str) -> Tree:
    return {"link": links(base, *names)}
