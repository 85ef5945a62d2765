# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two at work on one VM, what others do at the worst moment, and an engine that is slow, busy, or forgets who is logged in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.scenes import SCENES, SHOWN, Scene, all_rests, error_of, fresh, hurried, picture, run
from tests.contract.verbs import commit, create, preview, remove, undo

OLD = preview("s1")
OTHER = preview("s2")
CLEAN = {
    "changed_meanwhile",
    "engine_busy",
    "gone",
    "in_preview",
    "not_as_planned",
    "other_preview",
    "snapshot_differs",
    "unknown_snapshot",
    "vm_running",
    "vm_state",
}
"""What the one that loses may be told."""

RACES = [
    ("the same snapshot", None, create("new"), create("new"), ()),
    ("two snapshots", None, create("new"), create("newer"), ()),
    ("the same preview", None, OLD, OLD, ()),
    ("the same preview of now", None, SHOWN, SHOWN, (undo(),)),
    ("two previews", None, OLD, OTHER, (undo(),)),
    ("two commits", OLD, commit(), commit(), ()),
    ("two undos", OLD, undo(), undo(), ()),
    ("commit and undo", OLD, commit(), undo(), ()),
    ("the same removal", None, remove("s1"), remove("s1"), ()),
    ("two removals", None, remove("s1"), remove("s2"), ()),
    ("a snapshot and a preview", None, create("new"), OLD, (undo(),)),
]


def attempt(backend, verb):
    try:
        return converge(backend, verb.decide, False)
    except VmError as error:
        return error


@pytest.mark.parametrize(("name", "first", "one", "other", "last"), RACES, ids=[race[0] for race in RACES])
def test_two_controllers(center, name, first, one, other, last):
    machine = Scene(name, one, (), first).machine(center)
    before = picture(machine)
    with hurried(1.0):
        backends = [fresh(machine), fresh(machine)]
        for backend in backends:
            backend.read()  # both decide on what they saw before the other began
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(attempt, backends, (one, other)))
        errors = [result for result in results if isinstance(result, VmError)]
        assert {error.reason for error in errors} <= CLEAN, [error.message for error in errors]
        for verb in (one, other):
            error = error_of(machine, verb)
            assert error is None or error.reason in CLEAN, error.message
        names = [snapshot.name for snapshot in fresh(machine).read().snapshots]
        assert len(names) == len(set(names))
        for verb in last:
            error = error_of(machine, verb)
            assert error is None or error.reason in CLEAN, error.message
        all_rests(machine)
    held = picture(machine)
    if last and "new" not in names:
        assert held == before
    for _kind, status, _description, _memory, _broken, disks in held["rows"]:
        assert status in ("ok", "in_preview")
        assert "no volume" not in disks.values()


RIVALS = {
    "two previews": (None, OLD, OTHER),
    "old and now": (None, OLD, SHOWN),
    "two of now": (None, preview(disks={"os": "s1"}), preview(disks={"os": "s2"})),
    "commit and undo": (OLD, commit(), undo()),
}
"""What they want cannot be had together."""


@pytest.mark.parametrize("ordinary", [False, True], ids=["administrators", "users"])
@pytest.mark.parametrize("rivals", RIVALS)
def test_exactly_one_wins(center, rivals, ordinary):
    first, *verbs = RIVALS[rivals]
    wanted = []
    for verb in verbs:
        wanted.append(undisturbed_end(center, first, verb))
    machine = Scene(rivals, verbs[0], (), first).machine(center)
    with hurried(1.0):
        backends = [as_user(machine, f"op{number}") if ordinary else fresh(machine) for number in range(2)]
        for backend in backends:
            backend.read()
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(attempt, backends, verbs))
        machine.engine.settle()
        said = [result.message if isinstance(result, VmError) else result.changed for result in results]
        won = [number for number, result in enumerate(results) if not isinstance(result, VmError) and result.changed]
        assert len(won) == 1, said
        loser = results[1 - won[0]]
        assert isinstance(loser, VmError), said
        assert loser.reason in CLEAN, said
        assert loser.hint
        assert end(machine) == wanted[won[0]], said


def end(machine):
    """What the VM shows, without snapshots of our own, which the loser may have left beside a preview."""
    found = picture(machine)
    shown = {name: (held, attachment["plugged"]) for name, (attachment, held, _number, _statuses) in found["disks"].items() if attachment}
    return shown, [row[2] for row in found["rows"] if not row[2].startswith("diskwise.vm:")], found["status"]


def undisturbed_end(center, first, verb):
    machine = Scene("alone", verb, (), first).machine(center)
    run(machine, verb)
    found = end(machine)
    machine.engine.reset()
    return found


def as_user(machine, name):
    """An ordinary user, who may also edit the VM's disks."""
    permits = ("login", "manipulate_vm_snapshots", "configure_vm_storage", "edit_vm_properties", "edit_disk_properties")
    user = machine.engine.user(name, "s3cret", machine.id, permits)
    return machine.connect(replace(machine.login, username=user, password="s3cret"))


