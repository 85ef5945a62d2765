# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the lab itself work? An oracle is only good if it can fail, so each is also shown a case where it must."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import libvirt
import pytest

from tests.lab import content, guest
from tests.lab import linux as linux_guest
from tests.lab import vm as vms
from tests.lab.daemon import Daemon, DaemonError, children
from tests.lab.patience import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# The private libvirtd


def test_daemon_is_private(daemon, vm):
    here = vm("same")
    with Daemon() as other:
        there = libvirt.open(other.uri)
        assert there.listAllDomains() == []
        assert there.listAllNetworks() == []
        assert there.listAllStoragePools() == []
        folder = other.folder / "x"
        folder.mkdir()
        twin = vms.make(there, folder, "same", ["os"])
        assert twin.uuid != here.uuid
        twin.start()
        assert not here.active
        there.close()
    assert here.uuid  # still there
    if os.geteuid() == 0:
        assert os.readlink(f"/proc/{daemon.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
        assert not Path("/etc/libvirt/qemu/same.xml").exists()
        assert str(daemon.folder) not in Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize("killed", [True, False])
def test_guests_outlive_libvirtd(daemon, vm, killed):
    v = vm()
    v.start()
    qemu, before = v.pid, daemon.pid
    if killed:
        daemon.kill()
        assert daemon.pid is None
        with pytest.raises(libvirt.libvirtError):
            v.dom.state()
    daemon.restart()
    assert daemon.pid != before
    v.conn = libvirt.open(daemon.uri)
    assert v.active
    assert v.pid == qemu
    v.wait_rounds(2)
    v.shutdown()


def test_stop_leaves_nothing():
    daemon = Daemon().start()
    opened = libvirt.open(daemon.uri)
    folder = daemon.folder / "x"
    folder.mkdir()
    v = vms.make(opened, folder, "vm")
    v.start()
    processes = [daemon.keeper, daemon.pid, v.pid]
    assert all(map(alive, processes))
    assert set(processes[1:]) <= set(children(daemon.keeper))
    opened.close()
    daemon.stop()
    assert not any(map(alive, processes))
    assert not daemon.folder.exists()


def test_everything_ends_with_the_process_that_started_it():
    script = (
        "import libvirt, os, signal\n"
        "from tests.lab import vm as vms\n"
        "from tests.lab.daemon import Daemon\n"
        "daemon = Daemon().start()\n"
        "(daemon.folder / 'x').mkdir()\n"
        "v = vms.make(libvirt.open(daemon.uri), daemon.folder / 'x', 'vm')\n"
        "v.start()\n"
        "print(daemon.folder, daemon.keeper, daemon.pid, v.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder, *processes = done.stdout.split()
    assert len(processes) == 3
    assert wait_until(lambda: not any(alive(int(pid)) for pid in processes))
    shutil.rmtree(folder)


def test_a_libvirtd_that_does_not_start_is_an_error_with_its_log(tmp_path):
    daemon = Daemon()
    (daemon.folder / "run").mkdir()
    (daemon.folder / "run/libvirt").write_text("in the way")
    with pytest.raises(DaemonError, match=r"(?s)libvirtd does not start.*--- .*libvirt"):
        daemon.start()
    shutil.rmtree(daemon.folder)
    with pytest.raises(ValueError, match="too long"):
        Daemon(tmp_path / ("x" * 90))


def test_replaced_daemon_has_no_guests_and_knows_its_vms():
    with Daemon() as other:
        there = libvirt.open(other.uri)
        folder = other.folder / "x"
        folder.mkdir()
        made = vms.make(there, folder, "vm", ["os"])
        made.start()
        qemu = made.pid
        os.kill(other.pid, signal.SIGSTOP)  # it answers no more
        other.replace()
        assert not alive(qemu)
        made.conn = libvirt.open(other.uri)
        assert not made.active
        made.start()
        made.conn.close()


def test_daemon_as_a_program():
    folder = Daemon().folder
    program = subprocess.Popen([sys.executable, "-m", "tests.lab.daemon", str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    opened = libvirt.open(program.stdout.readline().strip())
    assert opened.listAllDomains() == []
    opened.close()
    program.terminate()
    assert program.wait(20) == 0
    shutil.rmtree(folder)


# The tape guest


@pytest.mark.skipif(not (shutil.which("as") and shutil.which("ld")), reason="no assembler")
def test_the_committed_bytes_are_the_source(tmp_path):
    subprocess.run(["as", "--32", "-o", tmp_path / "tape.o", Path(__file__).with_name("tape.S")], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", tmp_path / "tape.bin", tmp_path / "tape.o"], check=True)
    assert (tmp_path / "tape.bin").read_bytes() == guest.boot_sector()


@pytest.mark.parametrize("bus", ["virtio", "scsi"])
def test_tape_lives(vm, bus):
    v = vm(bus=bus, version="7")
    v.start()
    assert guest.boots(v.serial) == [[0, 0, 0]]
    moments = []
    for name in ("soon", "later"):  # scsi images show only what the guest has flushed; a snapshot flushes
        frozen = v.images().values()
        v.snapshot(name)
        moments.append(guest.counters(*frozen))
        time.sleep(0.5)
    soon, later = moments
    assert guest.consistent(soon)
    assert guest.consistent(later)
    assert later[2] > soon[0]
    v.shutdown()
    last = v.counters()
    assert guest.consistent(last)
    assert int(guest.wait_for(v.serial, guest.OFF, 1).group(1), 16) == last[0] == last[2]
    v.start()
    assert guest.boots(v.serial)[-1] == last
    assert guest.wait_for(v.serial, guest.BOOT, 1).group(1) == "7"


def test_tape_with_memory_of_two_mib_and_slow_rounds(vm):
    v = vm(memory=2, ticks=36)
    v.start()
    time.sleep(1)
    assert v.counters()[0] <= 2
    assert v.wait_rounds(1)[2] >= 1


def test_atomic_snapshots_hold_the_order(vm):
    v = vm()
    v.start()
    for number in range(8):
        time.sleep(0.037)
        frozen = list(v.images().values())
        v.snapshot(f"s{number}")
        assert guest.consistent(guest.counters(*frozen))


def test_snapshots_one_by_one_break_the_order(vm):
    v = vm()
    v.start()
    frozen = v.images()
    for disk in v.disks:
        v.snapshot(disk.name, [disk.name])
        time.sleep(0.2)
    assert not guest.consistent([guest.counter(frozen[d.target]) for d in v.disks])


def test_memory_and_its_own_disks_fit_and_others_are_told(vm):
    v = vm()
    v.start()
    v.wait_rounds()
    first = v.images()
    memory = v.snapshot("first", memory=True)
    v.wait_rounds(8)
    second = v.images()
    v.snapshot("second", memory=True)
    v.destroy()

    def back(images: dict[str, Path], name: str) -> list:
        start = guest.size(v.serial)
        overlays = {t: content.create(v.folder / f"{t}.{name}.qcow2", backing=image) for t, image in images.items()}
        before = guest.counters(*images.values())
        v.restore(memory, overlays)
        v.wait_rounds(4)
        assert guest.counters(*images.values()) == before  # only the overlays are written
        assert min(v.counters()) > before[0]
        v.destroy()
        return guest.stale(v.serial, start)

    assert back(first, "same") == []
    mixed = back({**first, v.target("data"): second[v.target("data")]}, "mixed")
    assert mixed
    assert {line[0] for line in mixed} == {1}


def test_halted_and_blank_guests(vm):
    halted = vm("halted", ["os"], boot="halt")
    halted.start()
    blank = vm("blank", boot=None)
    blank.start(paused=True)
    assert halted.active
    assert blank.dom.state()[0] == libvirt.VIR_DOMAIN_PAUSED
    assert blank.counters() == [0, 0, 0]


# Disks and contents


def test_all_kinds_of_disks(vm, folder):
    media = folder / "media.iso"
    media.write_bytes(b"\1" * 65536)
    kinds = [vms.cdrom("empty"), vms.cdrom("full", media), vms.floppy(), vms.shareable(), vms.readonly(), vms.transient()]
    v = vm("kinds", ["os", "data", *kinds], fmt="raw")
    assert list(v.images()) == [v.target(name) for name in ("os", "data", "shared", "fixed", "scratch")]
    xml = v.dom.XMLDesc()
    assert [xml.count(flag) for flag in ("<shareable/>", "<transient/>", "<readonly/>")] == [1, 1, 3]
    assert "protocol='nbd'" in vm("far", ["os", vms.network()]).dom.XMLDesc()
    v.dom.undefine()
    v = vm("kinds2", ["os", *(kind for kind in kinds if not kind.transient)])
    v.start()
    v.wait_rounds(2)


@pytest.mark.skipif(not vms.loop_devices(), reason="no loop devices here")
def test_block_device(vm):
    v = vm(disks=["os", vms.block()])
    device = v.image("lun")
    assert str(device).startswith("/dev/")
    v.start()
    v.wait_rounds(2)
    v.snapshot("s")
    assert guest.consistent(guest.counters(v.disks[0].path, device))
    v.clean()
    assert str(device) not in subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout


def test_pool_of_the_folder(vm, conn, folder):
    vm("pooled", pool=True)
    volumes = {volume.name() for volume in conn.storagePoolLookupByTargetPath(str(folder)).listAllVolumes()}
    assert {"pooled.os.qcow2", "pooled.data.qcow2", "pooled.logs.qcow2"} <= volumes


def test_contents(folder):
    base = content.create(folder / "base.qcow2", "1M")
    content.write(base, 65536, 0x11, 4096)
    top = content.create(folder / "top.qcow2", backing=base)
    assert content.digest(top) == content.digest(base)
    assert content.chain(top) == [str(top), str(base)]
    content.write(top, 0, 0x22, 512)
    content.put(top, 512, b"here")
    data = content.read(top)
    assert len(data) == 1 << 20
    assert data[:516] == b"\x22" * 512 + b"here"
    assert data[65536 : 65536 + 4096] == b"\x11" * 4096
    assert content.peek(top, 65530, 12) == bytes(6) + b"\x11" * 6
    assert content.peek(base, 0, 4) == bytes(4)
    assert content.digest(top) != content.digest(base)
    raw = content.create(folder / "raw.img", "1M", "raw")
    content.put(raw, 0, data)
    assert content.digest(raw) == content.digest(top)
    assert content.check(top) == {}
    assert content.check(raw) == {}
    assert content.info(top)["backing-filename-format"] == "qcow2"
    with top.open("r+b") as file:  # the table of reference counts: everything is "unused" now
        file.seek(65536)
        file.write(bytes(65536))
    assert content.check(top)
    with pytest.raises(content.ContentError):
        content.write(top, 2 << 20, 1, 512)


@pytest.mark.parametrize("bus", ["virtio", "scsi", "sata"])
def test_write_into_a_paused_guest(vm, bus):
    v = vm(bus=bus, boot=None, machine="q35" if bus == "sata" else "pc")
    v.start(paused=True)
    with pytest.raises(content.ContentError, match="lock"):
        content.write(v.image("data"), 0, 1, 512)
    frozen = v.image("data")
    content.write_running(v.dom, v.target("data"), 4096, 0x33, 512)
    v.snapshot("s")
    content.write_running(v.dom, v.target("data"), 4096, 0x44, 512)
    assert content.peek(frozen, 4096, 512) == b"\x33" * 512
    assert content.peek(v.image("data"), 4096, 512) == b"\x44" * 512
    assert content.peek(v.image("logs"), 4096, 512) == bytes(512)


# The Linux guest


def test_linux_boots_and_shuts_down(conn, folder, linux_build):
    v = linux_guest.boot(conn, folder, "lin", linux_build)
    assert sorted(v.run("cd /; ls -d os data logs").split()) == ["data", "logs", "os"]
    assert {(mount[0], mount[3][0]) for mount in v.dom.fsInfo()} == {("/os", "vda"), ("/data", "vdb"), ("/logs", "vdc")}
    with pytest.raises(linux_guest.GuestError, match="exit code 3"):
        v.run("exit 3")
    assert wait_until(lambda: min(v.counters()) > 2)
    v.shutdown()
    assert guest.consistent(v.counters())
    assert [linux_guest.recovering(image) for image in v.images().values()] == [False] * 3
    assert [linux_guest.defects(image) for image in v.images().values()] == [""] * 3


def test_linux_freezes(linux):
    images = list(linux.images().values())
    assert all(map(linux_guest.recovering, images))
    assert not linux_guest.frozen(linux.dom)
    linux.dom.fsFreeze()
    assert linux_guest.frozen(linux.dom)
    assert not any(map(linux_guest.recovering, images))
    still = linux.counters()
    time.sleep(0.3)
    assert linux.counters() == still
    assert guest.consistent(still)
    linux.dom.fsThaw()
    assert wait_until(lambda: linux.counters()[2] > still[0])
    assert all(map(linux_guest.recovering, images))


@pytest.mark.parametrize("quiesce", [True, False])
def test_linux_snapshot_of_some_disks(linux, quiesce):
    frozen = linux.images()
    linux.snapshot("s", ["os", "data"], quiesce=quiesce)
    assert [linux_guest.recovering(frozen[linux.target(name)]) for name in ("os", "data")] == [not quiesce] * 2
    assert linux.images()[linux.target("logs")] == frozen[linux.target("logs")]
    assert not linux_guest.frozen(linux.dom)


def test_linux_memory_brings_back_the_moment(linux):
    linux.run("echo before >/run/marker; echo before >/data/marker; sync")
    boot, images = linux.run("cat /run/boot"), linux.images()
    memory = linux.snapshot("m", memory=True)
    linux.run("echo after >/run/marker; echo after >/data/marker; sync")
    linux.destroy()
    linux.restore(memory, {t: content.create(linux.folder / f"{t}.back.qcow2", backing=image) for t, image in images.items()})
    linux_guest.wait_agent(linux.dom)
    assert linux.run("cat /run/marker /data/marker") == "before\nbefore\n"
    assert linux.run("cat /run/boot") == boot


def test_linux_agent_hangs_and_wakes(linux):
    linux_guest.hang_agent(linux.dom)
    linux.dom.agentSetResponseTimeout(1, 0)
    with pytest.raises(libvirt.libvirtError) as failure:
        linux.snapshot("s", quiesce=True)
    assert failure.value.get_error_code() == libvirt.VIR_ERR_AGENT_UNRESPONSIVE
    assert linux.snapshots() == []
    linux_guest.wake_agent(linux.dom)
    # the late agent executes the freeze that had failed
    assert wait_until(lambda: linux_guest.frozen(linux.dom))
    linux.dom.fsThaw()
    assert not linux_guest.frozen(linux.dom)
    linux_guest.end_agent(linux.dom)
    with pytest.raises(libvirt.libvirtError):
        linux_guest.agent(linux.dom, "guest-ping", 1)


def test_linux_build_is_deterministic(linux_build, tmp_path):
    shutil.copytree(linux_build.folder / "debs", tmp_path / "debs")
    again = linux_guest.build(tmp_path)
    for one, other in [
        (linux_build.kernel, again.kernel),
        (linux_build.initrd, again.initrd),
        *((linux_build.disk(x), again.disk(x)) for x in linux_guest.DISKS),
    ]:
        assert one.read_bytes() == other.read_bytes(), one.name
    release = linux_guest.disk(tmp_path / "more.qcow2", "os", files={"release": b"2", "etc/deep/name": b"x"})
    assert linux_guest.counter(release) == 0
    assert linux_guest.defects(release) == ""
    assert linux_guest.disk(tmp_path / "twice.qcow2", "os", files={"release": b"2", "etc/deep/name": b"x"}).read_bytes() == release.read_bytes()
