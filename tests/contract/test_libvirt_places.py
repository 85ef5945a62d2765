# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where images are, and how disks are attached: folders of any kind, pools in any state, every bus."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET

import libvirt
import pytest

from tests.contract.machine import SIZE
from tests.contract.verbs import commit, create, failed, preview, refused, remove, restore, run, undo
from tests.lab import content
from tests.lab import vm as vms


def look_and_undo(machine):
    """A snapshot, a preview of it, and back; returns what the disks hold then."""
    machine.write_all(1, 10)
    run(machine, create("s1"))
    machine.write_all(1, 20)
    now, held = machine.contents(), machine.snapshot_contents()
    run(machine, preview("s1"))
    assert machine.contents() == held["s1"]
    run(machine, undo())
    assert machine.contents() == now
    return now


def cycle(machine):
    """Every verb once, with contents."""
    files = machine.files()
    now = look_and_undo(machine)
    run(machine, create("s2"))
    run(machine, remove("s1"))
    assert machine.contents() == now
    run(machine, restore("s2"))
    machine.start()
    run(machine, create("s3"))
    machine.write_all(2, 30)
    now = machine.contents()
    run(machine, remove("s3"))
    run(machine, remove("s2"))
    assert machine.contents() == now
    machine.stop()
    assert machine.contents() == now
    assert machine.files() == files


def cycle_down(machine):
    now = look_and_undo(machine)
    run(machine, remove("s1"))
    assert machine.contents() == now


@pytest.mark.parametrize("bus", ["ide", "sata", "scsi", "usb", "virtio"])
def test_bus(lab, bus):
    machine = lab("os", "data", bus="virtio" if bus == "usb" else bus, machine="q35" if bus == "sata" else "pc", boot=None)
    if bus == "usb":
        root = ET.fromstring(machine.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        root.find("devices/controller[@type='usb']").set("model", "piix3-uhci")
        for disk in root.iterfind("devices/disk"):
            disk.remove(disk.find("address"))
            disk.find("target").set("bus", "usb")
        machine.vm.conn.defineXML(ET.tostring(root, encoding="unicode"))
    cycle_down(machine)


@pytest.mark.parametrize("name", ['it\'s <my> images & "more"', "žluťoučký 日本", "a:b=c;d", "%20 + #1"])
def test_folder_of_any_name(lab, folder, name):
    place = folder / name
    place.mkdir()
    content.create(place / "os.qcow2", SIZE)
    machine = lab(vms.Disk("os", path=place / "os.qcow2"))
    cycle(machine)
    assert [path.name for path in place.iterdir()] == ["os.qcow2"]


def test_folder_behind_a_link(lab, folder):
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")
    content.create(folder / "real" / "os.qcow2", SIZE)
    machine = lab(vms.Disk("os", path=folder / "link" / "os.qcow2"))
    cycle(machine)
    assert [path.name for path in (folder / "real").iterdir()] == ["os.qcow2"]


@pytest.mark.parametrize("state", ["active", "inactive", "transient"])
def test_pool_of_the_folder(lab, folder, state):
    conn = libvirt.open(lab("os").daemon.uri)
    text = f"<pool type='dir'><name>mine</name><target><path>{folder}</path></target></pool>"
    pool = conn.storagePoolCreateXML(text) if state == "transient" else conn.storagePoolDefineXML(text)
    if state == "active":
        pool.create()
    machine = lab("os", "data", name="other", boot="halt")
    cycle(machine)
    assert [pool.name() for pool in conn.listAllStoragePools()] == ["mine"]
    assert bool(pool.isActive()) is (state != "inactive")
    vms.remove_pool(pool)


def test_disks_in_several_folders(lab, folder):
    for name in ("fast", "slow"):
        (folder / name).mkdir()
        content.create(folder / name / f"{name}.qcow2", SIZE)
    machine = lab("os", vms.Disk("data", path=folder / "fast" / "fast.qcow2"), vms.Disk("logs", path=folder / "slow" / "slow.qcow2"))
    run(machine, create("s1"))
    assert [len(list((folder / name).iterdir())) for name in ("fast", "slow")] == [2, 2]
    run(machine, remove("s1"))
    cycle(machine)
    assert [len(list((folder / name).iterdir())) for name in ("fast", "slow")] == [1, 1]


def test_template_with_a_relative_path(lab, folder):
    template = content.create(folder / "template.qcow2", SIZE)
    content.write(template, 0, 0x11, 4096)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "template.qcow2", "-F", "qcow2", folder / "vm.os.qcow2"], check=True)
    machine = lab(vms.Disk("os", path=folder / "vm.os.qcow2"), boot=None, pool=True)
    cycle_down(machine)
    assert content.info(machine.image("os"))["backing-filename"] == "template.qcow2"


