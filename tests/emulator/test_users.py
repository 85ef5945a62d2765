# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ordinary users (§2.6)."""

from __future__ import annotations

import pytest

from tests.emulator.client import Client
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator

FORBIDDEN = "[User is not authorized to perform this action.]"


@pytest.fixture
def least(engine: Emulator, vm: Machine) -> Client:
    engine.user("op", "pw", vm.id)
    return Client(engine, "op@internal", "pw")


def test_the_least_role_can_do_all_with_snapshots(least: Client, engine: Emulator, vm: Machine) -> None:
    made = least.create(vm.id, "mine", correlation_id="c")
    assert made.status == 201
    engine.settle()
    assert "initiated by op@internal-authz" in least.get("/events?search=correlation_id%3Dc").texts("event/description")[1]
    assert least.preview(vm.id, made.id).status == 202
    engine.settle()
    assert least.undo(vm.id).status == 202
    engine.settle()
    assert least.delete(f"/vms/{vm.id}/snapshots/{made.id}/disks/{vm.disks['os']}").status == 200
    engine.settle()
    assert least.delete(f"/vms/{vm.id}/snapshots/{made.id}").status == 200


def test_the_least_role_can_do_nothing_else(least: Client, vm: Machine) -> None:
    for verb in ("start", "stop", "freezefilesystems"):
        reply = least.post(f"/vms/{vm.id}/{verb}")
        assert (reply.status, reply.xml.tag, reply.detail) == (403, "action", FORBIDDEN)
    assert least.delete(f"/vms/{vm.id}").status == 403
    assert least.put(f"/vms/{vm.id}", "<vm><name>x</name></vm>").status == 403


def test_jobs(least: Client, rest: Client, engine: Emulator, vm: Machine) -> None:
    least.create(vm.id, correlation_id="c")
    engine.settle()
    job = rest.get("/jobs?search=correlation_id%3Dc").xml.find("job")
    assert job is not None
    for path in ("/jobs", "/jobs?search=correlation_id%3Dc", f"/jobs/{job.get('id')}/steps"):
        reply = least.get(path)
        assert (reply.status, reply.detail) == (400, "query execution failed due to insufficient permissions.")
    assert least.get(f"/jobs/{job.get('id')}").xml.findtext("status") == "finished"
    assert least.events("c") == [45, 68]


def test_single_disks_only_below_the_vm(least: Client, rest: Client, engine: Emulator, vm: Machine) -> None:
    image = rest.snapshot_disks(vm.id, engine.snapshot(vm.id, "s1"))["os"][0]
    domain = rest.get("/storagedomains").xml[0].get("id")
    assert least.delete(f"/storagedomains/{domain}/disksnapshots/{image}").status == 400
    crashed = least.delete(f"/disks/{vm.disks['os']}/disksnapshots/{image}")
    assert (crashed.status, crashed.xml.find("detail")) == (500, None)


def test_a_foreign_vm(least: Client, engine: Emulator) -> None:
    foreign = machine(engine, "foreign", ("f",))
    s1 = engine.snapshot(foreign.id, "theirs")
    assert (least.get(f"/vms/{foreign.id}").status, least.get(f"/vms/{foreign.id}").text) == (404, "")
    assert least.get("/vms?search=name%3Dforeign", filter="true").texts("vm/name") == []
    listing = least.get(f"/vms/{foreign.id}/snapshots")
    assert (listing.status, len(listing.xml)) == (200, 0)
    created, removed = least.create(foreign.id), least.delete(f"/vms/{foreign.id}/snapshots/{s1}")
    assert (created.status, created.detail, removed.status) == (403, FORBIDDEN, 403)


def test_a_user_without_the_right(engine: Emulator, vm: Machine) -> None:
    engine.user("reader", "pw", vm.id, permits={"login"})
    reader = Client(engine, "reader@internal", "pw")
    assert reader.get(f"/vms/{vm.id}").status == 200
    assert reader.create(vm.id).status == reader.undo(vm.id).status == 403
