# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration on libvirt: what an older one brings back, what it must not, and what no record may hold."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import libvirt
import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.libvirt.record import NAMESPACE, unpack
from ansible_collections.diskwise.vm.plugins.module_utils._engine import hardware
from tests.contract.verbs import EXCLUDED, create, failed, preview, remove, restore, run, undo
from tests.lab import vm as vms

SECURE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
VNC = "<graphics type='vnc' port='-1' passwd='{}'/>"


def edit(machine, change):
    """Define the VM with another configuration."""
    root = ET.fromstring(machine.dom.XMLDesc(SECURE))
    change(root)
    machine.vm.conn.defineXML(ET.tostring(root, encoding="unicode"))


def root_of(machine):
    return ET.fromstring(machine.dom.XMLDesc(SECURE))


def resize(size):
    def change(root):
        for name in ("memory", "currentMemory"):
            root.find(name).text = str(size << 10)

    return change


@pytest.mark.parametrize("power", ["down", "up"])
def test_older_configuration_comes_back(lab, power):
    machine = lab("os", memory=6)
    if power == "up":
        machine.start()
    run(machine, create("small", disks=[]))
    machine.stop()
    edit(machine, resize(12))
    before = machine.config()
    run(machine, preview(config="small"))
    assert root_of(machine).findtext("memory") == str(6 << 10)
    machine.start()
    assert machine.dom.info()[1] == 6 << 10
    machine.stop()
    run(machine, undo())
    assert machine.config() == before
    run(machine, restore(config="small"))
    assert root_of(machine).findtext("memory") == str(6 << 10)


def test_what_an_older_configuration_changes_besides_disks_is_said(lab):
    machine = lab("os", memory=6)
    run(machine, create("small", disks=[]))

    def grow(root):
        resize(12)(root)
        root.find("vcpu").text = "4"
        root.find("vcpu").set("current", "3")
        root.find("devices").append(ET.fromstring("<interface type='user'><mac address='52:54:00:00:00:07'/></interface>"))

    edit(machine, grow)
    info = machine.info()
    assert info["snapshots"][0]["hardware"] == {"vcpus": 1, "memory": 6 << 20, "nics": []}
    now = {"vcpus": 3, "memory": 12 << 20, "nics": ["52:54:00:00:00:07"]}
    assert info["hardware"] == now
    run(machine, preview(config="small"))
    assert machine.info()["hardware"] == now, "what an undo brings back"
    shown = hardware.changes(machine.read(), machine.read().preview.shows)
    assert [(change["what"], change["now"], change["then"]) for change in shown] == [
        ("vcpus", 3, 1),
        ("memory", 12 << 20, 6 << 20),
        ("nics", ["52:54:00:00:00:07"], []),
    ]


def test_configuration_of_a_running_vm_is_the_one_for_its_next_start(lab):
    machine = lab("os", memory=6)
    machine.start()
    edit(machine, resize(8))
    run(machine, create("next", disks=[]))
    machine.stop()
    edit(machine, resize(12))
    run(machine, restore(config="next"))
    assert root_of(machine).findtext("memory") == str(8 << 10)


def test_name_and_identity_stay(lab):
    machine = lab("os")
    run(machine, create("s1"))
    machine.dom.rename("renamed")
    machine.vm.name = machine.name = "renamed"
    uuid = machine.vm.uuid
    run(machine, restore("s1"))
    assert (machine.dom.name(), machine.vm.uuid) == ("renamed", uuid)


def test_drives_and_their_media_come_with_the_configuration(lab, folder):
    media = folder / "media.iso"
    media.write_bytes(bytes(65536))
    machine = lab("os", vms.cdrom("cd", media))
    run(machine, create("with", disks=["os"]))

    def without(root):
        devices = root.find("devices")
        devices.remove(next(disk for disk in devices.findall("disk") if disk.get("device") == "cdrom"))

    edit(machine, without)
    run(machine, create("without", disks=["os"]))
    run(machine, preview("with"))
    assert str(media) in machine.dom.XMLDesc(0)
    run(machine, undo())
    assert "cdrom" not in machine.dom.XMLDesc(0)
    run(machine, restore("with"))
    assert str(media) in machine.dom.XMLDesc(0)
    run(machine, preview("with", config="current"), changed=True)
    assert str(media) in machine.dom.XMLDesc(0)


