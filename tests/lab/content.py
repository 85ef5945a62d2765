# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a disk image, seen as the guest sees it: through its backing files, also while QEMU has it open."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

QCOW2 = b"QFI\xfb"


class ContentError(Exception):
    """A tool could not do to an image what was asked."""


def create(image: str | os.PathLike, size: str | int = "8M", fmt: str = "qcow2", backing: str | os.PathLike | None = None) -> Path:
    """A new empty image, or an overlay which gets its size from `backing`."""
    arguments = ["create", "-q", "-f", fmt]
    if backing is None:
        _tool("qemu-img", *arguments, image, size)
    else:
        _tool("qemu-img", *arguments, "-b", backing, "-F", format_of(backing), image)
    return Path(image)


def write(image: str | os.PathLike, offset: int, pattern: int, length: int) -> None:
    """Fill a range with one byte value, in a stopped image: QEMU's lock refuses it otherwise."""
    _io(image, f"write -P {pattern:#x} {offset} {length}")


def put(image: str | os.PathLike, offset: int, data: bytes) -> None:
    """Store these bytes, in a stopped image."""
    with tempfile.NamedTemporaryFile() as source:
        source.write(data)
        source.flush()
        _io(image, f"write -s {source.name} {offset} {len(data)}")


def peek(image: str | os.PathLike, offset: int, length: int) -> bytes:
    """A range of the disk."""
    output = _io(image, f"read -v {offset} {length}", writable=False)
    dump = re.findall(r"^[0-9a-f]+: +((?:[0-9a-f]{2} ){1,16})", output, re.MULTILINE)
    data = bytes.fromhex("".join(dump))
    if len(data) != length:
        raise ContentError(f"{image}: {length} bytes wanted from {offset}, {len(data)} read: {output[:300]}")
    return data


def read(image: str | os.PathLike) -> bytes:
    """The whole disk. For small disks."""
    with tempfile.TemporaryDirectory() as folder:
        return _raw(image, folder).read_bytes()


def digest(image: str | os.PathLike) -> str:
    """SHA-256 of the whole disk: equal for equal contents, whatever the formats and chains."""
    result = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder, _raw(image, folder).open("rb") as raw:
        while block := raw.read(1 << 20):
            result.update(block)
    return result.hexdigest()


def chain(image: str | os.PathLike) -> list[str]:
    """The image and its backing files, top first, as the headers of the images have it."""
    return [layer["filename"] for layer in json.loads(_tool("qemu-img", "info", "-U", "--backing-chain", "--output=json", image))]


def info(image: str | os.PathLike) -> dict:
    """What qemu-img says about this one image: format, virtual-size, backing-filename, backing-filename-format, ..."""
    return json.loads(_tool("qemu-img", "info", "-U", "--output=json", image))


def check(image: str | os.PathLike) -> dict[str, int]:
    """The defects in the image's own structure: nothing at all when it is sound. Raw images have no structure."""
    if format_of(image) == "raw":
        return {}
    # status 2: corrupt, 3: leaks; both come with the report
    report = json.loads(_tool("qemu-img", "check", "-U", "--output=json", image, accept=(0, 2, 3)))
    return {kind: report[kind] for kind in ("corruptions", "leaks", "check-errors") if report.get(kind)}


def format_of(image: str | os.PathLike) -> str:
    with Path(image).open("rb") as file:
        return "qcow2" if file.read(4) == QCOW2 else "raw"


def write_running(dom, target: str, offset: int, pattern: int, length: int) -> None:
    """Fill a range of a disk of a running or paused guest, as if the guest had written and flushed it. Taints the domain.

    The disk is looked up by its device, because the names of QEMU's block nodes change with every snapshot. The monitor does not
    return qemu-io's errors: read the image to be sure.
    """
    import libvirt_qemu  # content of images can be seen without libvirt-python

    disk = next((d for d in ET.fromstring(dom.XMLDesc()).iterfind("devices/disk") if d.find("target").get("dev") == target), None)
    if disk is None or disk.find("alias") is None:
        raise ContentError(f"{dom.name()} has no disk {target} in a running guest")
    alias = disk.find("alias").get("name")
    blocks = json.loads(libvirt_qemu.qemuMonitorCommand(dom, '{"execute": "query-block"}', 0))["return"]
    device = next((b["qdev"] for b in blocks if alias in b.get("qdev", "").split("/")), None)
    if device is None:
        raise ContentError(f"QEMU knows no device {alias}: {[b.get('qdev') for b in blocks]}")
    for command in (f"write -P {pattern:#x} {offset} {length}", "flush"):
        answer = libvirt_qemu.qemuMonitorCommand(dom, f'qemu-io -d {device} "{command}"', libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
        if answer.strip():
            raise ContentError(answer.strip())


def _raw(image: str | os.PathLike, folder: str) -> Path:
    raw = Path(folder, "raw")
    _tool("qemu-img", "convert", "-U", "-f", format_of(image), "-O", "raw", image, raw)
    return raw


def _io(image: str | os.PathLike, command: str, writable: bool = True) -> str:
    # qemu-io ends with 0 even for a failed read, so look at what it says
    output = _tool("qemu-io", *([] if writable else ["-U", "-r"]), "-f", format_of(image), "-c", command, image)
    if "failed" in output or "error" in output.lower():
        raise ContentError(f"{image}: {command}: {output.strip()}")
    return output


def _tool(*arguments: str | int | os.PathLike, accept: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, check=False)
    if done.returncode not in accept:
        raise ContentError(f"{' '.join(map(str, arguments))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
