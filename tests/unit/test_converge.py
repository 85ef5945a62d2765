# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner, when the world does not stand still: others at work, failures in the middle, what was planned and what is."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._engine import create, preview
from ansible_collections.diskwise.vm.plugins.module_utils._engine.compose import Wish
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide, converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import BackendFailed, Busy, Interrupted, Refused, VmError
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Composition, Disk, Preview, Vm
from ansible_collections.diskwise.vm.plugins.module_utils._engine.render import differences, fingerprint
from tests.contract.fake import Damage, FakeBackend, FakeHypervisor, new_store


def creating(name: str, **options: object) -> Decide:
    request = create.Request(name, **options)  # type: ignore[arg-type]
    return lambda vm: create.decide(vm, request)


def previewing(snapshot: str, **options: str) -> Decide:
    request = preview.PreviewRequest(Wish(snapshot), **options)
    return lambda vm: preview.decide_preview(vm, request)


def restoring(snapshot: str, **options: str) -> Decide:
    request = preview.RestoreRequest(Wish(snapshot), **options)  # type: ignore[arg-type]
    return lambda vm: preview.decide_restore(vm, request)


def undoing() -> Decide:
    request = preview.LeaveRequest(keep=False)
    return lambda vm: preview.decide_leave(vm, request)


@pytest.fixture
def backend() -> FakeBackend:
    """A VM with two disks and a snapshot of both, s1, in which block 1 is not written yet."""
    backend = FakeBackend(new_store())
    converge(backend, creating("s1"), check=False)
    for disk in ("disk0", "disk1"):
        backend.write(disk, 1, "after s1")
    backend.applied.clear()
    return backend


def test_check_mode_applies_nothing_and_takes_no_lock(backend: FakeBackend) -> None:
    backend.store.locked_by = "somebody"
    before = deepcopy(backend.store)
    outcome = converge(backend, previewing("s1"), check=True)
    assert outcome.changed
    assert outcome.after.preview is not None
    assert (backend.applied, backend.store) == ([], before)


def test_what_is_as_wanted_takes_no_lock(backend: FakeBackend) -> None:
    backend.store.locked_by = "somebody"
    outcome = converge(backend, creating("s1"), check=False)
    assert not outcome.changed
    assert outcome.after == outcome.before


def test_a_lock_that_somebody_holds(backend: FakeBackend) -> None:
    backend.store.locked_by = "somebody"
    before = deepcopy(backend.store)
    with pytest.raises(Busy, match="somebody") as raised:
        converge(backend, creating("s2"), check=False)
    assert raised.value.reason == "locked"
    assert backend.store == before


def test_the_lock_is_let_go_of(backend: FakeBackend) -> None:
    converge(backend, creating("s2"), check=False)
    assert backend.store.locked_by == ""
    backend.fails = (len(backend.applied), BackendFailed("no space"))
    with pytest.raises(BackendFailed):
        converge(backend, creating("s3"), check=False)
    assert backend.store.locked_by == ""


def test_what_was_decided_without_the_lock_is_decided_again(backend: FakeBackend) -> None:
    """Two controllers want the same; the second finds it done when it gets the lock."""
    first = FakeBackend(backend.store, "first")
    hold = backend.hold

    def late() -> object:
        converge(first, creating("s2"), check=False)
        return hold()

    backend.hold = late  # type: ignore[method-assign, assignment]
    outcome = converge(backend, creating("s2"), check=False)
    assert not outcome.changed
    assert [snapshot.name for snapshot in outcome.after.snapshots] == ["s1", "s2"]


def test_a_failure_says_what_was_done_and_what_is_left(backend: FakeBackend) -> None:
    planned = converge(backend, restoring("s1"), check=True).steps
    backend.fails = (2, BackendFailed("no space", "no_space"))
    with pytest.raises(BackendFailed) as raised:
        converge(backend, restoring("s1"), check=False)
    error = raised.value
    assert error.done == planned[:2]
    assert error.left == planned[2:], "the steps of the commit are left as well"
    assert error.state_after is not None
    assert error.state_after["unfinished"] == "entering"
    backend.fails = None
    assert converge(backend, restoring("s1"), check=False).changed
    assert backend.content("disk0") == {0: "first of disk0"}


