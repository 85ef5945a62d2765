# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM of the demonstration, and what happens to it besides snapshots. LIBVIRT_DEFAULT_URI says on which libvirt.

    python demo/guest.py make FOLDER            define the VM app01 with its images in FOLDER, and boot it
    python demo/guest.py write os="version 2"   give disks a new content; a running guest is shut down for it and booted again
    python demo/guest.py boot                   boot, and say what the guest found on its disks
    python demo/guest.py look os="version 2"    say what the images of the disks hold; an error when one holds something else than given

On each disk is a line of text, which stands for what a real disk would hold. The guest is a small program in the boot sector of the OS
disk: eighteen times in a second it writes a number, one higher each time, to each disk. These rounds tell when a disk was last written to.
"""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(CHECKOUT))

import libvirt

from tests.lab import content, guest, vm

NAME = "app01"
FIRST = {"os": "version 1", "data": "orders until Monday", "logs": "log until Monday"}
TEXT_OFFSET, TEXT_LENGTH = 1 << 20, 512


def make(conn: libvirt.virConnect, folder: str) -> None:
    Path(folder).mkdir(mode=0o711, exist_ok=True)
    app = vm.make(conn, folder, NAME, tuple(FIRST), pool=True)
    for disk in app.disks:
        put(app, disk.name, FIRST[disk.name])
    app.start()


def existing(conn: libvirt.virConnect) -> vm.Vm:
    """The handle of the VM as it is now: a preview may have changed its disks."""
    app = vm.Vm(conn, "", NAME)
    for disk in ET.fromstring(app.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).iterfind("devices/disk"):
        app.disks.append(vm.Disk(disk.findtext("serial"), target=disk.find("target").get("dev")))
    app.folder = next(iter(app.images().values())).parent
    app.boot = "tape"
    return app


def put(app: vm.Vm, name: str, text: str) -> None:
    image = app.image(name)
    content.put(image, TEXT_OFFSET, text.encode().ljust(TEXT_LENGTH, b"\0"))
    if name == "os":  # the boot sector shows one letter when it boots
        guest.write_boot_sector(image, version=text[-1])


def write(app: vm.Vm, texts: list[str]) -> None:
    running = app.active
    if running:
        app.shutdown()
    for name, _mark, text in (argument.partition("=") for argument in texts):
        put(app, name, text)
    if running:
        boot(app)


def boot(app: vm.Vm) -> None:
    start = guest.size(app.serial)
    app.start()
    version, rounds = guest.wait_for(app.serial, guest.BOOT, start=start).groups()
    found = ", ".join(f"{int(number, 16)} on {disk.name}" for disk, number in zip(app.disks, rounds.split()))
    app.wait_rounds()
    print(f"The guest has booted. It says: I am version {version}, and I found the rounds {found}.")


def look(app: vm.Vm, expected: list[str]) -> None:
    texts = {}
    print(f"{'disk':<6}{'what it holds':<28}{'last round':>10}   image file")
    for disk, rounds in zip(app.disks, app.counters()):
        image = app.image(disk.name)
        texts[disk.name] = content.peek(image, TEXT_OFFSET, TEXT_LENGTH).rstrip(b"\0").decode()
        print(f"{disk.name:<6}{texts[disk.name]:<28}{rounds:>10}   {image.name}")
    wrong = [name for name, _mark, text in (argument.partition("=") for argument in expected) if texts[name] != text]
    if wrong:
        sys.exit(f"This is not what was expected on: {', '.join(wrong)}")


def main(verb: str, *arguments: str) -> None:
    conn = libvirt.open(os.environ["LIBVIRT_DEFAULT_URI"])
    if verb == "make":
        make(conn, *arguments)
    elif verb == "write":
        write(existing(conn), list(arguments))
    elif verb == "boot":
        boot(existing(conn))
    elif verb == "look":
        look(existing(conn), list(arguments))
    else:
        sys.exit(f"{verb} is not one of: make, write, boot, look")


if __name__ == "__main__":
    main(*sys.argv[1:])
