# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt refuses, is full, goes away in the middle, or is not there at all."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import libvirt
import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.libvirt import merge
from ansible_collections.diskwise.vm.plugins.module_utils._backends.libvirt.connection import Libvirt
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.machine import INTERVAL, TIMEOUT, LibvirtMachine
from tests.contract.verbs import EXCLUDED, commit, create, failed, preview, remove, restore, run, undo
from tests.lab import vm as vms
from tests.lab.daemon import Daemon
from tests.lab.patience import wait_until

# Reaching libvirt, and the VM


@pytest.mark.parametrize(
    "uri", ["qemu:///system?socket=/nowhere/libvirt-sock", "nonsense:///", "qemu+tcp://127.0.0.1:1/system", "qemu+ssh://nobody@127.0.0.1:1/system?no_verify=1"]
)
def test_libvirt_that_is_not_there(daemon, uri):
    with pytest.raises(VmError) as raised:
        Libvirt(uri, TIMEOUT, INTERVAL)
    assert raised.value.reason == "cannot_connect"
    assert uri in raised.value.message
    assert raised.value.hint


def test_unknown_vm_lists_those_that_exist(lab):
    machine = lab("os", name="app01")
    lab("os", name="app02")
    (found, missing, by_id, wrong_id) = Libvirt(machine.daemon.uri, TIMEOUT, INTERVAL).find(
        ["app01", "app03", machine.vm.uuid, "00000000-0000-0000-0000-000000000000"]
    )
    assert found.read().name == by_id.read().name == "app01"
    assert (missing.reason, wrong_id.reason) == ("unknown_vm", "unknown_vm")
    assert "app01, app02" in missing.hint


def test_vm_whose_name_is_the_id_of_another(lab):
    machine = lab("os", name="app01")
    other = lab("os", name="other")
    other.dom.rename(machine.vm.uuid)
    (found,) = Libvirt(machine.daemon.uri, TIMEOUT, INTERVAL).find([machine.vm.uuid])
    assert found.read().name == "app01"
    machine.vm.conn.lookupByName(machine.vm.uuid).rename("other")


