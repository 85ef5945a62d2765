# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves, backups and clones beside snapshots (§12), and the process itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.emulator.client import Client
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import ROOT, Emulator


def other_domain(rest: Client) -> str:
    return f"<action><storage_domain id='{rest.get('/storagedomains').xml[1].get('id')}'/></action>"


def test_a_cold_move_locks_its_disk_only(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1, before = engine.snapshot(vm.id, "s1", [vm.disks["os"]]), rest.images(vm.id)
    engine.hold()
    moved = rest.post(f"/disks/{vm.disks['os']}/move", other_domain(rest))
    assert (moved.status, moved.xml.find("job")) == (200, None)
    for reply in (rest.create(vm.id), rest.delete(f"/vms/{vm.id}/snapshots/{s1}"), rest.preview(vm.id, s1), rest.post(f"/vms/{vm.id}/start")):
        assert "The following disks are locked: os." in reply.detail
    assert rest.create(vm.id, disks=[vm.disks["db"]]).status == 201
    engine.settle()
    assert rest.images(vm.id)["os"] == before["os"]
    domain = rest.get(f"/disks/{vm.disks['os']}").xml.find("storage_domains/storage_domain")
    assert domain is not None
    assert domain.get("id") == rest.get("/storagedomains").xml[1].get("id")


def test_storage_migration_takes_a_snapshot_of_its_own(rest: Client, engine: Emulator) -> None:
    made = machine(engine, "up", running=True)
    s1 = engine.snapshot(made.id, "s1")
    x, before = rest.active(made.id), rest.images(made.id)
    engine.hold()
    assert rest.post(f"/disks/{made.disks['os']}/move", other_domain(rest), correlation_id="m").status == 200
    assert rest.active(made.id) != x
    assert "os Auto-generated for Live Storage Migration" in {row[1] for row in rest.rows(made.id)}
    assert len(rest.jobs("m")) == 4
    assert [rest.create(made.id, disks=[made.disks["db"]]).status, rest.delete(f"/vms/{made.id}/snapshots/{s1}").status] == [409, 409]
    engine.settle()
    assert rest.images(made.id) == before
    assert (rest.events("m"), set(rest.jobs("m"))) == ([2008, 2010], {"finished"})
    assert {row[1] for row in rest.rows(made.id)} == {"Active VM", "s1"}


def test_backup_merges_underneath(rest: Client, engine: Emulator, vm: Machine) -> None:
    x = rest.active(vm.id)
    engine.hold()
    body = f"<backup><disks><disk id='{vm.disks['os']}'/></disks></backup>"
    backup = rest.post(f"/vms/{vm.id}/backups", body)
    assert (backup.status, rest.create(vm.id).status) == (202, 409)
    engine.settle()
    assert rest.get(f"/vms/{vm.id}/backups/{backup.id}").xml.findtext("phase") == "ready"
    engine.release()
    mine = rest.create(vm.id, "mine", [vm.disks["os"]]).id
    engine.settle()
    image = rest.snapshot_disks(vm.id, mine)["os"][0]
    assert rest.post(f"/vms/{vm.id}/backups/{backup.id}/finalize").status == 200
    engine.settle()
    assert rest.snapshot_disks(vm.id, mine)["os"][0] != image
    assert engine.image_content(rest.snapshot_disks(vm.id, mine)["os"][0]) == {"0": "os 0"}
    assert {row[1] for row in rest.rows(vm.id)} == {"Active VM", "mine"}
    assert rest.active(vm.id) != x


def test_clone_from_a_snapshot(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.write(vm.disks["os"], "0", "later")
    body = f"<vm><name>copy</name><snapshots><snapshot id='{s1}'/></snapshots></vm>"
    made = rest.post("/vms?clone=true", body)
    assert made.status == 202
    engine.settle()
    copies = engine.state(made.id)["disks"]
    assert engine.disk_content(copies["os"]["id"]) == {"0": "os 0"}
    rest.preview(vm.id, s1)
    engine.settle()
    assert rest.post("/vms?clone=true", body.replace("copy", "next")).detail == "[Cannot add VM. VM is previewing a Snapshot.]"


# The process
def start(tmp_path: Path, *options: str, password: str | None = "pw") -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != "OVIRT_PASSWORD"}
    if password:
        environment["OVIRT_PASSWORD"] = password
    command = [sys.executable, "-m", "tests.emulator", "--ca-out", str(tmp_path / "ca.pem"), *options]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_says_when_it_is_ready_and_ends_in_order(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        line = process.stdout.readline() if process.stdout else ""
        assert line.startswith("ready https://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=10)
    assert (process.returncode, out, error) == (0, "", "")


def test_it_wants_a_password(tmp_path: Path) -> None:
    with start(tmp_path, password=None) as process:
        out, error = process.communicate(timeout=10)
    assert (process.returncode, out) == (2, "")
    assert "OVIRT_PASSWORD" in error


def test_exports_make_one_up(tmp_path: Path) -> None:
    with start(tmp_path, "--exports", password=None) as process:
        lines = [process.stdout.readline() for _number in range(5)] if process.stdout else []
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert [line.split("=")[0] for line in lines[1:]] == ["export OVIRT_URL", "export OVIRT_USERNAME", "export OVIRT_PASSWORD", "export OVIRT_CAFILE"]
    assert process.returncode == 0


def test_the_small_data_centre(rest: Client, engine: Emulator) -> None:
    engine.reset(empty=False)
    found = rest.get("/vms?search=name%3Dapp01&follow=disk_attachments.disk").xml
    flags = {a.findtext("disk/alias"): a.findtext("bootable") for a in found.iter("disk_attachment")}
    assert flags == {"app01-os": "true", "app01-data": "false", "app01-logs": "false"}


def test_the_log_counts_requests(rest: Client, engine: Emulator, vm: Machine) -> None:
    rest.get("/vms")
    engine.clear_log()
    rest.get(f"/vms/{vm.id}?follow=nics", correlation_id="seen")
    lines = engine.log()
    assert [(line.method, line.path, line.status, line.correlation_id, line.user) for line in lines] == [
        ("GET", f"/vms/{vm.id}?follow=nics", 200, "seen", "admin@internal")
    ]


def test_many_connections(engine: Emulator, vm: Machine) -> None:
    clients = [Client(engine) for _number in range(60)]
    assert {client.get(f"/vms/{vm.id}").status for client in clients for _time in range(2)} == {200}
