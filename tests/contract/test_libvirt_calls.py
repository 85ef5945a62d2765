# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reaches libvirt, and what else: nothing but reads in check mode, no more calls than the VM has parts, and no file beside libvirt."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends import registry
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from tests.contract import calls
from tests.contract.verbs import EXCLUDED, check, commit, composition, create, preview, remove, restore, run, undo

WORK = {
    "create": create("s9"),
    "create with memory": create("s9", memory=True),
    "create of the configuration": create("s9", disks=[]),
    "create instead": create("s1", disks=["os"], on_conflict="replace"),
    "preview": preview("s1", if_running="poweroff"),
    "preview without a disk": preview(disks={"os": "s1", "data": EXCLUDED}, if_running="poweroff"),
    "restore": restore("s1", if_running="poweroff"),
    "remove": remove("s1"),
    "remove of a disk": remove("s1", ["os"]),
}


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("name", WORK)
def test_check_mode_only_reads(lab, name, pool):
    machine = lab("os", "data", pool=pool)
    machine.write_all(1, 10)
    run(machine, create("s1"))
    machine.start()
    before, files = machine.state(), machine.files()
    with calls.recorded() as made:
        foreseen = converge(machine.connect(), WORK[name].decide, True)
    assert foreseen.changed
    assert "virDomainGetXMLDesc" in made
    assert set(made) <= calls.READS
    assert machine.state() == before
    assert machine.files() == files
    with calls.recorded() as made:
        converge(machine.connect(), WORK[name].decide, False)
    assert set(made) - calls.READS, "the recorder sees nothing"
    assert not [name for name in made if name.endswith("ListNames")]  # these can take libvirtd 9.0 down


@pytest.mark.parametrize("verb", [undo(), commit(), commit(composition("s1"), expect_preview=True), preview(disks={"os": "s1"}, if_previewing="undo")])
def test_check_mode_in_a_preview_only_reads(lab, verb):
    machine = lab("os", "data")
    run(machine, create("s1"))
    run(machine, preview("s1"))
    before, files = machine.state(), machine.files()
    assert check(machine, verb).changed
    assert machine.state() == before
    assert machine.files() == files


def test_info_only_reads(lab):
    machine = lab("os", pool=True)
    run(machine, create("s1"))
    with calls.recorded() as made:
        machine.info()
    assert set(made) <= calls.READS


@pytest.mark.parametrize("users", [True, False])
def test_every_pool_is_read_only_if_other_users_matter(lab, daemon, users):
    machine = lab("os", pool=True)
    run(machine, create("s1"))
    (backend,) = registry.connect({"uri": daemon.uri, "timeout": 60, "poll_interval": 1}, users).find([machine.vm.name])
    with calls.recorded() as made:
        backend.read()
    assert ("virStoragePoolListAllVolumes" in made) is users


def test_calls_for_many_snapshots_grow_with_their_number_alone(lab):
    """60 snapshots of 8 disks. What takes twice as many calls for twice as many snapshots is linear."""
    machine = lab(*(f"disk{number}" for number in range(8)), pool=True, boot=None, size="256K")
    counted, taken = {}, {}
    for number in range(1, 61):
        machine.vm.snapshot(f"s{number:02d}")
        if number in (30, 60):
            with calls.recorded() as made:
                started = time.monotonic()
                assert len(machine.info()["snapshots"]) == number
                taken[number] = time.monotonic() - started
            counted[number] = len(made)
    images = 8 * 61
    assert counted[60] <= 2.1 * counted[30]
    assert counted[60] < 6 * images
    assert taken[60] < 4 * taken[30] + 1


OPENS = """
import importlib, json, pkgutil, sys
from ansible_collections.diskwise.vm.plugins.module_utils._backends import libvirt as backend
from ansible_collections.diskwise.vm.plugins.module_utils._backends.libvirt.connection import Libvirt
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from tests.contract.verbs import create, preview, remove, restore, undo
import xml.dom.expatbuilder, encodings.ascii

for file in pkgutil.iter_modules(backend.__path__):  # verbs load some of them late
    importlib.import_module(f"{backend.__name__}.{file.name}")

seen = []
WATCHED = ("open", "os.", "shutil.", "subprocess.", "glob.", "pathlib.", "socket.", "tempfile.")
uri, name = sys.argv[1:]

def work():
    for verb in (create("s1"), create("s2", disks=["os"]), preview("s1"), undo(), restore("s2"), remove("s1"), remove("s2")):
        for check in (True, False):
            (found,) = Libvirt(uri, 60, 1).find([name])
            assert converge(found, verb.decide, check).changed, verb.name

recording = True
sys.addaudithook(lambda event, arguments: seen.append([event, str(arguments[0]) if arguments else ""]) if recording and event.startswith(WATCHED) else None)
work()
recording = False
print(json.dumps(seen))
"""


@pytest.mark.parametrize("pool", [True, False])
def test_no_file_is_opened_beside_libvirt(lab, pool):
    """So it works on every URI. Only the lock looks into /proc, to tell whether its holder lives."""
    machine = lab("os", "data", pool=pool)
    script = machine.vm.folder / "script.log"
    script.write_text(OPENS)
    done = subprocess.run(
        [sys.executable, "-c", OPENS, machine.daemon.uri, machine.name],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen
    assert {event for event, _what in seen} <= {"open", "socket.gethostname"}
    assert {path.split("/")[1] for event, path in seen if event == "open"} == {"proc"}