def as_nobody(work):
    """What work returns in a process of an unprivileged user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            nobody = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            os.write(writing, work().encode())
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def reason_of(work):
    try:
        work()
    except VmError as error:
        return f"{error.reason}: {error.message}"
    return "no error"


def test_user_who_may_not_use_libvirt(lab):
    machine = lab("os")
    machine.daemon.socket.chmod(0o700)
    try:
        said = as_nobody(lambda: reason_of(lambda: Libvirt(machine.daemon.uri, TIMEOUT, INTERVAL)))
    finally:
        machine.daemon.socket.chmod(0o777)
    assert said.startswith("no_permission: "), said


def test_user_who_may_only_read(lab):
    """Reading works, and check mode with it; what would change something is refused before anything is."""
    machine = lab("os")
    run(machine, create("s1"))
    before = machine.state()
    uri = machine.daemon.uri.replace("libvirt-sock", "libvirt-sock-ro")
    (found,) = Libvirt(uri, TIMEOUT, INTERVAL).find([machine.name])
    assert [snapshot.name for snapshot in found.read().snapshots] == ["s1"]
    assert converge(found, preview("s1").decide, True).changed
    for verb in (create("s2"), preview("s1"), remove("s1")):
        with pytest.raises(VmError) as raised:
            converge(found, verb.decide, False)
        assert raised.value.reason == "no_permission"
        assert raised.value.done == ()
    assert machine.state() == before


def test_unprivileged_user_with_a_session_of_his_own(lab):
    """qemu:///session: the whole cycle on VMs of somebody who is not root."""
    cycle(lab("os", "data"))  # first as ourselves: what Python imports late, he may not be able to read
    folder = Path(tempfile.mkdtemp(prefix="d", dir="/tmp"))
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    program = Path(vms.__file__).with_name("daemon.py")
    copied = folder / "daemon.py"  # the checkout may be where he cannot read
    shutil.copyfile(program, copied)
    copied.chmod(0o644)
    keeper = subprocess.Popen(
        ["runuser", "-u", "nobody", "--", "/usr/bin/python3", str(copied), str(folder)],
        cwd="/",
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    try:
        uri = keeper.stdout.readline().strip()
        assert uri.startswith("qemu:///session?socket=")
        assert as_nobody(lambda: session_cycle(uri, folder)) == "done"
    finally:
        keeper.terminate()
        keeper.wait(30)
        shutil.rmtree(folder)


class _Running:
    """A daemon that somebody else runs."""

    def __init__(self, uri):
        self.uri = uri


def cycle(machine):
    machine.write_all(1, 10)
    then = machine.contents()
    run(machine, create("s1"))
    machine.start()
    machine.write_all(1, 20)
    run(machine, create("s2", memory=True))
    machine.stop()
    run(machine, preview(disks={"os": "s1"}))
    assert machine.contents()["os"] == then["os"]
    run(machine, undo())
    run(machine, restore("s1"))
    assert machine.contents() == then
    run(machine, remove("s1"))
    assert machine.contents() == then


def session_cycle(uri, folder):
    tempfile.tempdir = str(folder)
    images = folder / "images"
    images.mkdir()
    conn = libvirt.open(uri)
    machine = LibvirtMachine(_Running(uri), vms.make(conn, images, "vm", ["os", "data"], boot="halt", size=1 << 20))
    cycle(machine)
    vms.remove_all(conn)
    return "done"


# In the middle


class Cut:
    """A backend for which something happens just before its n-th step."""

    def __init__(self, backend, number, happens):
        self._backend = backend
        self._left = number
        self._happens = happens

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def apply(self, step):
        if self._left == 0:
            self._happens()
        self._left -= 1
        self._backend.apply(step)


@pytest.mark.parametrize("verb", [create("s2"), preview("s1"), restore("s1"), remove("s1"), undo()], ids=lambda verb: verb.name)
def test_libvirtd_that_goes_away_in_the_middle(lab, verb):
    machine = lab("os", "data")
    machine.write_all(1, 10)
    run(machine, create("s1"))
    machine.write_all(1, 20)
    if verb.name == "undo":
        run(machine, preview("s1"))
    planned = converge(machine.connect(), verb.decide, True)
    cut = Cut(machine.connect(), 1, machine.daemon.kill)
    with pytest.raises(VmError) as raised:
        converge(cut, verb.decide, False)
    error = raised.value
    assert error.reason == "connection_lost"
    assert "run again" in error.hint
    assert [step.verb for step in error.done] == [planned.steps[0].verb]
    assert [step.verb for step in (*error.done, *error.left)] == [step.verb for step in planned.steps]
    assert error.state_after is None
    machine.daemon.restart()
    machine.vm.conn = libvirt.open(machine.daemon.uri)
    again = converge(machine.connect(), verb.decide, False)
    assert again.changed
    assert "interrupted" in again.decision.warnings[-1]
    run(machine, verb, changed=False)
    expected = {"create": (20, 21), "preview": (11, 10), "restore": (11, 10), "remove": (20, 21), "undo": (20, 21)}[verb.name]
    assert {machine.slot("os", 1), machine.slot("data", 1)} == set(expected)


@contextmanager
def opened(image):
    """Another process has the image open for writing."""
    process = subprocess.Popen(["qemu-io", "-f", "qcow2", "-c", "sleep 600000", str(image)], stdout=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: subprocess.run(["qemu-img", "info", str(image)], capture_output=True, check=False).returncode != 0), "it is not locked"
        yield process
    finally:
        process.kill()
        process.wait()


def test_image_that_another_process_is_about_to_close(lab):
    machine = lab("os")
    run(machine, create("s1"))
    machine.write("os", 0, 1)
    before = machine.contents()
    with opened(machine.vm.image("os")) as process:
        threading.Timer(1, process.kill).start()
        assert converge(machine.connect(), remove("s1").decide, False).changed
        assert process.wait() == -signal.SIGKILL
    assert machine.contents() == before
    run(machine, remove("s1"), changed=False)


def test_image_that_another_process_keeps_open(lab, monkeypatch):
    machine = lab("os")
    run(machine, create("s1"))
    machine.write("os", 0, 1)
    before = machine.contents()
    monkeypatch.setattr(merge, "DYING_SECONDS", 0.5)
    with opened(machine.vm.image("os")):
        error = failed(machine, remove("s1"), "image_locked")
        assert "lslocks" in error.hint
    assert machine.contents() == before
    assert converge(machine.connect(), remove("s1").decide, False).changed
    assert machine.contents() == before


def test_death_while_a_snapshot_becomes_one_of_the_configuration_alone(lab, monkeypatch):
    """libvirt cannot change it, so it is forgotten and made again. In between the record knows it."""
    machine = lab("os")
    for name in ("s1", "s2", "s3"):
        run(machine, create(name, description=f"about {name}"))
    held = machine.snapshot_contents()
    real = libvirt.virDomain.snapshotCreateXML

    def dies(domain, text, flags):
        if "<state>disk-snapshot</state>" in text:
            raise Death
        return real(domain, text, flags)

    monkeypatch.setattr(libvirt.virDomain, "snapshotCreateXML", dies)
    with pytest.raises(Death):
        converge(machine.connect(), remove("s2", ["os"]).decide, False)
    monkeypatch.undo()
    assert sorted(machine.vm.snapshots()) == ["s1", "s3"]
    assert machine.snapshots() == {"s1": ["os"], "s2": [], "s3": ["os"]}
    assert machine.view()["unfinished"]
    assert converge(machine.connect(), remove("s2", ["os"]).decide, False).changed
    assert machine.snapshots() == {"s1": ["os"], "s2": [], "s3": ["os"]}
    info = machine.info()["snapshots"]
    assert [(snapshot["parent"], snapshot["description"]) for snapshot in info] == [(None, "about s1"), ("s1", "about s2"), ("s2", "about s3")]
    assert machine.snapshot_contents() == {**held, "s2": {}}


class Death(BaseException):
    """Nothing of the process runs any more."""


def test_others_that_change_the_vm_while_a_preview_is_opened_make_it_go_back(lab):
    machine = lab("os", "data")
    run(machine, create("s1"))
    machine.write_all(1, 10)
    before = machine.contents()

    def others():
        machine.vm.snapshot("theirs", ["data"])

    cut = Cut(machine.connect(), 1, others)
    with pytest.raises(VmError) as raised:
        converge(cut, preview(disks={"os": "s1"}).decide, False)
    assert raised.value.reason == "changed_meanwhile"
    assert "theirs" in raised.value.message
    assert machine.view()["preview"] is None
    assert machine.contents() == before
    assert list(machine.snapshots()) == ["s1", "theirs"]


@pytest.fixture
def small():
    """A libvirtd whose VM has its images on a file system of 3 MiB."""
    folder = Path(tempfile.mkdtemp(prefix="dw", dir="/tmp"))
    place = folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=True)
    try:
        with Daemon(folder) as daemon:
            conn = libvirt.open(daemon.uri)
            machine = LibvirtMachine(daemon, vms.make(conn, place, "vm", ["os", "data"], boot=None, size="1M", console=False, pool=True))
            yield machine
            vms.remove_all(conn)
            conn.close()
    finally:
        subprocess.run(["umount", str(place)], check=True)
        shutil.rmtree(folder)


