# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Searches, follows and listings (§2.7, §3)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.emulator.client import Client
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator


@pytest.fixture
def three(engine: Emulator) -> None:
    for name in ("alpha", "Beta", "alphabet"):
        machine(engine, name, ())


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("name=alpha", ["alpha"]),
        ("name = alpha", ["alpha"]),
        ('name="alpha"', ["alpha"]),
        ("NAME=ALPHA", ["alpha"]),
        ("name=alpha*", ["alpha", "alphabet"]),
        ("name=*a", ["alpha", "Beta"]),
        ("name=alph?", []),
        ("name=alpha or name=beta", ["alpha", "Beta"]),
        ("name=alpha* and name!=alphabet", ["alpha"]),
        ("alphab", ["alphabet"]),
        ("LPH", ["alpha", "alphabet"]),
        ("default", ["alpha", "Beta", "alphabet"]),
        ("alpha beta", []),
        ("sortby name desc", ["Beta", "alphabet", "alpha"]),
        ("name=a* sortby name desc", ["alphabet", "alpha"]),
        ("", ["alpha", "Beta", "alphabet"]),
        ("Vms: name=alpha", []),
        ('name="alpha', []),
        ("name='alpha'", []),
        ("name in (alpha)", []),
        ("nosuch=alpha", []),
        ("name=alpha page x", []),
    ],
)
def test_vm_search(rest: Client, search: str, names: list[str]) -> None:
    found = rest.get(f"/vms?search={quote(search)}").texts("vm/name")
    assert (found if "sortby" in search else sorted(found)) == (names if "sortby" in search else sorted(names))


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(("limit", "count"), [("1", 1), ("0", 0), ("-1", 3), ("many", 3)])
def test_max(rest: Client, limit: str, count: int) -> None:
    assert len(rest.get(f"/vms?max={limit}").texts("vm/name")) == count


@pytest.mark.usefixtures("three")
def test_pages_and_case(rest: Client) -> None:
    assert rest.get(f"/vms?max=2&search={quote('sortby name page 2')}").texts("vm/name") == ["Beta"]
    assert rest.get(f"/vms?case_sensitive=true&search={quote('name=beta')}").texts("vm/name") == []


def test_searches_that_reach_the_database(rest: Client) -> None:
    for path in ("/vms?search=id%3Dxyz", "/jobs?search=status%3Dfinished"):
        reply = rest.get(path)
        assert reply.status == 400
        assert "SQL" in reply.detail


def test_jobs_are_found_by_the_exact_correlation_id(rest: Client, engine: Emulator, vm: Machine) -> None:
    rest.create(vm.id, disks=[], correlation_id="One-1")
    engine.settle()
    assert rest.jobs("One-1") == ["finished"]
    assert rest.jobs("one-1") == []
    assert rest.jobs("One*") == []
    assert rest.events("one*") == [45, 68]


def test_disks_by_name(rest: Client, vm: Machine) -> None:
    assert [disk.get("id") for disk in rest.get("/disks?search=name%3Ddb").xml.findall("disk")] == [vm.disks["db"]]
    assert len(rest.get(f"/disks?search=id%3D{vm.disks['os']}").xml.findall("disk")) == 1


def test_full_read(rest: Client, engine: Emulator, vm: Machine) -> None:
    first = rest.create(vm.id, "one", [vm.disks["os"]]).id
    engine.settle()
    reply = rest.get(f"/vms?search=id%3D{vm.id}&follow=snapshots,disk_attachments.disk.disk_snapshots,nics,cdroms&include_active=true").xml
    images = {
        attachment.findtext("disk/alias"): [
            (image.find("snapshot") is not None, image.find("parent") is not None) for image in attachment.findall("disk/disk_snapshots/disk_snapshot")
        ]
        for attachment in reply.iter("disk_attachment")
    }
    assert images == {"os": [(True, False), (False, True)], "db": [(False, False)], "data": [(False, False)]}
    assert [row.get("id") for row in reply.iter("snapshot") if row.findtext("description") == "one"] == [first]
    assert all(row.find("vm") is not None and row.findall("link") for row in reply.findall("vm/snapshots/snapshot"))


@pytest.mark.parametrize(
    "path", ["/vms/{}/snapshots?follow=disks", "/vms/{}/snapshots?follow=nics", "/vms/{}?follow=snapshots.disks", "/vms/{}?follow=nonsense"]
)
def test_follows_that_crash(rest: Client, vm: Machine, path: str) -> None:
    reply = rest.get(path.format(vm.id))
    assert reply.status == 500
    assert "Problem following" in reply.text


def test_plain_listing(rest: Client, engine: Emulator, vm: Machine) -> None:
    """ACTIVE has neither VM nor links in it, and never an OVF."""
    rest.create(vm.id, "one")
    engine.settle()
    rows = rest.get(f"/vms/{vm.id}/snapshots?all_content=true").xml.findall("snapshot")
    shown = [(row.find("vm") is not None, bool(row.findall("link")), row.find("initialization") is not None) for row in rows]
    assert shown == [(False, False, False), (True, True, True)]
    assert rows[1].findtext("vm/name") == "vm"
    assert len(rest.get(f"/vms/{vm.id}/snapshots?max=1").xml) == 1
    assert "initialization" in rest.get(f"/vms/{vm.id}/snapshots", all_content="true").text
    alone = rest.get(f"/vms/{vm.id}/snapshots/{rest.active(vm.id)}?follow=disks").xml
    assert alone.findtext("vm/name") == "vm"
    assert sorted(disk.findtext("alias") or "" for disk in alone.findall("disks/disk")) == ["data", "db", "os"]


def test_ovf_has_settings_nics_and_flags(rest: Client, engine: Emulator) -> None:
    logs = {"name": "logs", "read_only": True, "plugged": False, "interface": "virtio", "pass_discard": True}
    made = engine.make_vm("ovf", ["os", logs], description="before <x>")
    data = rest.create(made).xml.findtext("initialization/configuration/data") or ""
    assert "<Description>before &lt;x&gt;</Description>" in data
    assert 'ovf:boot="true"' in data
    assert 'ovf:disk-interface="VirtIO" ovf:read-only="true"' in data
    assert 'ovf:pass-discard="true"' in data
    assert "<IsPlugged>false</IsPlugged><IsReadOnly>true</IsReadOnly>" in data
    assert "<rasd:MACAddress>56:6f:" in data


def test_guest_fields_only_with_an_agent(rest: Client, engine: Emulator) -> None:
    made = engine.make_vm("guest", ["os"], running=True)
    assert rest.get(f"/vms/{made}").xml.find("fqdn") is None
    assert len(rest.get(f"/vms/{made}/applications").xml) == 0
    engine.agent(made, True)
    assert rest.get(f"/vms/{made}").xml.find("guest_operating_system") is not None
    assert len(rest.get(f"/vms/{made}/applications").xml) > 0


def test_many_images_are_read_fast_enough_to_poll(rest: Client, engine: Emulator) -> None:
    made = engine.make_vm("big", [f"d{number}" for number in range(26)])
    for number in range(20):
        engine.snapshot(made, f"s{number}")
    reply = rest.get(f"/vms?search=id%3D{made}&follow=snapshots,disk_attachments.disk.disksnapshots&include_active=true")
    assert len(list(reply.xml.iter("disk_snapshot"))) == 26 * 21
