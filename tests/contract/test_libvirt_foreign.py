# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others did to the VM with libvirt's own tools."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import libvirt
import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.verbs import commit, create, failed, preview, refused, remove, restore, run, shown_by, undo


def virsh(machine, *arguments):
    done = subprocess.run(["virsh", "-q", "-c", machine.daemon.uri, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def theirs(machine, name, *disks):
    """An external snapshot by virsh; without disks of all."""
    lines = [f"{target},snapshot={'external' if disk in disks else 'no'}" for target, disk in (("vda", "os"), ("vdb", "data"), ("vdc", "logs"))]
    more = [word for line in lines for word in ("--diskspec", line)] if disks else []
    virsh(machine, "snapshot-create-as", machine.name, name, "--disk-only", "--atomic", *more)


@pytest.mark.parametrize("power", ["down", "up"])
def test_external_snapshots_of_virsh_in_the_middle_of_the_chain(lab, power):
    machine = lab()
    if power == "up":
        machine.start()
    machine.write_all(1, 10)
    theirs(machine, "their first")
    machine.write_all(1, 20)
    run(machine, create("ours", disks=["os", "data"]))
    machine.write_all(1, 30)
    theirs(machine, "their second", "data", "logs")
    machine.write_all(1, 40)
    run(machine, create("ours too"))
    machine.write_all(1, 50)
    assert machine.snapshots() == {
        "their first": ["data", "logs", "os"],
        "ours": ["data", "os"],
        "their second": ["data", "logs"],
        "ours too": ["data", "logs", "os"],
    }
    assert [snapshot["own"] for snapshot in machine.info()["snapshots"]] == [False, True, False, True]
    held, now = machine.snapshot_contents(), machine.contents()
    run(machine, remove("their second"))
    del held["their second"]
    assert machine.snapshot_contents() == held
    assert machine.contents() == now
    machine.stop()
    for name in held:
        assert shown_by(machine, name) == held[name]
    run(machine, preview(disks={"os": "ours", "data": "their first"}))
    run(machine, commit())
    assert (machine.slot("os", 1), machine.slot("data", 1), machine.slot("logs", 1)) == (22, 10, 51)


def test_virsh_takes_a_snapshot_after_a_commit_and_all_go_on(lab):
    machine = lab("os", "data", pool=True)
    machine.write_all(1, 10)
    run(machine, create("s1"))
    machine.write_all(1, 20)
    run(machine, restore("s1"))
    virsh(machine, "snapshot-create-as", machine.name, "theirs", "--disk-only", "--atomic")
    assert virsh(machine, "snapshot-parent", machine.name, "theirs").strip() == "s1"
    machine.write_all(1, 30)
    then = machine.snapshot_contents()
    run(machine, remove("s1"))
    assert machine.snapshot_contents() == {"theirs": then["theirs"]}


@pytest.mark.parametrize("verb", [create("s1"), remove("theirs"), preview(disks={"os": "theirs"}), restore("theirs")])
def test_vm_with_an_internal_snapshot_is_refused(lab, verb):
    machine = lab("os")
    virsh(machine, "snapshot-create-as", machine.name, "theirs")
    error = _refused_or_unusable(machine, verb)
    assert "internal" in error.message
    assert machine.info()["health"][0]["code"] == "internal_snapshots"


def _refused_or_unusable(machine, verb):
    """As a source of a preview it is refused before the VM as a whole is."""
    return refused(machine, verb, "unusable_snapshot" if verb.name in ("preview", "restore") else "internal_snapshots")


def test_managed_save_image_of_others_is_respected(lab):
    machine = lab("os")
    run(machine, create("s1"))
    machine.start()
    virsh(machine, "managedsave", machine.name)
    for verb in (create("s2"), preview("s1"), restore("s1"), remove("s1")):
        assert "suspended" in refused(machine, verb, "vm_suspended").message
    assert machine.info()["power"] == "suspended"
    assert machine.dom.hasManagedSaveImage()


def test_block_job_of_others_is_respected(lab, folder):
    machine = lab("os", "data")
    run(machine, create("s1"))
    machine.start()
    copy = folder / "copy.qcow2"
    virsh(machine, "blockcopy", machine.name, "vda", str(copy), "--transient-job")
    try:
        for verb in (create("s2", disks=["os"]), remove("s1")):
            assert "block job" in refused(machine, verb, "block_job").message
    finally:
        machine.dom.blockJobAbort("vda", 0)
    run(machine, remove("s1"))


def test_transient_vm_is_refused(lab):
    machine = lab("os")
    machine.start()
    machine.dom.undefineFlags(0)
    refused(machine, create("s1"), "transient_vm")


def test_image_that_is_missing(lab):
    machine = lab("os", "data", pool=True)
    run(machine, create("s1"))
    machine.write_all(1, 10)
    run(machine, create("s2", disks=["data"]))
    lost = machine.read().snapshots[1].images["vdb"]
    Path(lost).unlink()
    assert [(problem["code"], problem["subject"]) for problem in machine.info()["health"]] == [("missing_image", lost)]
    for verb in (create("s3"), preview("s2"), restore(disks={"data": "s2"}), remove("s2"), remove("s1")):
        assert lost in refused(machine, verb, "missing_image").message
    run(machine, create("s3", disks=["os"]))
    run(machine, create("s4", on_disk_error="exclude"))
    assert machine.snapshots()["s4"] == ["os"]
    run(machine, preview(disks={"os": "s1"}))
    run(machine, undo())
    run(machine, restore(disks={"data": "s1"}))
    assert machine.slot("data", 1) == 0


def test_image_that_others_deleted_while_it_was_to_be_merged(lab):
    """Without a pool nobody knows before the work begins; then it is refused before anything is done."""
    machine = lab("os")
    run(machine, create("s1"))
    run(machine, create("s2"))
    Path(machine.read().snapshots[0].images["vda"]).unlink()
    error = failed(machine, remove("s1"), "missing_image")
    assert error.done == ()


def test_two_control_nodes_at_once(lab):
    """One works, the other is told who does; nothing is lost."""
    machine = lab("os", "data", pool=True)
    machine.write_all(1, 10)
    first, second = machine.connect(), machine.connect()
    with first.hold():
        error = failed_by(second, create("s1"), "locked")
        assert str(os.getpid()) in error.message
    results = []

    def work(number):
        try:
            results.append(converge(machine.connect(), create(f"s{number}").decide, False).changed)
        except VmError as error:
            results.append(error.reason)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) <= {True, "locked"}
    assert results.count(True) == len(machine.snapshots())
    assert True in results
    for snapshot in machine.snapshot_contents().values():
        assert snapshot == machine.contents()


def failed_by(backend, verb, reason):
    with pytest.raises(VmError) as raised:
        converge(backend, verb.decide, False)
    assert raised.value.reason == reason
    return raised.value


def test_configuration_that_others_edit_during_a_preview_keeps_the_record(lab):
    machine = lab("os")
    run(machine, create("s1"))
    machine.write("os", 1, 5)
    then = machine.contents()
    run(machine, preview("s1"))
    text = machine.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    machine.vm.conn.defineXML(text.replace("<vcpu placement='static'>1</vcpu>", "<vcpu placement='static'>2</vcpu>"))
    run(machine, undo())
    assert machine.contents() == then
