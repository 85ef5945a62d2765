# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt of the scenarios, and their VMs.

python lab.py begin FOLDER    start a libvirt of its own, make the VMs, and write its URI to FOLDER/uri
python lab.py end FOLDER      end it with all guests, and remove the folder; nothing when there is none
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import libvirt

from tests.lab import vm
from tests.lab.daemon import answers, mode

VMS = {
    "vm_start": ("os",),
    "snapshot_profile": ("os", "data"),
    "upgrade_guard": ("os", "data"),
    "disk_rollback": ("os", "data"),
    "restore_drill": ("os", "data"),
    "baseline_reset": ("os",),
    "group_web": ("os",),
    "group_db": ("os", "data"),
    "snapshot_janitor": ("os",),
}
GRACE_SECONDS = 30


def begin(folder: Path) -> None:
    socket = folder / "run" / "libvirt" / "libvirt-sock"
    if answers(socket):
        sys.exit(f"a libvirt runs in {folder} already; end it first")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o711)
    with (folder / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.daemon", str(folder)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / "keeper.pid").write_text(str(keeper.pid))
    until = time.monotonic() + GRACE_SECONDS
    while not answers(socket):
        if keeper.poll() is not None or time.monotonic() > until:
            end(folder, keep=True)
            sys.exit(f"libvirtd does not start, see {folder}")
        time.sleep(0.05)
    uri = f"qemu:///{mode()}?socket={socket}"
    conn = libvirt.open(uri)
    for name, disks in VMS.items():
        vm.make(conn, folder, name, disks, boot="halt")
    (folder / "uri").write_text(uri)


def end(folder: Path, keep: bool = False) -> None:
    if (folder / "keeper.pid").exists():
        pid = int((folder / "keeper.pid").read_text())
        if b"tests.lab.daemon" in _command(pid):
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while b"tests.lab.daemon" in _command(pid) and time.monotonic() < until:
            time.sleep(0.05)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


def _command(pid: int) -> bytes:
    """The command line of a process; empty when it is gone or waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    {"begin": begin, "end": end}[sys.argv[1]](Path(sys.argv[2]))
