# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors of the scenarios: a libvirt of its own and the engine emulator, each with the same VMs.

python lab.py FOLDER begin                        start both, make the VMs, and write how to connect to FOLDER/on_libvirt.json and FOLDER/on_engine.json
python lab.py FOLDER end                          end both with all guests, and remove the folder; nothing when there is none
python lab.py FOLDER write HOST VM DISK=WORD ...  write to the disks, as the guest would
python lab.py FOLDER words HOST VM                say what is on them
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.roles.ground import Engine, Ground, Libvirtd

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
LIBVIRT, ENGINE = "tests.lab.daemon", "tests.emulator"
GRACE_SECONDS = 30


def begin(folder: Path) -> None:
    if any(_pid(folder, module) for module in (LIBVIRT, ENGINE)):
        sys.exit(f"a lab runs in {folder} already; end it first: molecule destroy")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o711)
    try:
        login = {"username": "admin@internal", "password": secrets.token_urlsafe(), "ca_file": str(folder / "ca.pem")}
        uri = _start(folder, LIBVIRT, str(folder))
        url = _start(folder, ENGINE, "--empty", "--speed", "1000", "--ca-out", login["ca_file"], OVIRT_PASSWORD=login["password"])
        for host, access in {"on_libvirt": {"uri": uri}, "on_engine": {"auth": {"url": url, **login}}}.items():
            with open(os.open(folder / f"{host}.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                json.dump(access, file)
            ground = _ground(folder, host)
            for name, disks in VMS.items():
                ground.make(name, **dict.fromkeys(disks, "old"))
    except BaseException:
        end(folder)
        raise


def end(folder: Path) -> None:
    for module in (LIBVIRT, ENGINE):
        if pid := _pid(folder, module):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + GRACE_SECONDS
    while left := [module for module in (LIBVIRT, ENGINE) if _pid(folder, module)]:
        if time.monotonic() > until:
            sys.exit(f"{' and '.join(left)} in {folder} did not end")
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def write(folder: Path, host: str, vm: str, *words: str) -> None:
    ground = _ground(folder, host)
    for word in words:
        ground.write(vm, *word.split("=", 1))


def words(folder: Path, host: str, vm: str) -> None:
    print(json.dumps(_ground(folder, host).words(vm)))


def _ground(folder: Path, host: str) -> Ground:
    access = json.loads((folder / f"{host}.json").read_text())
    return Libvirtd(access["uri"], folder) if "uri" in access else Engine(access["auth"])


def _start(folder: Path, module: str, *arguments: str, **environment: str) -> str:
    """Where it answers: the last word of the line that it says when it is ready."""
    said, log = folder / f"{module}.said", folder / f"{module}.log"
    with said.open("wb") as output, log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=CHECKOUT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    (folder / f"{module}.pid").write_text(str(process.pid))
    until = time.monotonic() + GRACE_SECONDS
    while not said.read_text().endswith("\n"):
        if process.poll() is not None or time.monotonic() > until:
            sys.exit(f"{module} does not start\n{log.read_text()}")
        time.sleep(0.05)
    return said.read_text().split()[-1]


def _pid(folder: Path, module: str) -> int | None:
    """None when it is gone or waits to be reaped."""
    try:
        pid = int((folder / f"{module}.pid").read_text())
        return pid if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() else None
    except OSError:
        return None


if __name__ == "__main__":
    {"begin": begin, "end": end, "write": write, "words": words}[sys.argv[2]](Path(sys.argv[1]), *sys.argv[3:])