def fill(folder, leave):
    """Use the space up but for so many bytes; returns the file to delete."""
    ballast = folder / "ballast.log"
    free = shutil.disk_usage(folder).free
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free - leave)))
    return ballast


@pytest.mark.parametrize("verb", [create("s2"), preview("s1"), restore("s1")], ids=lambda verb: verb.name)
def test_no_space_for_the_second_of_two_images(small, verb):
    machine = small
    machine.write_all(1, 10)
    run(machine, create("s1"))
    machine.write_all(1, 20)
    before, files = machine.contents(), machine.files()
    ballast = fill(machine.vm.folder, 240 << 10)  # an empty image takes 196 KiB or more
    error = failed(machine, verb, "no_space")
    assert error.done
    assert error.left
    assert machine.contents() == before
    assert machine.info()["unfinished"] in ("", "snapshot s2 was being created", "a preview was being opened")
    ballast.unlink()
    again = converge(machine.connect(), verb.decide, False)
    assert again.changed
    run(machine, verb, changed=False)
    assert machine.slot("os", 1) == (21 if verb.name == "create" else 11)
    if verb.name == "preview":
        run(machine, undo())
        assert machine.contents() == before
        assert machine.files() == files


def test_no_space_for_the_snapshot_of_a_running_vm(small):
    machine = small
    machine.vm.start(paused=True)
    machine.write_all(1, 10)
    before, files = machine.contents(), machine.files()
    ballast = fill(machine.vm.folder, 240 << 10)
    failed(machine, create("s1"), "no_space")
    ballast.unlink()
    assert machine.contents() == before
    run(machine, create("s1"), foreseen=False)
    assert machine.contents() == before
    assert len(machine.files() - files) == 2


def test_no_space_in_the_middle_of_a_merge(small):
    """What is merged grows the lower image. Nothing is lost, and with room it goes on."""
    machine = small
    run(machine, create("s1", disks=["data"]))
    for slot in range(1, 15):
        machine.write("data", slot, slot)
    now = machine.contents()
    ballast = fill(machine.vm.folder, 300 << 10)
    error = failed(machine, remove("s1"), "no_space")
    assert [step.verb for step in error.done] == ["note-remove"]
    assert machine.contents() == now
    ballast.unlink()
    assert converge(machine.connect(), remove("s1").decide, False).changed
    run(machine, remove("s1"), changed=False)
    assert machine.contents() == now


def test_guest_that_does_not_shut_down_in_time(lab):
    machine = lab("os")
    run(machine, create("s1"))
    machine.start()
    (slow,) = Libvirt(machine.daemon.uri, 1, 1).find([machine.name])
    with pytest.raises(VmError) as raised:
        converge(slow, preview("s1", if_running="shutdown").decide, False)
    assert raised.value.reason == "timeout"
    assert raised.value.state_after["power"] == "up"
    assert [step.verb for step in raised.value.left][:2] == ["stop", "note-preview"]


def test_guest_that_shuts_down_when_it_is_asked(lab):
    machine = lab("os", "data", boot="tape", size="1M")
    machine.start()
    machine.vm.wait_rounds(2)
    run(machine, create("s1"))
    run(machine, restore("s1", if_running="shutdown"))
    assert machine.view()["power"] == "down"
    machine.start()
    run(machine, preview(disks={"data": EXCLUDED}, if_running="shutdown"))
    run(machine, undo())
    machine.start()
    run(machine, preview(disks={"os": "s1"}, if_running="poweroff"))
    machine.start()
    run(machine, commit(if_running="shutdown"))
    assert machine.view()["power"] == "down"
