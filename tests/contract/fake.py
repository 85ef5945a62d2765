# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor in memory: images with contents, chains, snapshots, a record of what is going on, a lock, and death at any step.

It keeps what a hypervisor keeps, and makes a ``Vm`` of it when it is read; it knows nothing of ``expected()``. Each image maps
blocks to tokens, and a disk's content is what its chain adds up to, so a test can say exactly what must survive.

Every operation is a list of small steps. The first ones write an intent and make images that nothing uses yet; one step then
settles everything at once; the last ones tidy up. Reading in the middle shows where settling leads, and ``Settle`` goes there:
back, as long as it was not settled, forward afterwards. A merge alone only ever goes forward.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.diskwise.vm.plugins.module_utils._engine.changes import (
    Change,
    Create,
    Decision,
    Enter,
    Leave,
    Remember,
    Remove,
    Settle,
    Stop,
    abandoned,
    merges,
    shown_disks,
)
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import BackendFailed, Busy, NotFound, VmError
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Composition, Disk, Image, Preview, Snapshot, Step, Vm

Args = Mapping[str, Any]


class Died(BaseException):
    """The controller was killed: nothing of it runs any more, not even what lets go of the lock."""


class Damage(AssertionError):
    """Something was about to be done that no hypervisor forbids and that destroys data."""