@pytest.mark.parametrize("verb", [OLD, SHOWN], ids=["old", "now"])
def test_a_foreign_snapshot_just_before_a_preview(center, verb):
    machine = SCENES["preview"].machine(center)
    content = machine.contents()
    machine.engine.then("POST", "previewsnapshot", "snapshot", vm=machine.id, description="foreign")
    with hurried(1.0):
        error = error_of(machine, verb)
        assert error.reason == "changed_meanwhile", error.message
        assert machine.contents() == content
        assert [snapshot.name for snapshot in fresh(machine).read().snapshots] == ["s1", "s2", "s3", "foreign"]
        run(machine, undo())
        all_rests(machine)
        assert run(machine, verb).changed


@pytest.mark.parametrize("verb", [OLD, SHOWN], ids=["old", "now"])
def test_a_new_disk_just_before_a_preview(center, verb):
    machine = SCENES["preview"].machine(center)
    machine.engine.then("POST", "previewsnapshot", "attach_disk", vm=machine.id, name="late", content={"0": "kept"})
    with hurried(1.0):
        error = error_of(machine, verb)
        assert error.reason == "changed_meanwhile", error.message
        run(machine, undo())
        assert machine.contents()["late"] == {"0": "kept"}
        all_rests(machine)
        assert run(machine, verb).changed


@pytest.mark.parametrize("scene", ["create", "preview", "preview-old", "commit-old", "undo-old", "remove"])
def test_a_busy_engine_is_waited_for(center, scene):
    machine = SCENES[scene].machine(center)
    method = SCENES[scene].sends[0].split()[0]
    machine.engine.fault("busy", method=method, path="/vms/", times=3)
    with hurried(1.0):
        assert run(machine, SCENES[scene].verb).changed
        assert machine.engine.faults() == []
        all_rests(machine)


@pytest.mark.parametrize("scene", ["create", "preview", "commit", "undo", "remove"])
def test_tokens_that_expire_in_the_middle(center, scene):
    machine = SCENES[scene].machine(center)
    machine.engine.then("GET", "/jobs", "expire_tokens")
    with hurried(1.0):
        assert run(machine, SCENES[scene].verb).changed
        all_rests(machine)


@pytest.mark.parametrize("scene", ["create", "preview-old", "remove"])
def test_a_borrowed_token_that_expires_is_named_and_the_next_run_goes_on(center, scene):
    machine = SCENES[scene].machine(center)
    backend = fresh(machine)
    token = backend._desk.engine.token()
    borrowed = machine.connect(replace(machine.login, username="", password="", token=token))
    machine.engine.then("GET", "/jobs", "expire_tokens")
    with hurried(1.0):
        error = attempt(borrowed, SCENES[scene].verb)
        assert error.reason == "login_failed", error.message
        run(machine, SCENES[scene].verb)
        all_rests(machine)


@pytest.mark.parametrize("scene", ["create", "preview", "remove"])
def test_reads_that_crash_are_repeated(center, scene):
    machine = SCENES[scene].machine(center)
    machine.engine.fault("read.500html", path="/vms", times=2)
    with hurried(1.0):
        assert run(machine, SCENES[scene].verb).changed
        all_rests(machine)


@pytest.mark.parametrize("fault", ["host.down", "engine.stall"])
@pytest.mark.parametrize("scene", ["create", "preview-old", "commit-old", "undo-old", "remove"])
def test_a_standstill_is_waited_for(center, scene, fault):
    machine = SCENES[scene].machine(center)
    machine.engine.fault(fault, seconds=300)
    with hurried(1.0):
        assert run(machine, SCENES[scene].verb).changed
        all_rests(machine)


@pytest.mark.parametrize("scene", ["create", "preview-old", "commit-old", "undo-old", "remove"])
def test_time_that_is_up_is_said_and_the_next_run_goes_on(center, scene, monkeypatch):
    machine = SCENES[scene].machine(center)
    machine.engine.hold()
    monkeypatch.setattr("tests.contract.scenes.TIMEOUT", 1)
    with hurried(0.2):
        error = error_of(machine, SCENES[scene].verb)
        assert error.reason == "timeout", error.message
        assert error.left
        monkeypatch.undo()
        machine.engine.release()
        run(machine, SCENES[scene].verb)
        all_rests(machine)
        assert not run(machine, SCENES[scene].verb).changed


@pytest.mark.parametrize("scene", ["create", "preview-old", "commit-old", "undo-old", "remove"])
def test_the_engine_dies_while_its_tasks_run(center, scene):
    machine = SCENES[scene].machine(center)
    machine.engine.then("GET", "/jobs", "restart", downtime=100)
    with hurried(1.0):
        error = error_of(machine, SCENES[scene].verb)
        assert error is None or error.hint
        run(machine, SCENES[scene].verb)
        all_rests(machine)
        assert not run(machine, SCENES[scene].verb).changed
