# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors under the playbooks, seen past this collection: a libvirt of its own, and the engine emulator.

    python -m tests.roles.ground ACCESS write VM DISK=WORD ...
    python -m tests.roles.ground ACCESS stop VM

stands for what happens to a VM meanwhile. ACCESS is the connection as the modules take it, in JSON.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import libvirt

from tests.lab import content
from tests.lab import vm as vms

OFFSET, LENGTH = 1 << 20, 512
BLOCK = "word"
GRACE_SECONDS = 60


class Ground(Protocol):
    """A hypervisor with VMs, each disk of which holds a word."""

    access: Mapping[str, Any]

    def make(self, name: str, **words: str) -> None:
        """A VM with a disk for each word, down. It boots from the first one."""

    def write(self, name: str, disk: str, word: str) -> bool:
        """Is it another word than before?"""

    def words(self, name: str) -> dict[str, str]:
        """What the disks hold now, as the guest sees them."""

    def start(self, name: str) -> None:
        """Boot it."""

    def stop(self, name: str) -> None:
        """Pull the plug."""

    def runs(self, name: str) -> bool:
        """Is it on?"""

    def memory(self, name: str, mebibytes: int | None = None) -> int:
        """The memory of the configuration; set it first, when a number is given."""

    def foreign_snapshot(self, name: str, snapshot: str) -> None:
        """One that somebody else takes."""


class Libvirtd:
    """A private libvirt, with its images in a folder."""

    def __init__(self, uri: str, folder: Path | None = None) -> None:
        self.access = {"uri": uri}
        self.conn = libvirt.open(uri)
        self.folder = folder or Path()
        self.known: dict[str, vms.Vm] = {}

    def make(self, name: str, **words: str) -> None:
        self.known[name] = vms.make(self.conn, self.folder, name, tuple(words), boot="halt", pool=not self.known)
        for disk, word in words.items():
            self.write(name, disk, word)

    def _images(self, name: str) -> dict[str, str]:
        root = ET.fromstring(self.conn.lookupByName(name).XMLDesc())
        return {disk.findtext("serial") or "": disk.find("source").get("file") for disk in root.iterfind("devices/disk")}  # type: ignore[union-attr,misc]

    def write(self, name: str, disk: str, word: str) -> bool:
        image, new = self._images(name)[disk], word.encode().ljust(LENGTH, b"\0")
        if content.peek(image, OFFSET, LENGTH) == new:
            return False
        content.put(image, OFFSET, new)
        return True

    def words(self, name: str) -> dict[str, str]:
        return {disk: content.peek(image, OFFSET, LENGTH).rstrip(b"\0").decode() for disk, image in self._images(name).items()}

    def start(self, name: str) -> None:
        self.conn.lookupByName(name).create()

    def stop(self, name: str) -> None:
        self.conn.lookupByName(name).destroy()

    def runs(self, name: str) -> bool:
        return bool(self.conn.lookupByName(name).isActive())

    def memory(self, name: str, mebibytes: int | None = None) -> int:
        root = ET.fromstring(self.conn.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        if mebibytes:
            for element in root.findall("memory") + root.findall("currentMemory"):
                element.text = str(mebibytes * 1024)
            self.conn.defineXML(ET.tostring(root, encoding="unicode"))
        return int(root.findtext("memory") or 0) // 1024

    def foreign_snapshot(self, name: str, snapshot: str) -> None:
        self.known[name].snapshot(snapshot)


class Engine:
    """The engine emulator: its REST API, and the interface by which it is steered."""

    def __init__(self, auth: Mapping[str, str]) -> None:
        self.access = {"auth": dict(auth)}
        self._url = auth["url"].rstrip("/")
        self._trust = ssl.create_default_context(cafile=auth["ca_file"])
        self._login = base64.b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()

    def _ask(self, method: str, url: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Basic {self._login}", "Accept": "application/json", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), context=self._trust) as answer:
            return json.loads(answer.read() or b"{}")

    def _steer(self, operation: str, **arguments: Any) -> Any:
        root = self._url[: self._url.index("/", len("https://"))]
        return self._ask("POST", f"{root}/_emulator/{operation}", arguments)["result"]

    def _id(self, name: str) -> str:
        (found,) = [vm["id"] for vm in self._ask("GET", f"{self._url}/vms")["vm"] if vm["name"] == name]
        return str(found)

    def _vm(self, name: str, below: str = "") -> Any:
        return self._ask("GET", f"{self._url}/vms/{self._id(name)}{below}")

    def _disks(self, name: str) -> dict[str, str]:
        found = self._vm(name, "/diskattachments?follow=disk")["disk_attachment"]
        return {each["disk"]["alias"]: each["disk"]["id"] for each in found if str(each["active"]).lower() == "true"}

    def make(self, name: str, **words: str) -> None:
        self._steer("make_vm", name=name, disks=list(words))
        for disk, word in words.items():
            self.write(name, disk, word)

    def write(self, name: str, disk: str, word: str) -> bool:
        disk_id = self._disks(name)[disk]
        if self._steer("disk_content", disk=disk_id).get(BLOCK) == word:
            return False
        # Nobody else than a guest writes into an engine's images.
        was_down = not self.runs(name)
        if was_down:
            self.start(name)
        self._steer("write", disk=disk_id, block=BLOCK, token=word)
        if was_down:
            self.stop(name)
        return True

    def words(self, name: str) -> dict[str, str]:
        return {alias: self._steer("disk_content", disk=disk_id).get(BLOCK, "") for alias, disk_id in self._disks(name).items()}

    def _power(self, name: str, action: str, status: str) -> None:
        self._ask("POST", f"{self._url}/vms/{self._id(name)}/{action}", {})
        end = time.monotonic() + GRACE_SECONDS
        while self._vm(name)["status"] != status:
            if time.monotonic() > end:
                raise TimeoutError(f"{name} is not {status} after {GRACE_SECONDS} s")
            time.sleep(0.01)

    def start(self, name: str) -> None:
        self._power(name, "start", "up")

    def stop(self, name: str) -> None:
        self._power(name, "stop", "down")

    def runs(self, name: str) -> bool:
        return bool(self._vm(name)["status"] != "down")

    def memory(self, name: str, mebibytes: int | None = None) -> int:
        if mebibytes:
            self._ask("PUT", f"{self._url}/vms/{self._id(name)}", {"memory": mebibytes << 20, "memory_policy": {"guaranteed": mebibytes << 20}})
        return int(self._vm(name)["memory"]) >> 20

    def foreign_snapshot(self, name: str, snapshot: str) -> None:
        self._steer("snapshot", vm=self._id(name), description=snapshot)


def main(access: str, verb: str, name: str, *words: str) -> None:
    given = json.loads(access)
    ground: Ground = Libvirtd(given["uri"]) if "uri" in given else Engine(given["auth"])
    if verb == "stop":
        ground.stop(name)
    else:
        changed = [ground.write(name, *word.split("=", 1)) for word in words]
        print("changed" if True in changed else "the same")


if __name__ == "__main__":
    main(*sys.argv[1:])
