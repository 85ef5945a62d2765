# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain client for the emulator's own tests: what is sent and what comes back, without an SDK between."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from tests.emulator.control import Emulator

NO_DISK = "<disk_attachments><disk_attachment/></disk_attachments>"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.text)

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def detail(self) -> str:
        return self.xml.findtext(".//detail") or ""

    @property
    def id(self) -> str:
        return self.xml.get("id") or ""

    def texts(self, path: str) -> list[str]:
        return [element.text or "" for element in self.xml.findall(path)]


class Client:
    def __init__(self, emulator: Emulator, username: str = "", password: str = "") -> None:
        self.emulator = emulator
        where = urlsplit(emulator.url)
        self.prefix = where.path
        self.login = f"{username or emulator.username}:{password or emulator.password}"
        self.context = ssl.create_default_context(cafile=emulator.ca)
        self.host, self.port = where.hostname or "", where.port
        self.connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=self.context)

    def ask(self, method: str, path: str, body: str | None = None, **headers: str | None) -> Reply:
        """Headers as keywords: ``correlation_id="x"``; None leaves out a usual one."""
        usual: dict[str, str | None] = {"Authorization": "Basic " + base64.b64encode(self.login.encode()).decode(), "Accept": "application/xml"}
        if body is not None:
            usual["Content-Type"] = "application/xml"
        usual.update({key.replace("_", "-").title(): value for key, value in headers.items()})
        sent = {key: value for key, value in usual.items() if value is not None}
        target = path if path.startswith("/ovirt-engine") else self.prefix + path
        try:
            self.connection.request(method, target, None if body is None else body.encode(), sent)
            answer = self.connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read().decode())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise

    def get(self, path: str, **headers: str | None) -> Reply:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: str = "<action/>", **headers: str | None) -> Reply:
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: str) -> Reply:
        return self.ask("PUT", path, body)

    def delete(self, path: str, **headers: str | None) -> Reply:
        return self.ask("DELETE", path, **headers)

    # Requests that many tests send
    def create(self, vm: str, description: str = "s", disks: Iterable[str] | None = None, memory: bool = False, **headers: str | None) -> Reply:
        chosen = "" if disks is None else "".join(f'<disk_attachment><disk id="{disk}"/></disk_attachment>' for disk in disks) or "<disk_attachment/>"
        which = f"<disk_attachments>{chosen}</disk_attachments>" if chosen else ""
        state = f"<persist_memorystate>{str(memory).lower()}</persist_memorystate>"
        return self.post(f"/vms/{vm}/snapshots", f"<snapshot><description>{description}</description>{state}{which}</snapshot>", **headers)

    def preview(self, vm: str, source: str, picks: dict[str, str] | None = None, memory: bool = False, more: str = "", **headers: str | None) -> Reply:
        listed = "".join(f'<disk id="{disk}"><image_id>{image}</image_id></disk>' for disk, image in (picks or {}).items())
        disks = f"<disks>{listed}</disks>" if picks else ""
        body = f'<action><restore_memory>{str(memory).lower()}</restore_memory><snapshot id="{source}"/>{disks}{more}</action>'
        return self.post(f"/vms/{vm}/previewsnapshot", body, **headers)

    def commit(self, vm: str, **headers: str | None) -> Reply:
        return self.post(f"/vms/{vm}/commitsnapshot", "<action/>", **headers)

    def undo(self, vm: str, **headers: str | None) -> Reply:
        return self.post(f"/vms/{vm}/undosnapshot", "<action/>", **headers)

    # What tests look at
    def status(self, vm: str) -> str:
        return self.get(f"/vms/{vm}").xml.findtext("status") or ""

    def rows(self, vm: str) -> list[tuple[str, str, str]]:
        """Type, description, status in the order of the listing."""
        found = self.get(f"/vms?search=id%3D{vm}&follow=snapshots").xml.findall("vm/snapshots/snapshot")
        return [(row.findtext("snapshot_type") or "", row.findtext("description") or "", row.findtext("snapshot_status") or "") for row in found]

    def row(self, vm: str, kind: str) -> str:
        found = self.get(f"/vms?search=id%3D{vm}&follow=snapshots").xml.findall("vm/snapshots/snapshot")
        return next(row.get("id") or "" for row in found if row.findtext("snapshot_type") == kind)

    def active(self, vm: str) -> str:
        return self.row(vm, "active")

    def images(self, vm: str) -> dict[str, str]:
        """The current image of each attached disk, by its alias."""
        disks = self.get(f"/vms/{vm}?follow=disk_attachments.disk").xml.findall("disk_attachments/disk_attachment/disk")
        return {disk.findtext("alias") or "": disk.findtext("image_id") or "" for disk in disks}

    def snapshot_disks(self, vm: str, snapshot: str) -> dict[str, tuple[str, str]]:
        """Image and status by alias."""
        disks = self.get(f"/vms/{vm}/snapshots/{snapshot}/disks").xml.findall("disk")
        return {disk.findtext("alias") or "": (disk.findtext("image_id") or "", disk.findtext("status") or "") for disk in disks}

    def jobs(self, correlation_id: str) -> list[str]:
        return self.get(f"/jobs?search=correlation_id%3D{correlation_id}").texts("job/status")

    def events(self, correlation_id: str) -> list[int]:
        """Codes, the oldest first."""
        found = self.get(f"/events?search=correlation_id%3D{quote(correlation_id)}").texts("event/code")
        return [int(code) for code in reversed(found)]