def test_a_state_that_cannot_be_read_after_a_failure(backend: FakeBackend) -> None:
    gone = BackendFailed("connection lost", "connection_lost")
    backend.fails = (1, gone)

    def lost(number: int) -> None:
        if number == 1:
            backend.read = broken  # type: ignore[method-assign]

    def broken() -> Vm:
        raise gone

    backend.meanwhile = lost
    with pytest.raises(BackendFailed) as raised:
        converge(backend, creating("s2"), check=False)
    assert raised.value.state_after is None
    assert len(raised.value.done) == 1


def test_a_state_that_cannot_be_read_back_says_what_was_done(backend: FakeBackend) -> None:
    planned = converge(backend, creating("s2"), check=True).steps

    def broken() -> Vm:
        raise BackendFailed("connection lost", "connection_lost")

    def lost(number: int) -> None:
        if number == len(planned) - 1:
            backend.read = broken  # type: ignore[method-assign]

    backend.meanwhile = lost
    with pytest.raises(BackendFailed) as raised:
        converge(backend, creating("s2"), check=False)
    assert raised.value.done == planned


def test_a_snapshot_that_somebody_takes_meanwhile_ends_the_preview(backend: FakeBackend) -> None:
    backend.meanwhile = lambda number: backend.foreign_snapshot("theirs") if number == 1 else None
    with pytest.raises(Interrupted) as raised:
        converge(backend, previewing("s1"), check=False)
    assert raised.value.reason == "changed_meanwhile"
    assert "theirs" in raised.value.message
    assert [step.verb for step in raised.value.done][:4] == ["intend", "overlay", "overlay", "show"]
    vm = backend.read()
    assert (vm.preview, vm.unfinished) == (None, "")


def test_a_disk_that_somebody_adds_meanwhile_ends_the_preview(backend: FakeBackend) -> None:
    def add(number: int) -> None:
        if number == 4:
            raise AssertionError("no step was expected here")

    backend.meanwhile = add
    original = backend.read
    reads: list[int] = []

    def read() -> Vm:
        """The new disk is there from the third read on: after the preview was opened."""
        reads.append(1)
        if len(reads) == 3:
            backend.meanwhile = lambda number: None
            backend.store.record["origin"]["disks"].append(vars(Disk("new", "new", "vdz")))
        return original()

    backend.read = read  # type: ignore[method-assign]
    with pytest.raises(Interrupted) as raised:
        converge(backend, previewing("s1"), check=False)
    assert raised.value.reason == "changed_meanwhile"
    assert raised.value.state_after is not None
    assert raised.value.state_after["preview"] is None


def test_a_snapshot_that_is_not_as_planned(backend: FakeBackend) -> None:
    backend.meanwhile = lambda number: backend.attach(Disk("new", "new", "vdz")) if number == 1 else None
    with pytest.raises(BackendFailed) as raised:
        converge(backend, creating("s2"), check=False)
    assert raised.value.reason == "not_as_planned"
    assert '"new"' in raised.value.message


def test_a_vm_that_is_started_again_after_it_was_stopped(backend: FakeBackend) -> None:
    backend.start()
    original = backend.read
    reads: list[int] = []

    def read() -> Vm:
        reads.append(1)
        if len(reads) == 3:
            backend.start()
        return original()

    backend.read = read  # type: ignore[method-assign]
    with pytest.raises(BackendFailed) as raised:
        converge(backend, previewing("s1", if_running="poweroff"), check=False)
    assert raised.value.reason == "not_as_planned"
    assert "power" in raised.value.message
    assert [step.verb for step in raised.value.done] == ["stop"]


