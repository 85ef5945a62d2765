# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts, silent hosts, cut lines and passing refusals (§15.2 to §15.4)."""

from __future__ import annotations

import http.client
import threading
import time

import pytest

from tests.emulator.client import Client, Reply
from tests.emulator.conftest import Machine, machine
from tests.emulator.control import Emulator


def wait_until(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.005)


def in_background(request: object) -> tuple[threading.Thread, list[object]]:
    """The request's answer, or how it broke."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(request())  # type: ignore[operator]
        except (OSError, http.client.HTTPException) as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


# Restarts
@pytest.mark.parametrize("operation", ["create", "preview", "commit", "undo"])
def test_tasks_go_on_after_a_restart(rest: Client, engine: Emulator, vm: Machine, operation: str) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    if operation in ("commit", "undo"):
        rest.preview(vm.id, s1)
        engine.settle()
    engine.hold()
    requests = {"create": lambda **h: rest.create(vm.id, **h), "preview": lambda **h: rest.preview(vm.id, s1, **h)}
    requests |= {"commit": lambda **h: rest.commit(vm.id, **h), "undo": lambda **h: rest.undo(vm.id, **h)}
    assert requests[operation](correlation_id="r").status < 300
    engine.restart(0)
    assert rest.jobs("r") == ["started"]
    engine.settle()
    assert rest.jobs("r") == ["finished"]
    assert rest.status(vm.id) == "down"


def test_a_cold_merge_does_not_survive(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.snapshot(vm.id, "s2")
    engine.hold()
    rest.delete(f"/vms/{vm.id}/snapshots/{s1}", correlation_id="r")
    engine.step()
    engine.restart(0)
    engine.settle()
    assert (rest.jobs("r"), rest.events("r")[-1]) == (["failed"], 357)
    assert len(rest.snapshot_disks(vm.id, s1)) == 1
    states = sorted(rest.get(f"/disks/{disk}").xml.findtext("status") or "" for disk in vm.disks.values())
    assert states == ["locked", "locked", "ok"]


def test_a_create_in_execution_breaks(rest: Client, engine: Emulator, vm: Machine) -> None:
    before = rest.rows(vm.id), rest.images(vm.id), rest.active(vm.id)
    engine.fault("host.down", seconds=100_000)
    thread, found = in_background(lambda: Client(engine).create(vm.id, correlation_id="c"))
    wait_until(lambda: rest.jobs("c"))
    engine.hold()
    engine.restart(0)
    thread.join()
    assert isinstance(found[0], Exception)
    assert (rest.rows(vm.id), rest.images(vm.id), rest.active(vm.id)) == before
    assert (rest.jobs("c"), rest.events("c")) == (["unknown"], [])
    engine.settle()
    assert (rest.jobs("c"), rest.events("c")) == (["failed"], [69] * 6)
    engine.clear_faults()
    assert rest.create(vm.id).status == 201


def test_a_preview_in_execution_damages_kept_disks(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    before = rest.images(vm.id)
    picks = {vm.disks[alias]: image for alias, image in before.items()} | {vm.disks["os"]: rest.snapshot_disks(vm.id, s1)["os"][0]}
    engine.fault("host.down", seconds=100_000)
    thread, found = in_background(lambda: Client(engine).preview(vm.id, s1, picks, correlation_id="p"))
    wait_until(lambda: rest.jobs("p"))
    engine.restart(0)
    thread.join()
    engine.clear_faults()
    engine.settle()
    assert isinstance(found[0], Exception)
    assert (rest.jobs("p"), rest.events("p"), rest.images(vm.id)) == (["unknown"], [], before)
    assert list(rest.snapshot_disks(vm.id, rest.active(vm.id))) == ["os"]
    assert rest.preview(vm.id, s1).status == 409
    engine.snapshot(vm.id, "repair", [])
    assert rest.preview(vm.id, s1).status == 202


def test_a_restart_ends_logins_and_answers_after_a_while(rest: Client, engine: Emulator) -> None:
    engine.speed(50)
    engine.restart()
    with pytest.raises((OSError, http.client.HTTPException)):
        rest.get("/vms")

    def answers() -> bool:
        try:
            return rest.get("/vms").status == 200
        except (OSError, http.client.HTTPException):
            return False

    wait_until(answers)


# The host
def test_a_request_blocks_while_the_host_is_away(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.speed(100)
    engine.fault("host.down", seconds=20)
    began = time.monotonic()
    assert rest.create(vm.id).status == 201
    assert time.monotonic() - began >= 0.2


def test_a_silent_host_stops_every_vm(rest: Client, engine: Emulator) -> None:
    one, two = machine(engine, "one", ("o",), running=True), machine(engine, "two", ("t",))
    engine.speed(50)
    engine.fault("create.live.silent", seconds=60)
    rest.create(one.id, correlation_id="one")
    wait_until(lambda: "VM.snapshot" in str(engine.faults()) or "create.live.silent" not in engine.faults())
    assert rest.create(two.id, correlation_id="two").status == 201
    assert (rest.jobs("one"), rest.jobs("two")) == (["started"], ["started"])
    engine.settle()
    assert (rest.jobs("one"), rest.events("one"), rest.jobs("two")) == (["failed"], [45, 69], ["finished"])


def test_a_stall(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.fault("engine.stall", seconds=300)
    rest.create(vm.id, correlation_id="c")
    assert rest.jobs("c") == ["started"]
    wait_until(lambda: rest.jobs("c") == ["finished"])


def test_unknown_domain(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.fault("domain.unknown")
    assert rest.preview(vm.id, s1).detail == "[Cannot preview Snapshot. The relevant Storage Domain's status is Unknown.]"
    engine.clear_faults()
    assert rest.preview(vm.id, s1).status == 202


# The line
@pytest.mark.parametrize(("kind", "effect"), [("cut.before", False), ("cut.after", True)])
def test_cut_lines(rest: Client, engine: Emulator, vm: Machine, kind: str, effect: bool) -> None:
    engine.fault(kind, method="POST", path="/snapshots$", nth=2)
    assert rest.create(vm.id, "first").status == 201
    engine.settle()
    with pytest.raises((OSError, http.client.HTTPException)):
        rest.create(vm.id, "second", correlation_id="cut")
    if effect:
        wait_until(lambda: rest.jobs("cut"))
    engine.settle()
    assert ("second" in {row[1] for row in rest.rows(vm.id)}) is effect
    assert rest.jobs("cut") == (["finished"] if effect else [])
    assert rest.create(vm.id, "third").status == 201


def test_a_cut_restore_does_both_halves(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.write(vm.disks["os"], "0", "later")
    engine.fault("cut.after", path="/restore$")
    with pytest.raises((OSError, http.client.HTTPException)):
        rest.post(f"/vms/{vm.id}/snapshots/{s1}/restore", "<action><restore_memory>false</restore_memory></action>", correlation_id="r")
    wait_until(lambda: rest.jobs("r") == ["finished", "finished"])
    assert engine.disk_content(vm.disks["os"]) == {"0": "os 0"}


def test_a_read_crashes_once(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.fault("read.500html", path="follow=snapshots")
    assert rest.get(f"/vms?search=id%3D{vm.id}&follow=snapshots").status == 500
    assert rest.get(f"/vms?search=id%3D{vm.id}&follow=snapshots").status == 200


def test_a_401_in_the_middle(rest: Client, engine: Emulator, vm: Machine) -> None:
    engine.fault("unauthorized", method="POST")
    assert rest.create(vm.id).status == 401
    assert len(rest.rows(vm.id)) == 1
    assert rest.create(vm.id).status == 201


def test_busy_for_a_while(rest: Client, engine: Emulator, vm: Machine) -> None:
    s1 = engine.snapshot(vm.id, "s1")
    engine.fault("busy", method="POST", path="previewsnapshot", times=2)
    engine.fault("busy", method="POST", path="/snapshots$", code="BEING_TAKEN")
    assert rest.create(vm.id).detail == "[Cannot create Snapshot. Snapshot is currently being created for VM vm.]"
    for _time in range(2):
        reply = rest.preview(vm.id, s1)
        assert (reply.status, reply.xml.tag) == (409, "action")
        assert reply.detail == "[Cannot preview Snapshot. Related operation is currently in progress. Please try again later.]"
    assert rest.preview(vm.id, s1).status == 202


def test_slow(rest: Client, engine: Emulator) -> None:
    engine.fault("slow", method="GET", path="/vms", seconds=0.2)
    began = time.monotonic()
    reply: Reply = rest.get("/vms")
    assert reply.status == 200
    assert time.monotonic() - began >= 0.2
