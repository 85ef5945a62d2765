# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every VM, whatever was done to it before: on random lives of a VM, with real contents and real deaths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.diskwise.vm.plugins.module_utils._engine import create, preview, remove, render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.compose import Wish
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide, Outcome, converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Disk, Image, Snapshot, Vm
from tests.contract.fake import Died, FakeBackend, Store, content_of, new_store

DISKS = 3
NAMES = ("a", "b", "c", "d")
numbers = st.integers(min_value=0, max_value=11)
settings.register_profile(
    "lives",
    deadline=None,
    max_examples=int(os.environ.get("DISKWISE_LIVES", "50")),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("lives")


@dataclass(frozen=True)
class Act:
    """Something that is done to a VM. Numbers stand for what there is when it is done: the n-th of the choices, counted in a ring."""

    verb: str
    name: str = "a"
    choices: tuple[int, ...] = (0,) * DISKS
    config: int = 0
    flag: bool = False


def acts(*verbs: str) -> st.SearchStrategy[Act]:
    return st.builds(Act, st.sampled_from(verbs), st.sampled_from(NAMES), st.tuples(*[numbers] * DISKS), numbers, st.booleans())


VERBS = ("create", "preview", "undo", "commit", "restore", "remove")
LIFE = st.lists(acts(*VERBS, "create", "create", "write", "write", "run", "attach"), min_size=3, max_size=10)


def pick(choices: list[Any], number: int) -> Any:
    return choices[number % len(choices)]


def wish(vm: Vm, act: Act) -> Wish:
    """Each disk that is known: as it is, from one of the snapshots that hold it, or out."""
    entries = []
    attached = {disk.id for disk in vm.disks}
    for disk, number in zip(sorted(vm.known_disks(), key=lambda disk: disk.id), act.choices):
        holders = [snapshot.id for snapshot in vm.snapshots if disk.id in snapshot.images]
        choice = pick(["current", *holders, *(["out"] if disk.id in attached and number > 8 else [])], number)
        entries.append({"disk": disk.id, "exclude": True} if choice == "out" else {"disk": disk.id, "snapshot": choice})
    config = pick(["current", *(snapshot.id for snapshot in vm.snapshots)], act.config)
    memory = act.flag and config != "current" and vm.snapshot(config).memory
    return Wish(config=config, memory=memory, disks=tuple(entries), allow_partial_memory=True)


def decide_of(vm: Vm, act: Act) -> Decide:
    """What the user asks for, in terms of the VM as it is now."""
    if act.verb == "create":
        chosen = [disk.id for disk, number in zip(vm.disks, act.choices) if number % 3]
        memory = act.flag and vm.power == "up"
        creation = create.Request(act.name, disks=chosen, memory=memory, on_conflict=("fail", "keep", "replace")[act.config % 3], allow_partial_memory=True)
        return lambda vm: create.decide(vm, creation)
    if act.verb == "preview":
        opening = preview.PreviewRequest(wish(vm, act), if_running="poweroff", if_previewing="undo" if act.flag else "fail")
        return lambda vm: preview.decide_preview(vm, opening)
    if act.verb == "restore":
        request_id = f"job-{act.config}" if act.flag else ""
        whole = preview.RestoreRequest(wish(vm, act), "poweroff", "undo", allow_disk_removal=True, request_id=request_id)
        return lambda vm: preview.decide_restore(vm, whole)
    if act.verb in ("undo", "commit"):
        leaving = preview.LeaveRequest(act.verb == "commit", allow_disk_removal=True, if_running="poweroff")
        return lambda vm: preview.decide_leave(vm, leaving)
    disks = [disk.id for disk, number in zip(vm.known_disks(), act.choices) if number % 2] if act.flag else None
    removal = remove.Request(act.name, disks)
    return lambda vm: remove.decide(vm, removal)


def live(life: list[Act]) -> FakeBackend:
    """A VM after all that. What is refused changes nothing; what snapshots held when they were taken they hold to the end."""
    backend = FakeBackend(new_store(disks=DISKS))
    taken: dict[str, Mapping[str, Any]] = {}
    for number, act in enumerate(life):
        do(backend, act, f"written at {number}")
        taken = check_snapshots(backend.store, taken)
    return backend


def do(backend: FakeBackend, act: Act, token: str) -> None:
    store = backend.store
    if act.verb == "write":
        if store.power != "suspended" and store.disks:
            backend.write(pick([disk.id for disk in store.disks], act.choices[0]), act.choices[1], token)
    elif act.verb == "run":
        backend.start() if store.power != "up" else backend.suspend() if act.flag and act.config > 8 else backend.stop()
    elif act.verb == "attach":
        if not store.record and act.name == "d":
            backend.attach(Disk(f"n{store.clock}-{len(store.files)}", f"new{len(store.files)}", f"vdn{len(store.files)}"))
    else:
        unchanged_if_refused(backend, decide_of(backend.read(), act))


def unchanged_if_refused(backend: FakeBackend, decide: Decide) -> Outcome | None:
    before = backend.store.copy()
    try:
        return converge(backend, decide, check=False)
    except VmError as error:
        refused = error
    assert backend.store == before, f"refused and changed something: {refused.reason}"
    assert refused.hint
    return None


def contents(store: Store) -> dict[str, dict[str, dict[int, str]]]:
    """What each snapshot holds, and what the VM shows now."""
    held = {snapshot.id: {disk: content_of(store, image) for disk, image in snapshot.images.items()} for snapshot in store.snapshots}
    return {**held, "now": {disk: content_of(store, image) for disk, image in store.attached.items()}}


def chains(vm: Vm) -> dict[str, Any]:
    """Every chain of the VM, by whose it is."""
    held = {snapshot.name: {disk: vm.chain(image) for disk, image in snapshot.images.items()} for snapshot in vm.snapshots}
    return {**held, "now": {disk: vm.chain(image) for disk, image in vm.leaf.items()}}


def check_snapshots(store: Store, taken: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """A snapshot may lose disks, and go; what it still holds is what it held at first."""
    now = {snapshot: disks for snapshot, disks in contents(store).items() if snapshot != "now"}
    for snapshot, disks in now.items():
        for disk, content in disks.items():
            assert content == taken.get(snapshot, now[snapshot])[disk], f"{snapshot} holds something else of {disk} than when it was taken"
    return {snapshot: taken.get(snapshot, disks) for snapshot, disks in now.items()}


def at_work(backend: FakeBackend, act: Act) -> Decide:
    """The request, if it is one that is carried out and has something to do."""
    decide = decide_of(backend.read(), act)
    try:
        assume(converge(backend, decide, check=True).changed)
    except VmError:
        assume(False)
    return decide


ANY = acts(*VERBS)


@given(LIFE, ANY)
def test_a_second_run_changes_nothing(life: list[Act], act: Act) -> None:
    backend = live(life)
    decide = at_work(backend, act)
    converge(backend, decide, check=False)
    before = backend.store.copy()
    again = converge(backend, decide, check=False)
    assert (again.changed, again.steps) == (False, ())
    assert backend.store == before


@given(LIFE, ANY)
def test_check_mode_foresees_exactly_what_happens(life: list[Act], act: Act) -> None:
    backend = live(life)
    decide = at_work(backend, act)
    before = backend.store.copy()
    foreseen = converge(backend, decide, check=True)
    assert backend.store == before, "check mode changed something"
    real = converge(backend, decide, check=False)
    assert foreseen.steps == real.steps
    assert render.view(foreseen.before) == render.view(real.before)
    assert render.view(foreseen.after) == render.view(real.after)
    assert foreseen.decision == real.decision
    assert chains(foreseen.after) == chains(real.after)


@given(LIFE, acts("preview"), st.lists(st.tuples(numbers, numbers), max_size=5), st.booleans())
def test_undo_is_back_exactly_where_the_preview_was_opened(life: list[Act], act: Act, writes: list[tuple[int, int]], runs: bool) -> None:
    backend = live(life)
    do(backend, Act("undo"), "")
    backend.stop()
    backend.store.committed = None
    before, shown_before = backend.read(), contents(backend.store)
    opened = converge(backend, at_work(backend, act), check=False)
    assert opened.after.preview is not None
    if runs:
        backend.start()
    sources = sorted(opened.after.preview.shows.sources)
    for disk, block in writes:
        if sources and backend.store.power != "suspended":
            backend.write(pick(sources, disk), block, "written in the preview")
    converge(backend, decide_of(backend.read(), Act("undo")), check=False)
    assert backend.read() == before
    assert contents(backend.store) == shown_before


@given(LIFE, acts("preview"), st.lists(st.tuples(numbers, numbers), max_size=5))
def test_commit_keeps_exactly_what_was_shown(life: list[Act], act: Act, writes: list[tuple[int, int]]) -> None:
    backend = live(life)
    do(backend, Act("undo"), "")
    converge(backend, at_work(backend, act), check=False)
    for disk, block in writes:
        if backend.store.disks and backend.store.power != "suspended":
            backend.write(pick([disk.id for disk in backend.store.disks], disk), block, "written in the preview")
    shown, disks, memory = contents(backend.store)["now"], backend.store.disks, backend.store.memory
    foretold = converge(backend, decide_of(backend.read(), Act("commit")), check=True).decision.loss
    files = set(backend.store.files)
    converge(backend, decide_of(backend.read(), Act("commit")), check=False)
    assert contents(backend.store)["now"] == shown
    assert (backend.store.disks, backend.store.memory) == (disks, memory)
    assert files - set(backend.store.files) == set(foretold.images), "exactly what was foretold is gone"


@given(LIFE, acts("restore"))
def test_a_disk_that_is_not_named_is_never_lost_or_changed(life: list[Act], act: Act) -> None:
    backend = live(life)
    do(backend, Act("undo"), "")
    vm, before = backend.read(), contents(backend.store)
    named = wish(vm, act)
    few = replace(named, memory=False, disks=named.disks[:1])
    request = preview.RestoreRequest(few, "poweroff", allow_disk_removal=True)
    unchanged_if_refused(backend, lambda vm: preview.decide_restore(vm, request))
    after = contents(backend.store)
    for disk in vm.disks:
        if disk.id not in {entry["disk"] for entry in few.disks}:
            assert disk.id in {found.id for found in backend.store.disks}
            assert after["now"][disk.id] == before["now"][disk.id]
            for snapshot in vm.snapshots:
                if disk.id in snapshot.images:
                    assert after[snapshot.id][disk.id] == before[snapshot.id][disk.id]


@given(LIFE, acts("restore"))
def test_restore_is_preview_and_commit(life: list[Act], act: Act) -> None:
    backend = live(life)
    do(backend, Act("undo"), "")
    backend.store.requests = {}
    act = replace(act, flag=False)
    restore = at_work(backend, act)
    twin = FakeBackend(backend.store.copy())
    converge(backend, restore, check=False)
    converge(twin, decide_of(twin.read(), replace(act, verb="preview")), check=False)
    converge(twin, decide_of(twin.read(), Act("commit")), check=False)
    assert twin.store == backend.store


@given(LIFE, acts("remove"))
def test_remove_keeps_what_every_other_snapshot_and_the_vm_show(life: list[Act], act: Act) -> None:
    backend = live(life)
    do(backend, Act("undo"), "")
    decide = at_work(backend, act)
    before, left_behind = contents(backend.store), converge(backend, decide, check=True).decision.loss.left_behind
    target = next(snapshot for snapshot in backend.read().snapshots if snapshot.name == act.name)
    converge(backend, decide, check=False)
    after = contents(backend.store)
    for place, disks in before.items():
        if place != target.id:
            assert after[place] == disks
    for disk, content in after.get(target.id, {}).items():
        assert content == before[target.id][disk]
    assert all(image in backend.store.files for image in left_behind)


@given(LIFE, ANY, numbers)
def test_a_death_at_any_step_and_a_second_run_lead_to_the_same(life: list[Act], act: Act, writes: int) -> None:
    backend = live(life)
    decide = at_work(backend, act)
    start = backend.store.copy()
    steps = converge(backend, decide, check=False).steps
    for number in range(len(steps)):
        for moment in ("before", "after"):
            victim = FakeBackend(start.copy())
            victim.dies = (number, moment)
            with pytest.raises(Died):
                converge(victim, decide, check=False)
            second = victim.another()
            shown_between = render.view(second.read())
            foreseen = converge(second, decide, check=True)
            real = converge(second, decide, check=False)
            assert second.store == backend.store, f"died {moment} step {number}: {steps[number].verb}"
            assert foreseen.steps == real.steps
            assert render.view(real.after) == render.view(foreseen.after)
            assert real.changed or not shown_between["unfinished"], "what another run finishes is a change"


@given(LIFE, ANY, numbers)
def test_a_death_while_recovering_from_a_death(life: list[Act], act: Act, at: int) -> None:
    backend = live(life)
    decide = at_work(backend, act)
    victim = FakeBackend(backend.store.copy())
    steps = converge(backend, decide, check=False).steps
    victim.dies = (at % len(steps), "after")
    with pytest.raises(Died):
        converge(victim, decide, check=False)
    second = victim.another()
    for number in range(len(converge(second, decide, check=True).steps)):
        third = FakeBackend(second.store.copy())
        third.dies = (number, "after")
        with pytest.raises(Died):
            converge(third, decide, check=False)
        last = third.another()
        converge(last, decide, check=False)
        assert last.store == backend.store


@given(LIFE, ANY, acts("create", "undo", "commit", "remove"))
def test_after_a_death_anybody_may_do_something_else(life: list[Act], act: Act, other: Act) -> None:
    """Whatever was interrupted, the next task is as good as if it had been carried out or had never begun; nothing is damaged."""
    backend = live(life)
    decide = at_work(backend, act)
    start = backend.store.copy()
    for number in range(len(converge(backend, decide, check=False).steps)):
        victim = FakeBackend(start.copy())
        victim.dies = (number, "after")
        with pytest.raises(Died):
            converge(victim, decide, check=False)
        second = victim.another()
        held = contents(victim.store)
        found = {snapshot.id for snapshot in second.read().snapshots}
        unchanged_if_refused(second, decide_of(second.read(), other))
        for snapshot, disks in contents(second.store).items():
            for disk, content in disks.items() if snapshot in found else ():
                assert content == held[snapshot][disk]


T = TypeVar("T")


class Counted(dict[str, T]):
    """A mapping that counts what is looked at."""

    looks = 0

    def __getitem__(self, key: str) -> T:
        Counted.looks += 1
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        Counted.looks += 1
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        for key in super().__iter__():
            Counted.looks += 1
            yield key

    def items(self) -> Any:
        return [(key, self[key]) for key in list(super().__iter__())]

    def values(self) -> Any:
        return [self[key] for key in list(super().__iter__())]


def tall(disks: int, snapshots: int) -> Vm:
    """A VM whose every snapshot holds every disk."""
    every = tuple(Disk(f"d{number}", f"disk{number}", f"vd{number}", bootable=number == 0) for number in range(disks))
    levels = range(snapshots)
    images = {f"{disk.id}.0": Image(f"{disk.id}.0", disk.id, size=1) for disk in every}
    images.update({f"{disk.id}.{on + 1}": Image(f"{disk.id}.{on + 1}", disk.id, f"{disk.id}.{on}", 1) for disk in every for on in levels})
    frozen = [Counted({disk.id: f"{disk.id}.{level}" for disk in every}) for level in levels]
    taken = tuple(Snapshot(f"s{level}", f"s{level}", images=frozen[level], disks=every) for level in levels)
    leaf = Counted({disk.id: f"{disk.id}.{snapshots}" for disk in every})
    return Vm("id", "tall", disks=every, snapshots=taken, leaf=leaf, images=Counted(images))


class Paper(FakeBackend):
    """Only plans, for a VM that is given."""

    def __init__(self, vm: Vm) -> None:
        super().__init__(new_store())
        self.vm = vm

    def read(self) -> Vm:
        return self.vm


def looks_at(vm: Vm, decide: Decide) -> int:
    Counted.looks = 0
    outcome = converge(Paper(vm), decide, check=True)
    assert outcome.changed
    render.matrix(vm)
    assert render.differences(outcome.after, outcome.after) == []
    return Counted.looks


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda vm: create.decide(vm, create.Request("new")), id="create"),
        pytest.param(lambda vm: preview.decide_preview(vm, preview.PreviewRequest(Wish("s0"))), id="preview"),
        pytest.param(lambda vm: preview.decide_restore(vm, preview.RestoreRequest(Wish("s0"))), id="restore"),
        pytest.param(lambda vm: remove.decide(vm, remove.Request("s1")), id="remove"),
    ],
)
@pytest.mark.parametrize("grow", [lambda disks, snapshots: (2 * disks, snapshots), lambda disks, snapshots: (disks, 2 * snapshots)], ids=["disks", "snapshots"])
def test_the_work_grows_with_the_vm_and_not_with_its_square(act: Decide, grow: Callable[[int, int], tuple[int, int]]) -> None:
    small, large = looks_at(tall(10, 20), act), looks_at(tall(*grow(10, 20)), act)
    assert large < 2.3 * small, f"twice the size takes {large / small:.1f} times the looks"
