# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freezing a guest for a snapshot: a real Linux with its agent, which may hang or be gone.

A file system that was frozen needs no recovery, so the images themselves tell.
"""

from __future__ import annotations

import time

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.libvirt import agent
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._together import together
from tests.contract.machine import LibvirtMachine
from tests.contract.verbs import create, failed, refused, run
from tests.lab import linux as linux_guest
from tests.lab.patience import wait_until


@pytest.fixture
def machine(daemon, linux):
    return LibvirtMachine(daemon, linux)


def was_frozen(machine, snapshot):
    """Whether the images that the snapshot holds are of frozen file systems; all or none."""
    vm = machine.read()
    (found,) = {not linux_guest.recovering(image) for s in vm.snapshots if s.name == snapshot for image in s.images.values()}
    return found


def goes_on(machine):
    """The guest is not frozen: it writes to its disks."""
    before, end = machine.vm.counters(), time.monotonic() + 20
    while min(machine.vm.counters()) <= max(before):
        assert time.monotonic() < end, f"the guest stands still at {before}"
        time.sleep(0.05)
    return not linux_guest.frozen(machine.dom)


@pytest.mark.parametrize("quiesce", ["required", "preferred"])
def test_guest_is_frozen_for_the_snapshot_and_thawed_afterwards(machine, quiesce):
    done = run(machine, create("s1", disks=["os", "data"], quiesce=quiesce))
    assert was_frozen(machine, "s1")
    assert goes_on(machine)
    assert machine.info()["snapshots"][0]["quiesced"] is True
    assert done.decision.warnings == ()


def test_guests_that_are_taken_together_are_frozen_at_once(daemon, machine, folder, linux_build):
    other = LibvirtMachine(daemon, linux_guest.boot(machine.vm.conn, folder, "other", linux_build))
    verb = create("s1", quiesce="required")

    def work(vm, meeting):
        return {"name": vm.name, "changed": converge(vm.connect(), verb.decide, False, meeting=meeting).changed}

    results, skew = together([machine, other], work, 60)
    assert [result["changed"] for result in results] == [True, True]
    assert skew is not None
    for each in (machine, other):
        assert was_frozen(each, "s1")
        assert goes_on(each)


def test_guest_is_not_frozen_when_that_is_not_wanted(machine):
    run(machine, create("s1", quiesce="never"))
    assert not was_frozen(machine, "s1")
    assert goes_on(machine)
    assert machine.info()["snapshots"][0]["quiesced"] is None


def test_memory_is_saved_without_freezing(machine):
    refused(machine, create("s1", memory=True, quiesce="required"), "quiesce_with_memory")
    run(machine, create("s1", memory=True))
    assert not was_frozen(machine, "s1")
    assert goes_on(machine)


def test_absent_agent_fails_what_is_required(machine):
    linux_guest.end_agent(machine.dom)
    assert wait_until(lambda: machine.read().agent is False)
    assert "agent" in failed(machine, create("s1", quiesce="required"), "quiesce_impossible").message
    assert machine.snapshots() == {}


def test_absent_agent_is_reported_where_it_is_preferred(machine):
    linux_guest.end_agent(machine.dom)
    assert wait_until(lambda: machine.read().agent is False)
    done = run(machine, create("s1", quiesce="preferred"))
    assert "the guest was not frozen" in done.decision.warnings[0]
    assert not was_frozen(machine, "s1")


def test_hung_agent_fails_what_is_required_and_never_leaves_the_guest_frozen(machine, monkeypatch):
    """The agent executes the freeze late, when nobody waits for it any more."""
    monkeypatch.setattr(agent, "AGENT_SECONDS", 1)
    files = machine.files()
    with waking(machine, 2.5):
        error = failed(machine, create("s1", quiesce="required"), "quiesce_failed")
    assert [step.verb for step in error.left][:1] == ["snapshot"]
    assert goes_on(machine)
    assert machine.snapshots() == {}
    assert machine.files() == files
    run(machine, create("s1", quiesce="required"))
    assert was_frozen(machine, "s1")


def test_hung_agent_is_noted_where_freezing_is_preferred(machine, monkeypatch):
    monkeypatch.setattr(agent, "AGENT_SECONDS", 1)
    with waking(machine, 2.5):
        run(machine, create("s1", quiesce="preferred"))
    assert machine.info()["snapshots"][0]["quiesced"] is False
    assert not was_frozen(machine, "s1")
    assert goes_on(machine)


class waking:
    """The agent hangs, and goes on after these seconds, whatever is done meanwhile."""

    def __init__(self, machine, seconds):
        import threading

        import libvirt

        linux_guest.hang_agent(machine.dom)
        conn = libvirt.open(machine.daemon.uri)
        self._timer = threading.Timer(seconds, lambda: (linux_guest.wake_agent(conn.lookupByName(machine.name)), conn.close()))

    def __enter__(self):
        self._timer.start()

    def __exit__(self, *_exception):
        self._timer.join()