def test_disk_that_the_older_configuration_has_and_the_vm_has_not_stays_away_unless_named(lab):
    machine = lab("os", "data")
    machine.write("data", 1, 5)
    run(machine, create("both"))

    def without(root):
        devices = root.find("devices")
        devices.remove(next(disk for disk in devices.findall("disk") if disk.findtext("serial") == "data"))

    edit(machine, without)
    done = run(machine, preview(config="both", disks={"os": "both"}))
    assert machine.disks() == ["os"]
    assert any("data" in warning and "stays away" in warning for warning in done.decision.warnings)
    run(machine, undo())
    run(machine, preview(config="both", disks={"os": "both", "data": "both"}))
    assert machine.slot("data", 1) == 5


def test_disk_whose_place_was_taken_by_another_is_that_disk(lab):
    """On libvirt the target is the identity: what is attached at the place of an excluded disk takes part in its place."""
    machine = lab("os", "data")
    machine.write("data", 1, 5)
    run(machine, create("s1"))
    run(machine, restore(disks={"data": EXCLUDED}, allow_disk_removal=True))
    machine.attach("other")
    machine.write("other", 1, 6)
    other = machine.image("other")
    done = run(machine, preview(disks={"vdb": "s1"}))
    assert machine.slot("other", 1) == 5
    assert done.after.leaf["vdb"] == str(other)
    run(machine, undo())
    assert machine.slot("other", 1) == 6


def secrets_in(machine, secret):
    """Where the password is to be found, among all that this collection keeps or says."""
    places = {"info": repr(machine.info()), "view": repr(machine.view())}
    record = root_of(machine).find(f"metadata/{{{NAMESPACE}}}record")
    if record is not None:
        places["record"] = record.text
        places["origin"] = "".join(unpack(text) for text in re.findall(r'"origin": "([^"]+)"', record.text))
    for snapshot in machine.dom.listAllSnapshots():
        found = ET.fromstring(snapshot.getXMLDesc(0))
        places[f"record in {snapshot.getName()}"] = "".join(element.text or "" for element in found.iter(f"{{{NAMESPACE}}}record"))
    return [place for place, text in places.items() if secret in text]


def test_passwords_of_displays_are_in_no_record_and_survive(lab):
    machine = lab("os", extra_devices=VNC.format("s3cret"))
    run(machine, create("s1"))
    before = machine.config()
    assert "s3cret" in before
    done = run(machine, preview("s1"))
    assert "s3cret" in machine.config()
    assert secrets_in(machine, "s3cret") == []
    assert "s3cret" not in repr(done)
    done = run(machine, undo())
    assert machine.config() == before
    assert "s3cret" not in repr(done)
    run(machine, restore("s1"))
    assert "s3cret" in machine.config()
    run(machine, remove("s1"))
    assert "s3cret" in machine.config()
    assert secrets_in(machine, "s3cret") == []


def test_password_that_was_changed_since_is_not_the_old_one(lab):
    machine = lab("os", extra_devices=VNC.format("old-one"))
    run(machine, create("s1"))
    edit(machine, lambda root: root.find("devices/graphics").set("passwd", "new-one"))
    run(machine, restore("s1"))
    assert "new-one" in machine.config()
    assert "old-one" not in machine.config()


def test_password_without_a_place_in_the_older_configuration_is_refused(lab):
    machine = lab("os")
    run(machine, create("s1"))
    edit(machine, lambda root: root.find("devices").append(ET.fromstring(VNC.format("s3cret"))))
    before = machine.state()
    error = failed(machine, preview("s1"), "secrets_in_config")
    assert "s3cret" not in error.message
    assert error.done == ()
    assert machine.state() == before
    run(machine, preview("s1", config="current"))


def test_record_that_cannot_be_read_stops_everything(lab):
    machine = lab("os")
    run(machine, create("s1"))
    machine.dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<record>{broken</record>", "diskwise", NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    files = machine.files()
    for verb in (create("s2"), preview("s1"), undo(), remove("s1")):
        failed(machine, verb, "bad_record")
    assert machine.files() == files


def test_metadata_of_others_stays(lab):
    machine = lab("os")
    theirs = "<note xmlns='urn:other:1'>keep &lt;me&gt;</note>"
    machine.dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, theirs, "other", "urn:other:1", libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    before = machine.dom.XMLDesc(SECURE)
    run(machine, create("s1"))
    run(machine, preview("s1"))
    assert "keep &lt;me&gt;" in machine.dom.XMLDesc(SECURE)
    run(machine, undo())
    run(machine, remove("s1"))
    assert machine.dom.XMLDesc(SECURE) == before