def test_two_snapshots_of_one_name_do_not_hide_each_other(backend: FakeBackend) -> None:
    """One of two twins is removed by somebody while the other one stays: that is a difference."""
    twin = deepcopy(backend.store.snapshots[0])
    twin.id = "id-of-the-twin"
    backend.store.snapshots.append(twin)

    def take(number: int) -> None:
        if number == 1:
            backend.store.snapshots.remove(twin)

    backend.meanwhile = take
    with pytest.raises(BackendFailed) as raised:
        converge(backend, creating("s2"), check=False)
    assert raised.value.reason == "not_as_planned"


def test_a_refusal_changes_nothing(backend: FakeBackend) -> None:
    backend.start()
    before = deepcopy(backend.store)
    with pytest.raises(Refused):
        converge(backend, previewing("s1"), check=False)
    assert backend.store == before


def test_find_answers_in_order() -> None:
    hypervisor = FakeHypervisor([new_store("a"), new_store("b")])
    first, lost, second = hypervisor.find(["b", "c", "uuid-of-a"])
    assert isinstance(first, FakeBackend)
    assert isinstance(second, FakeBackend)
    assert (first.store.name, second.store.name) == ("b", "a")
    assert isinstance(lost, VmError)
    assert hypervisor.owner_of("d0") == ["uuid-of-a", "uuid-of-b"]


def test_the_fake_notices_damage(backend: FakeBackend) -> None:
    """What the other tests rely on: writing into a frozen image, or deleting one that is in use, does not go unnoticed."""
    frozen = backend.store.snapshots[0].images["d0"]
    leaf = backend.store.attached["d0"]
    backend.store.attached["d0"] = frozen
    with pytest.raises(Damage):
        backend.write("disk0", 0, "x")
    backend.store.attached["d0"] = leaf
    for image in (frozen, leaf):
        with pytest.raises(Damage):
            backend.apply(type(converge(backend, creating("s2"), check=True).steps[0])("delete", image, "", {"image": image}))


def test_undo_after_undo_has_nothing_to_do(backend: FakeBackend) -> None:
    converge(backend, previewing("s1"), check=False)
    assert converge(backend, undoing(), check=False).changed
    assert not converge(backend, undoing(), check=False).changed


def test_a_request_for_another_state_is_refused_and_the_state_shown(backend: FakeBackend) -> None:
    known = fingerprint(backend.read())
    assert converge(backend, previewing("s1"), check=True, fingerprint=known).changed
    converge(backend, creating("s2"), check=False)
    before = deepcopy(backend.store)
    for check in (True, False):
        with pytest.raises(Refused) as raised:
            converge(backend, previewing("s1"), check=check, fingerprint=known)
        assert raised.value.reason == "fingerprint_differs"
        assert known in raised.value.message
        assert [snapshot["name"] for snapshot in (raised.value.state_after or {})["snapshots"]] == ["s1", "s2"]
    assert backend.store == before


def test_a_request_that_was_carried_out_stays_unchanged_whatever_the_fingerprint(backend: FakeBackend) -> None:
    known = fingerprint(backend.read())
    assert converge(backend, previewing("s1"), check=False, fingerprint=known).changed
    assert not converge(backend, previewing("s1"), check=False, fingerprint=known).changed


def test_a_disk_that_a_preview_attaches_in_another_way_is_a_difference() -> None:
    disks = (Disk("id-os", "os", "", plugged=False), Disk("id-data", "data", "", read_only=True))
    planned = Vm("id", "vm", disks=disks, preview=Preview(Composition(), disks=disks))
    as_planned = replace(planned, preview=Preview(Composition(), disks=disks))
    plugged = replace(planned, preview=Preview(Composition(), disks=(replace(disks[0], plugged=True), replace(disks[1], read_only=False))))
    assert differences(planned, as_planned) == []
    assert differences(planned, plugged) == ["disk os: expected plugged False, found True", "disk data: expected read_only True, found False"]
    assert differences(planned, replace(planned, preview=Preview(Composition()))) == [], "a hypervisor that says nothing of it does as it is told"