@pytest.mark.parametrize("pool", [True, False])
def test_template_that_is_missing(lab, folder, pool):
    template = content.create(folder / "template.qcow2", SIZE)
    machine = lab(vms.Disk("os", backing=template), "data", boot=None, pool=pool)
    template.unlink()
    error = refused_when_known(machine, create("s1"), pool)
    assert str(template) in error.message
    run(machine, create("s1", exclude=["os"]))
    assert machine.snapshots() == {"s1": ["data"]}


def refused_when_known(machine, verb, known):
    """What check mode cannot know is refused before the first effect all the same."""
    if known:
        return refused(machine, verb, "missing_image")
    error = failed(machine, verb, "missing_image")
    assert error.done == ()
    return error


@pytest.mark.parametrize("wish", ["no", "internal", "external"])
def test_what_the_disk_says_of_snapshots_does_not_matter(lab, wish):
    machine = lab(vms.Disk("os", snapshot=wish), "data", boot=None)
    cycle_down(machine)


def test_image_of_a_preview_that_others_deleted_does_not_keep_from_undoing(lab):
    machine = lab("os", pool=True)
    run(machine, create("s1"))
    before = machine.state()
    run(machine, preview("s1"))
    machine.image("os").unlink()
    run(machine, undo())
    assert machine.state() == before


def test_vm_that_was_renamed_in_a_preview_can_go_back(lab):
    machine = lab("os")
    run(machine, create("s1"))
    run(machine, preview("s1"))
    machine.dom.rename("renamed")
    machine.vm.name = machine.name = "renamed"
    run(machine, undo())
    assert machine.dom.name() == "renamed"


@pytest.mark.parametrize("power", ["down", "up"])
def test_vm_with_checkpoints(lab, power):
    """Checkpoints of a backup program: libvirt takes no snapshot of a VM that is down and has some."""
    machine = lab("os")
    machine.start()
    machine.dom.checkpointCreateXML("<domaincheckpoint><name>c1</name></domaincheckpoint>", 0)
    if power == "up":
        run(machine, create("s1"))
    else:
        machine.stop()
        refused(machine, create("s1"), "checkpoints")
    machine.stop()
    machine.dom.checkpointLookupByName("c1").delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)


def test_removal_right_after_a_commit_in_the_running_vm(lab):
    machine = lab("os", "data")
    machine.write_all(1, 10)
    run(machine, create("s1"))
    run(machine, create("s2"))
    machine.write_all(1, 20)
    run(machine, restore(disks={"os": "s1"}))
    machine.start()
    machine.write_all(2, 30)
    now, held = machine.contents(), machine.snapshot_contents()
    run(machine, remove("s1"))
    assert machine.contents() == now
    assert machine.snapshot_contents() == {"s2": held["s2"]}
    machine.stop()
    run(machine, preview("s2"))
    run(machine, commit())
    assert machine.contents()["data"] == held["s2"]["data"]


def test_comma_in_the_folder_of_a_vm_that_is_down_is_beyond_libvirt_and_harms_nothing(lab, folder):
    """libvirt 9.0 gives qemu-img a wrong path then. A running VM can be snapshotted, and all else works."""
    place = folder / "a,b"
    place.mkdir()
    content.create(place / "os.qcow2", SIZE)
    machine = lab(vms.Disk("os", path=place / "os.qcow2"))
    before = machine.state()
    failed(machine, create("s1"), "backend_failed")
    machine.start()
    run(machine, create("s2"), foreseen=False)
    machine.stop()
    assert list(machine.snapshots()) == ["s2"]
    assert machine.contents() == before[2]
    machine.write("os", 1, 7)
    run(machine, restore("s2"))
    assert machine.contents() == before[2]
    run(machine, remove("s2"))
    assert [path.name for path in place.iterdir()] == ["os.qcow2"]