@dataclass
class File:
    """An image as it is stored: what it is built on, and the blocks that were written to it."""

    disk: str
    parent: str | None = None
    blocks: dict[int, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()


@dataclass
class StoredSnapshot:
    id: str
    name: str
    description: str
    images: dict[str, str]
    disks: tuple[Disk, ...]
    memory: str | None
    created: int
    parent: str | None
    own: bool
    quiesced: bool | None = None


@dataclass
class Store:
    """All that outlives a controller."""

    id: str
    name: str
    disks: tuple[Disk, ...]
    """Those of the configuration as it is defined, so of the preview while one is open."""
    files: dict[str, File]
    attached: dict[str, str]
    """Disk id -> the image that takes writes."""
    snapshots: list[StoredSnapshot] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    """phase: creating, entering, open, leaving or removing; empty when nothing is going on."""
    power: str = "down"
    memory: str = ""
    """What is in the RAM, or was saved of it; empty while the VM is down."""
    agent: bool = True
    committed: dict[str, Any] | None = None
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    clock: int = 1000
    current: str | None = None
    locked_by: str = ""

    def copy(self) -> Store:
        copied: Store = pickle.loads(pickle.dumps(self))
        return copied


class FakeHypervisor:
    """Finds VMs. Every controller has its own; what they share is the stores."""

    workers = 1

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = list(stores)

    def find(self, names: Sequence[str]) -> list[FakeBackend | VmError]:
        return [self._find(name) for name in names]

    def _find(self, name: str) -> FakeBackend | VmError:
        found = [store for store in self.stores if name in (store.id, store.name)]
        return FakeBackend(found[0]) if len(found) == 1 else NotFound(f"there is no VM {name}", "unknown_vm")

    def owner_of(self, disk: str) -> list[str]:
        return [store.id for store in self.stores if any(disk in (found.id, found.serial) for found in store.disks)]

    def close(self) -> None:
        """There is no connection."""


class FakeBackend:
    """One VM: the port of the engine, and beside it what a guest, an operator and fate can do."""

    def __init__(self, store: Store, controller: str = "me") -> None:
        self.store = store
        self.controller = controller
        self.applied: list[Step] = []
        self.dies: tuple[int, str] | None = None
        """Number of the step, from 0, and whether death comes before or after it."""
        self.fails: tuple[int, VmError] | None = None
        """Number of the step that fails, and how."""
        self.meanwhile: Callable[[int], None] = lambda number: None
        """What others do just before the step of that number."""

    # The port

    def read(self) -> Vm:
        return picture(settled(self.store))

    def look(self, vm: Vm, decision: Decision) -> Vm:
        return vm

    @contextmanager
    def hold(self) -> Iterator[bool]:
        if self.store.locked_by:
            raise Busy(f"VM {self.store.name}: {self.store.locked_by} is at work on it", "locked", "wait until it is done")
        self.store.locked_by = self.controller
        try:
            yield True
        except Exception:
            self.store.locked_by = ""
            raise
        self.store.locked_by = ""

    def images(self, vm: Vm, change: Change) -> Mapping[str, str]:
        if isinstance(change, Create):
            return {disk: name_of("create", change.name, disk, vm.leaf[disk]) for disk in change.disks}
        if isinstance(change, Enter):
            # The leaf is part of the name: the same composition may be committed, and shown again.
            shows = json.dumps(change.shows.as_dict())
            return {disk: name_of("preview", shows, disk, vm.leaf.get(disk, "")) for disk in change.shows.sources}
        return {}

    def plan(self, vm: Vm, change: Change) -> tuple[Step, ...]:
        if isinstance(change, Settle):
            return _steps(vm, pending(self.store.record))
        if isinstance(change, Stop):
            return _steps(vm, [("stop", {"how": change.how})])
        if isinstance(change, Remember):
            return _steps(vm, [("remember", {"request_id": change.request_id, "shows": change.shows.as_dict()})])
        planned = _PLANS[type(change)](vm, change, self.images(vm, change))
        return _steps(vm, planned)

    def apply(self, step: Step) -> None:
        number = len(self.applied)
        self.meanwhile(number)
        if self.dies == (number, "before"):
            raise Died
        if self.fails and self.fails[0] == number:
            raise self.fails[1]
        perform(self.store, step.verb, json.loads(json.dumps(step.args)))
        self.applied.append(step)
        if self.dies == (number, "after"):
            raise Died

    # What a guest, an operator and another controller do

    def another(self) -> FakeBackend:
        """A new controller after this one was killed: the lock of the dead one is void."""
        self.store.locked_by = ""
        return FakeBackend(self.store)

    def write(self, disk: str, block: int, token: str) -> None:
        """What a guest writes, or somebody else while the VM is down."""
        image = self.store.attached[self._id(disk)]
        self._check_writable(image)
        self.store.files[image].blocks[block] = token
        self._touched()

    def content(self, disk: str) -> dict[int, str]:
        """What the guest sees."""
        return content_of(self.store, self.store.attached[self._id(disk)])

    def snapshot_content(self, snapshot: str, disk: str) -> dict[int, str]:
        (found,) = (stored for stored in self.store.snapshots if snapshot in (stored.id, stored.name))
        return content_of(self.store, found.images[self._id(disk)])

    def start(self) -> None:
        """Resumes the memory that was saved, if any."""
        if self.store.power == "down":
            self.store.memory = f"booted at {self._tick()}"
        self.store.power = "up"
        self._touched()

    def _touched(self) -> None:
        self.store.committed = None
        if self.store.record.get("phase") == "open":
            self.store.record["origin"]["committed"] = None

    def stop(self) -> None:
        self.store.power, self.store.memory = "down", ""

    def suspend(self) -> None:
        self.store.power = "suspended"

    def attach(self, disk: Disk) -> None:
        """What an administrator does beside the collection."""
        self.store.files[f"{disk.id}.img"] = File(disk.id)
        self.store.disks += (disk,)
        self.store.attached[disk.id] = f"{disk.id}.img"
        self._touched()

    def foreign_snapshot(self, name: str) -> None:
        """What another client does: a snapshot of everything."""
        pairs = {disk: [image, name_of("foreign", name, image)] for disk, image in self.store.attached.items()}
        perform(self.store, "snapshot", {"name": name, "description": "", "memory": False, "own": False, "images": pairs})

    def _id(self, disk: str) -> str:
        for found in (*self.store.disks, *(disk for snapshot in self.store.snapshots for disk in snapshot.disks)):
            if disk in (found.id, found.name, found.target):
                return found.id
        raise KeyError(disk)

    def _tick(self) -> int:
        self.store.clock += 1
        return self.store.clock

    def _check_writable(self, image: str) -> None:
        if any(file.parent == image for file in self.store.files.values()):
            raise Damage(f"{image} is written to while something is built on it")
        if any(image in snapshot.images.values() for snapshot in self.store.snapshots):
            raise Damage(f"{image} is written to while a snapshot holds it")


def new_store(name: str = "vm1", disks: int | Sequence[Disk] = 2) -> Store:
    """A VM that is down and has no snapshot; each disk has something in block 0."""
    if isinstance(disks, int):
        disks = [Disk(f"d{number}", f"disk{number}", f"vd{chr(ord('a') + number)}", bootable=number == 0) for number in range(disks)]
    movable = [disk for disk in disks if not disk.fixed]
    files = {f"{disk.id}.img": File(disk.id, blocks={0: f"first of {disk.name}"}) for disk in movable}
    return Store(f"uuid-of-{name}", name, tuple(disks), files, {disk.id: f"{disk.id}.img" for disk in movable})


def name_of(*parts: str) -> str:
    """Image names follow from what they are for, so that whoever comes after a death knows them again."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def content_of(store: Store, image: str | None) -> dict[int, str]:
    found: dict[int, str] = {}
    while image:
        file = store.files[image]
        found = {**file.blocks, **found}
        image = file.parent
    return found


# Reading


def settled(store: Store) -> Store:
    """A copy in which what was begun is settled."""
    if not pending(store.record):
        return store
    unfinished = store.record
    copy = store.copy()
    for verb, args in pending(store.record):
        perform(copy, verb, args)
    copy.record = {**copy.record, "unfinished": f"{unfinished['phase']} {unfinished.get('name', '')}".strip()}
    return copy


def picture(store: Store) -> Vm:
    """The engine's view of what is stored."""
    record = store.record
    open_preview = record.get("phase") == "open"
    held = {image for snapshot in store.snapshots for image in snapshot.images.values()}
    leaf = record["origin"]["attached"] if open_preview else store.attached
    shown = {image for image in {*held, *leaf.values(), *store.attached.values()} if image in store.files}
    images: dict[str, Image] = {}
    for image in sorted(shown):
        at: str | None = image
        while at and at not in images:
            file = store.files[at]
            images[at] = Image(at, file.disk, file.parent, len(file.blocks), users=file.users)
            at = file.parent
    for name, file in store.files.items():
        if name not in images and file.parent in images:
            # Left behind by a commit: nobody's any more, and still somebody's data.
            images[file.parent] = replace(images[file.parent], users=(*images[file.parent].users, name))
    preview = None
    if open_preview:
        shows = Composition.from_dict(record["shows"])
        preview = Preview(shows, {disk: store.attached[disk] for disk in shows.sources})
    return Vm(
        store.id,
        store.name,
        power=store.power,
        disks=_disks(record["origin"]["disks"]) if open_preview else store.disks,
        snapshots=tuple(_snapshot(stored) for stored in store.snapshots),
        leaf=dict(leaf),
        images=images,
        preview=preview,
        agent=store.agent if store.power in ("up", "paused") else None,
        unfinished=record.get("unfinished", ""),
        committed=Composition.from_dict(store.committed) if store.committed else None,
        requests={key: Composition.from_dict(value) for key, value in store.requests.items()},
    )


def _snapshot(stored: StoredSnapshot) -> Snapshot:
    return Snapshot(
        stored.id,
        stored.name,
        stored.description,
        created=stored.created,
        memory=stored.memory is not None,
        images=dict(stored.images),
        disks=stored.disks,
        quiesced=stored.quiesced,
        own=stored.own,
        parent=stored.parent,
    )


def _disks(written: Sequence[Mapping[str, Any]]) -> tuple[Disk, ...]:
    return tuple(Disk(**disk) for disk in written)


def _written(disks: Sequence[Disk]) -> list[dict[str, Any]]:
    return [dict(vars(disk)) for disk in disks]


# Planning: pure, from the Vm alone

Planned = list[tuple[str, dict[str, Any]]]


def _plan_create(vm: Vm, change: Create, images: Mapping[str, str]) -> Planned:
    pairs = {disk: [vm.leaf[disk], images[disk]] for disk in change.disks}
    made = {
        "name": change.name,
        "description": change.description,
        "memory": change.memory,
        "own": True,
        "images": pairs,
        "quiesced": change.quiesce != "never" or None,
    }
    return [
        ("intend", {"phase": "creating", "name": change.name, "delete": [above for _below, above in pairs.values()]}),
        *(("overlay", {"disk": disk, "parent": below, "image": above}) for disk, (below, above) in pairs.items()),
        ("snapshot", made),
    ]


def _plan_enter(vm: Vm, change: Enter, images: Mapping[str, str]) -> Planned:
    shows = change.shows
    composed = {disk: image for disk, image in vm.leaf.items() if disk not in shows.disks}
    return [
        ("intend", {"phase": "entering", "delete": list(images.values())}),
        *(("overlay", {"disk": disk, "parent": vm.snapshot(source).images[disk], "image": images[disk]}) for disk, source in shows.sources.items()),
        (
            "show",
            {
                "shows": shows.as_dict(),
                "disks": _written(shown_disks(vm, shows)),
                "attached": {**composed, **images},
                "origin": {"disks": _written(vm.disks), "attached": dict(vm.leaf)},
            },
        ),
    ]


def _plan_leave(vm: Vm, change: Leave, images: Mapping[str, str]) -> Planned:
    assert vm.preview is not None
    if not change.keep:
        delete = list(vm.preview.images.values())
        return [("go_back", {"delete": delete}), *_tidy(delete)]
    delete = [image for gone in abandoned(vm, vm.preview.shows).values() for image in gone]
    return [("settle", {"delete": delete, "shows": vm.preview.shows.as_dict(), "request_id": change.request_id}), *_tidy(delete)]


def _plan_remove(vm: Vm, change: Remove, images: Mapping[str, str]) -> Planned:
    merged = {disk: list(pair) for disk, pair in merges(vm, vm.snapshot(change.snapshot), change.disks).items()}
    intent = {"phase": "removing", "name": change.snapshot, "snapshot": change.snapshot, "disks": list(change.disks), "whole": change.whole, "merges": merged}
    return [("intend", intent), *_after_intent_to_remove(intent)]


def _after_intent_to_remove(record: Args) -> Planned:
    merged = record["merges"]
    delete = [above for _below, above in merged.values()]
    forget = {key: record[key] for key in ("snapshot", "disks", "whole", "merges")}
    return [*(("merge", {"below": below, "above": above}) for below, above in merged.values()), ("forget", {**forget, "delete": delete}), *_tidy(delete)]


def _tidy(delete: Sequence[str]) -> Planned:
    return [*(("delete", {"image": image}) for image in delete), ("done", {})]


_PLANS: Mapping[type, Callable[[Vm, Any, Mapping[str, str]], Planned]] = {
    Create: _plan_create,
    Enter: _plan_enter,
    Leave: _plan_leave,
    Remove: _plan_remove,
}


def pending(record: Args) -> Planned:
    """What is left to do of what the record says: back before the settling step, forward after it."""
    phase = record.get("phase")
    if phase == "removing":
        return _after_intent_to_remove(record)
    return _tidy(record["delete"]) if phase in ("creating", "entering", "leaving") else []


def _steps(vm: Vm, planned: Planned) -> tuple[Step, ...]:
    return tuple(Step(verb, str(args.get("image") or args.get("disk") or vm.name), f"{verb} {json.dumps(args)}", args) for verb, args in planned)


# Doing: each may be done twice


def perform(store: Store, verb: str, args: Args) -> None:
    _DOES[verb](store, args)


def _stop(store: Store, args: Args) -> None:
    store.power, store.memory = "down", ""


def _remember(store: Store, args: Args) -> None:
    store.requests[args["request_id"]] = args["shows"]


def _intend(store: Store, args: Args) -> None:
    if store.record and store.record["phase"] != args["phase"]:
        raise Damage(f"{args['phase']} while {store.record['phase']}")
    store.record = dict(args)


def _overlay(store: Store, args: Args) -> None:
    if args["parent"] not in store.files:
        raise BackendFailed(f"there is no image {args['parent']}")
    found = store.files.setdefault(args["image"], File(args["disk"], args["parent"]))
    if found.parent != args["parent"] or found.blocks:
        raise Damage(f"{args['image']} exists and is something else")


def _snapshot_now(store: Store, args: Args) -> None:
    """Everything at once: the snapshot is listed and the VM writes to the new images."""
    if any(snapshot.name == args["name"] for snapshot in store.snapshots):
        return
    for disk, (below, above) in args["images"].items():
        store.files.setdefault(above, File(disk, below))
        if store.attached[disk] != below:
            raise BackendFailed(f"{disk} writes to {store.attached[disk]}, not to {below}")
    store.clock += 1
    store.snapshots.append(
        StoredSnapshot(
            f"id-of-{args['name']}-{store.clock}",
            args["name"],
            args["description"],
            {disk: below for disk, (below, _above) in args["images"].items()},
            store.disks,
            store.memory if args["memory"] else None,
            store.clock,
            store.current,
            args["own"],
            args.get("quiesced"),
        )
    )
    store.current = store.snapshots[-1].id
    store.attached.update({disk: above for disk, (_below, above) in args["images"].items()})
    store.committed = None
    if args["own"]:
        store.record = {}


def _show(store: Store, args: Args) -> None:
    """Everything at once: the VM is the composed one and the preview is open."""
    if store.power != "down":
        raise BackendFailed(f"VM {store.name} is {store.power}")
    shows = Composition.from_dict(args["shows"])
    store.record = {"phase": "open", "shows": args["shows"], "origin": {**args["origin"], "committed": store.committed}}
    store.disks, store.attached, store.committed = _disks(args["disks"]), dict(args["attached"]), None
    if shows.memory:
        (source,) = (snapshot for snapshot in store.snapshots if snapshot.id == shows.config)
        store.power, store.memory = "suspended", source.memory or ""


def _go_back(store: Store, args: Args) -> None:
    """Everything at once: the VM is what it was."""
    if store.record.get("phase") != "open":
        return
    origin = store.record["origin"]
    store.disks, store.attached, store.committed = _disks(origin["disks"]), dict(origin["attached"]), origin["committed"]
    store.power, store.memory = "down", ""
    store.record = {"phase": "leaving", "delete": args["delete"]}


def _settle(store: Store, args: Args) -> None:
    """Everything at once: there is no way back, and what is to be deleted belongs to nobody."""
    if store.record.get("phase") != "open":
        return
    for snapshot in list(store.snapshots):
        kept = {disk: image for disk, image in snapshot.images.items() if image not in args["delete"]}
        if snapshot.images and not kept and snapshot.id != args["shows"]["config"]:
            store.snapshots.remove(snapshot)
        snapshot.images = kept
    store.committed = args["shows"]
    if args["request_id"]:
        store.requests[args["request_id"]] = args["shows"]
    store.record = {"phase": "leaving", "delete": args["delete"]}


def _merge(store: Store, args: Args) -> None:
    if args["above"] not in store.files:
        return
    if args["below"] not in store.files:
        raise BackendFailed(f"there is no image {args['below']}")
    below, above = store.files[args["below"]], store.files[args["above"]]
    others = [name for name, file in store.files.items() if file.parent == args["below"] and name != args["above"]]
    if others or below.users or above.users:
        raise Damage(f"{args['below']} is merged into while others use it: {others}")
    below.blocks.update(above.blocks)


def _forget(store: Store, args: Args) -> None:
    """Everything at once: the snapshot is gone, or smaller, and nothing uses the merged images any more."""
    merged = {above: below for below, above in args["merges"].values()}
    for above, below in merged.items():
        # What was written while it was merged.
        store.files[below].blocks.update(store.files[above].blocks)
    for file in store.files.values():
        file.parent = merged.get(file.parent, file.parent) if file.parent else None
    for below in merged.values():
        if store.files[below].parent == below:
            raise Damage(f"{below} is built on itself")
    store.attached = {disk: merged.get(image, image) for disk, image in store.attached.items()}
    for snapshot in list(store.snapshots):
        snapshot.images = {disk: merged.get(image, image) for disk, image in snapshot.images.items()}
        if snapshot.id == args["snapshot"]:
            snapshot.images = {disk: image for disk, image in snapshot.images.items() if disk not in args["disks"]}
            if args["whole"]:
                store.snapshots.remove(snapshot)
                _reparent(store, snapshot)
    store.committed = None
    store.record = {"phase": "leaving", "delete": args["delete"]}


def _reparent(store: Store, gone: StoredSnapshot) -> None:
    for snapshot in store.snapshots:
        snapshot.parent = gone.parent if snapshot.parent == gone.id else snapshot.parent
    store.current = gone.parent if store.current == gone.id else store.current


def _delete(store: Store, args: Args) -> None:
    image = args["image"]
    if image not in store.files:
        return
    if any(file.parent == image for file in store.files.values()):
        raise Damage(f"{image} is deleted while something is built on it")
    if store.files[image].users or image in store.attached.values() or any(image in snapshot.images.values() for snapshot in store.snapshots):
        raise Damage(f"{image} is deleted while it is in use")
    if store.record.get("phase") == "open" and image in store.record["origin"]["attached"].values():
        raise Damage(f"{image} is deleted while an undo needs it")
    del store.files[image]


def _done(store: Store, args: Args) -> None:
    if store.record.get("phase") != "open":
        store.record = {}


_DOES: Mapping[str, Callable[[Store, Args], None]] = {
    "remember": _remember,
    "stop": _stop,
    "intend": _intend,
    "overlay": _overlay,
    "snapshot": _snapshot_now,
    "show": _show,
    "go_back": _go_back,
    "settle": _settle,
    "merge": _merge,
    "forget": _forget,
    "delete": _delete,
    "done": _done,
}
