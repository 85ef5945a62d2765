# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tape guest: a guest in one boot sector which writes down, on disks and in memory, what moment it is. See tape.S.

Up in half a second with 2 MiB of memory and without KVM; shuts down by the power button.
"""

from __future__ import annotations

import base64
import os
import re
import time
from pathlib import Path

from tests.lab import content

# tape.S, assembled, without the zero bytes before its last two words. To make it again after a change of tape.S:
#   as --32 -o tape.o tape.S && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o tape.bin tape.o
#   python3 -c 'import base64, textwrap; print(*textwrap.wrap(base64.b64encode(open("tape.bin", "rb").read()[:508].rstrip(bytes(1))).decode(), 120), sep="\n")'
TAPE = base64.b64decode(
    """
    +mYxwI7YjsCO0LwAfPv8ZqMAfroCBrgAAe++gH3oPAEx2+jqAGYxwL8AgGaBPVRBUEV1CmY7RQRzBGaLRQSBxwACgf8AiHLj6OIAZjsGAH52BGajAH5DOh51
    BHLF6AYBZqEAfmajBH5m/wYAfjHb6J0AZqEAfmaD6AJmOwYEfn4wiceD5wPB5wlmi40EgGY5wXQeZlBmUb6Pfei/AIjYBDDoxABmWOiEAGZY6H8A6LUAZqEA
    fr8AgGbHBVRBUEVmiUUEg8cI6HwAxgUKiceD5wNHuAFDuQEA6D0AQzoedQRyjboABu2pAAF1CosO/H304v3pc/++m33oYQBmoQB+6CsA6GEAugQGuAAg7/Tr
    5rgAQrkEAL8BAIkOcn2JPnh9iNqAwoC+cH1TzRNbw78QfsYFIEfoDgDGBQC+EH5mUOgaAGZYw7kIAGbBwARQJA88CnICBCcEMKpY4u3DrITAdAvoBADr9rAK
    uvgD7sONdAAQAAAAAIAAAAAAAAAAAAAACnRhcGUgYm9vdCB2PTEAdGFwZSBzdGFsZSAAdGFwZSBvZmY=
    """
)
HALT = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp to the hlt: a running guest that costs nothing
SECTOR = 512
RING = 4
MAGIC = b"TAPE"

BOOT = r"tape boot v=(.)((?: [0-9a-f]{8})+)\n"
STALE = r"tape stale (\d) ([0-9a-f]{8}) ([0-9a-f]{8})\n"
OFF = r"tape off ([0-9a-f]{8})\n"


def boot_sector(version: str = "1", ticks: int = 1) -> bytes:
    """The sector; `version` is a letter shown at boot, `ticks` the pause between two rounds in units of 55 ms."""
    code = TAPE.replace(b"v=1", b"v=" + version.encode("ascii"))
    if len(version) != 1:
        raise ValueError("the version is one letter")
    return code.ljust(508, b"\0") + ticks.to_bytes(2, "little") + b"\x55\xaa"


def write_boot_sector(image: str | os.PathLike, version: str = "1", ticks: int = 1) -> None:
    """Make this disk boot the tape guest."""
    content.put(image, 0, boot_sector(version, ticks))


def write_halt(image: str | os.PathLike) -> None:
    """Make this disk boot into a halted processor."""
    content.put(image, 0, HALT.ljust(510, b"\0") + b"\x55\xaa")


def counter(image: str | os.PathLike) -> int:
    """The last round this disk has seen; 0 when none."""
    ring = content.peek(image, SECTOR, RING * SECTOR)
    rounds = [0]
    for start in range(0, RING * SECTOR, SECTOR):
        if ring[start : start + 4] == MAGIC:
            rounds.append(int.from_bytes(ring[start + 4 : start + 8], "little"))
    return max(rounds)


def counters(*images: str | os.PathLike) -> list[int]:
    return [counter(image) for image in images]


def consistent(rounds: list[int]) -> bool:
    """Can these rounds, one per disk in the order of the disks, be of one and the same instant?"""
    return rounds == sorted(rounds, reverse=True) and rounds[-1] >= rounds[0] - 1


def boots(serial_log: str | os.PathLike) -> list[list[int]]:
    """For every boot in the log, which round each disk had seen."""
    return [[int(number, 16) for number in numbers.split()] for _version, numbers in re.findall(BOOT, _text(serial_log))]


def stale(serial_log: str | os.PathLike, start: int = 0) -> list[tuple[int, int, int]]:
    """Where the guest found a disk that is not of its memory's moment: (disk, round on the disk, round in memory)."""
    return [(int(disk), int(found, 16), int(known, 16)) for disk, found, known in re.findall(STALE, _text(serial_log)[start:])]


def size(serial_log: str | os.PathLike) -> int:
    """How long the log is now: a `start` for looking only at what comes later."""
    return len(_text(serial_log))


def wait_for(serial_log: str | os.PathLike, regex: str, timeout: float = 30, start: int = 0) -> re.Match:
    """Wait until the log, from character `start` on, matches."""
    end = time.monotonic() + timeout
    while not (match := re.search(regex, _text(serial_log)[start:])):
        if time.monotonic() > end:
            raise TimeoutError(f"{regex!r} did not come within {timeout} s in {serial_log}:\n{_text(serial_log)[start:][-2000:]}")
        time.sleep(0.01)
    return match


def _text(serial_log: str | os.PathLike) -> str:
    try:
        return Path(serial_log).read_bytes().decode("ascii", "replace").replace("\r", "")
    except FileNotFoundError:
        return ""
