# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of every kind on libvirt: what takes part, what is skipped, what is refused."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET

import libvirt
import pytest

from tests.contract.machine import SIZE
from tests.contract.verbs import EXCLUDED, commit, create, failed, preview, refused, remove, restore, run, undo
from tests.lab import content
from tests.lab import vm as vms

UNFIT = {
    "readonly": (vms.readonly("odd"), "read-only"),
    "shareable": (vms.shareable("odd"), "shareable"),
    "transient": (vms.transient("odd"), "transient"),
    "network": (vms.network("odd"), "a disk of type network"),
    "block": (vms.block("odd"), "a disk of type block"),
    "cdrom": (vms.cdrom("odd", True), "a cdrom drive"),
    "empty cdrom": (vms.cdrom("odd"), "a cdrom drive"),
    "floppy": (vms.floppy("odd"), "a floppy drive"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_unfit_disk_is_skipped_with_a_reason_and_refused_when_named(lab, kind):
    disk, why = UNFIT[kind]
    machine = lab("os", disk)
    target = machine.target("odd")
    before = machine.config()
    error = refused(machine, create("s1", disks=["os", target]), "fixed_disk")
    assert why in error.message
    done = run(machine, create("s1"))
    assert [(name, reason.startswith(why)) for name, reason in done.decision.skipped] == [(machine.read().disk(target).name, True)]
    assert machine.snapshots() == {"s1": ["os"]}
    machine.write("os", 1, 7)
    refused(machine, preview("s1", disks={target: "s1"}), "fixed_disk")
    refused(machine, preview(disks={"os": "s1", target: EXCLUDED}), "fixed_disk")
    with_snapshot = machine.config()
    run(machine, preview("s1"))
    assert machine.slot("os", 1) == 0
    run(machine, undo())
    assert machine.config() == with_snapshot
    run(machine, remove("s1"))
    assert machine.config() == before


def test_unfit_disk_that_is_named_is_left_out_if_allowed(lab):
    machine = lab("os", vms.readonly())
    done = run(machine, create("s1", disks=["os", "fixed"], on_disk_error="exclude"))
    assert done.decision.skipped == (("fixed", "read-only"),)
    assert machine.snapshots() == {"s1": ["os"]}


def test_live_vm_with_drives_and_odd_disks(lab):
    machine = lab("os", vms.cdrom("cd", True), vms.cdrom("empty"), vms.floppy(), vms.shareable(), vms.readonly(), boot="tape")
    machine.start()
    run(machine, create("s1"))
    machine.vm.wait_rounds(2)
    run(machine, remove("s1"))
    machine.vm.wait_rounds(2)
    run(machine, create("s2"))
    run(machine, restore("s2", if_running="poweroff"))
    machine.start()
    machine.vm.wait_rounds(2)


def test_drive_whose_medium_and_folder_are_gone_does_not_disturb(lab, folder):
    (folder / "media").mkdir()
    medium = folder / "media" / "gone.iso"
    medium.write_bytes(bytes(65536))
    machine = lab("os", vms.cdrom("cd", medium))
    medium.unlink()
    medium.parent.rmdir()
    run(machine, create("s1"))
    machine.write("os", 1, 7)
    run(machine, restore("s1"))
    run(machine, remove("s1"))


def test_vm_without_disks(lab):
    machine = lab(vms.cdrom("cd"), boot=None, name="diskless")
    done = run(machine, create("s1"))
    assert done.after.snapshots[0].images == {}
    run(machine, create("s2", disks=[]))
    refused(machine, create("s3", disks=["os"]), "unknown_disk")
    run(machine, preview("s1"))
    run(machine, commit())
    run(machine, remove("s2"))
    assert list(machine.snapshots()) == ["s1"]


def test_memory_of_a_vm_without_disks_is_saved_and_resumed_or_refused(lab):
    machine = lab(vms.cdrom("cd"), boot=None, name="diskless")
    machine.start()
    refused(machine, create("s1", memory=True), "no_place_for_memory")


def test_vm_with_twenty_six_disks(lab):
    names = [f"disk{number:02d}" for number in range(26)]
    some = names[::5]
    machine = lab(*names, bus="scsi", size="256K")

    def fill(value):
        for disk in some:
            machine.write(disk, 1, value)

    def values():
        return {machine.slot(disk, 1) for disk in some}

    fill(5)
    run(machine, create("s1"))
    fill(6)
    run(machine, create("s2", disks=[{"name": "disk0*"}]))
    assert len(machine.snapshots()["s2"]) == 10
    run(machine, preview("s1"))
    assert values() == {5}
    run(machine, commit())
    run(machine, remove("s1"))
    assert values() == {5}
    assert len(machine.files()) == 26


def test_raw_disk(lab):
    machine = lab("os", "data", fmt="raw")
    machine.write_all(1, 10)
    then = machine.contents()
    run(machine, create("s1"))
    machine.write_all(1, 20)
    run(machine, preview("s1"))
    assert machine.contents() == then
    run(machine, undo())
    now = machine.contents()
    run(machine, remove("s1"))
    assert machine.contents() == now
    assert {content.format_of(path) for path in machine.vm.images().values()} == {"raw"}
    run(machine, create("s2"))
    machine.start()
    machine.write_all(2, 30)
    now = machine.contents()
    run(machine, remove("s2"))
    assert machine.contents() == now
    assert ET.fromstring(machine.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).find("devices/disk/driver").get("type") == "raw"


@pytest.fixture
def template(folder):
    template = content.create(folder / "template.qcow2", SIZE)
    content.write(template, 0, 0x11, 4096)
    template.chmod(0o444)
    return template


@pytest.mark.parametrize("power", ["down", "up"])
def test_disk_on_a_template(lab, template, power):
    untouched = template.read_bytes()
    machine = lab(vms.Disk("os", backing=template), boot=None, pool=True)
    if power == "up":
        machine.vm.start(paused=True)
    machine.write("os", 1, 10)
    run(machine, create("s1"))
    machine.write("os", 1, 20)
    now = machine.contents()
    held = machine.snapshot_contents()
    run(machine, create("s2"))
    run(machine, remove("s2"))
    assert machine.snapshot_contents() == held
    machine.stop()
    run(machine, preview("s1"))
    assert machine.contents() == held["s1"]
    run(machine, undo())
    run(machine, remove("s1"))
    assert machine.contents() == now
    assert content.chain(machine.image("os"))[-1] == str(template)
    run(machine, create("s3"))
    run(machine, restore("s3"))
    assert machine.contents() == now
    assert template.read_bytes() == untouched


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("running", [True, False])
def test_image_on_which_another_vm_is_built_is_never_merged_nor_deleted(lab, pool, running):
    machine = lab("os", pool=pool)
    machine.write("os", 1, 10)
    run(machine, create("s1"))
    machine.write("os", 1, 20)
    run(machine, create("s2"))
    machine.write("os", 1, 30)
    images = machine.read().snapshots
    clone = lab(vms.Disk("os", backing=images[1].images["vda"]), name="clone", boot=None)
    if running:
        clone.vm.start(paused=True)
    theirs, held = clone.contents(), machine.snapshot_contents()
    before = machine.state()
    error = failed(machine, remove("s2"), "image_in_use")
    assert "clone" in error.message
    assert machine.state() == before
    run(machine, restore("s1"), foreseen=pool or running)  # of a stopped clone in a folder that is no pool, check mode cannot know
    assert clone.contents() == theirs
    assert machine.contents() == held["s1"]


def test_disks_of_one_name_are_told_apart_by_target(lab):
    machine = lab("os", "data", serials=False)
    run(machine, create("s1", disks=["vdb"]))
    assert machine.snapshots() == {"s1": ["vdb"]}


def test_alias_of_the_user_is_the_name_of_the_disk_and_survives(lab):
    machine = lab("os", "data")
    root = ET.fromstring(machine.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    for disk in root.iterfind("devices/disk"):
        ET.SubElement(disk, "alias", name=f"ua-my-{disk.findtext('serial')}")
    machine.vm.conn.defineXML(ET.tostring(root, encoding="unicode"))
    run(machine, create("s1", disks=["my-data"]))
    run(machine, restore(disks={"my-data": EXCLUDED}, allow_disk_removal=True))
    run(machine, restore(disks={"my-data": "s1"}))
    assert machine.view()["disks"] == ["my-data", "my-os"]


def test_same_disk_on_another_bus_in_an_older_configuration(lab):
    """The configuration decides how a disk is attached; its data come from where they are wanted."""
    machine = lab("os", "data")
    run(machine, create("s1", disks=[]))
    root = ET.fromstring(machine.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    data = next(disk for disk in root.iterfind("devices/disk") if disk.findtext("serial") == "data")
    data.find("driver").set("cache", "writeback")
    machine.vm.conn.defineXML(ET.tostring(root, encoding="unicode"))
    machine.write("data", 1, 9)
    now = machine.contents()
    run(machine, preview(config="s1"))
    assert machine.contents() == now
    run(machine, undo())
    assert "cache='writeback'" in machine.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


def test_nothing_else_has_the_images_open_afterwards(lab):
    """A merge in a stopped VM uses a helper, which must be gone."""
    machine = lab("os")
    run(machine, create("s1"))
    run(machine, remove("s1"))
    assert [domain.name() for domain in machine.vm.conn.listAllDomains()] == ["vm"]
    done = subprocess.run(["qemu-img", "check", machine.image("os")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
