# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_remove on an engine: ids move, others' snapshots are left alone, and nothing that a snapshot shows changes."""

from __future__ import annotations

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.connection import Ovirt
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.preview import set_flags
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.engine import INTERVAL
from tests.contract.verbs import create, preview, refused, remove, run, undo

DISKS = ("os", "data", "logs")


@pytest.fixture
def filled(center):
    """s1 holds all disks, s2 os and data, s3 data; block 0 of each disk tells the state."""

    def make(**options):
        machine = center(*({"name": disk, "content": {"0": f"{disk} first"}} for disk in DISKS), **options)
        ids = machine.ids()
        for snapshot, held in (("s1", DISKS), ("s2", DISKS[:2]), ("s3", ("data",))):
            machine.engine.snapshot(machine.id, snapshot, [ids[disk] for disk in held])
            for disk in DISKS:
                machine.engine.write(ids[disk], "0", f"{disk} after {snapshot}")
        return machine

    return make


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("gone", ["s1", "s2", "s3"])
def test_image_ids_move_and_contents_do_not(filled, gone, running):
    machine = filled(running=running)
    contents, held, files = machine.contents(), machine.snapshot_contents(), len(machine.files())
    merged = len(held.pop(gone))
    run(machine, remove(gone))
    assert (machine.contents(), machine.snapshot_contents()) == (contents, held)
    assert files - len(machine.files()) == merged


@pytest.mark.parametrize("disk", DISKS)
def test_one_disk_of_a_snapshot(filled, disk):
    machine = filled()
    contents, held = machine.contents(), machine.snapshot_contents()
    run(machine, remove("s1", [disk]))
    held["s1"].pop(disk)
    assert (machine.contents(), machine.snapshot_contents()) == (contents, held)
    run(machine, preview(config="s1"))
    assert machine.contents() == contents
    run(machine, undo())


def test_disk_by_disk_until_the_configuration_is_left(filled):
    machine = filled()
    for disk in DISKS:
        run(machine, remove("s1", [disk]))
    assert machine.snapshots()["s1"] == []
    run(machine, remove("s1"))
    assert "s1" not in machine.snapshots()


def test_an_unplugged_disk_of_a_running_vm_is_never_begun(filled):
    machine = filled(running=True)
    set_flags(machine._desk(), machine.ids()["logs"], active=False)
    machine.engine.clear_log()
    for verb in (remove("s1"), remove("s1", [{"name": "logs"}])):
        error = refused(machine, verb, "unplugged_disk")
        assert "logs" in error.message
    assert [each.path for each in machine.engine.log() if each.method == "DELETE"] == []
    run(machine, remove("s2"))


@pytest.mark.parametrize("name", ["Auto-generated for Backup VM", "data Auto-generated for Live Storage Migration"])
def test_snapshots_of_the_engine_are_left_alone_and_waited_for(filled, name):
    machine = filled()
    machine.engine.snapshot(machine.id, name, [machine.ids()["data"]])
    assert "foreign_snapshot" in {problem.code for problem in machine.connect(patient=False).read().problems}
    (impatient,) = Ovirt(machine.login, 0.2, INTERVAL).find([machine.id])
    with pytest.raises(VmError) as raised:
        converge(impatient, remove("s1").decide, False)
    assert raised.value.reason == "engine_busy"
    assert "Auto-generated" in raised.value.message
    assert len(machine.engine.state(machine.id)["snapshots"]) == 5


def test_a_replaced_snapshot_shows_the_disks_of_now(filled):
    machine = filled()
    contents = machine.contents()
    run(machine, create("s2", disks=["os", "logs"], on_conflict="replace"))
    assert machine.snapshots()["s2"] == ["logs", "os"]
    assert machine.contents() == contents
    assert machine.snapshot_contents()["s2"] == {disk: contents[disk] for disk in ("os", "logs")}
