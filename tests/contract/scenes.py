# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on an engine that can be interrupted: one scene per way a verb works, with the requests that it sends when nobody disturbs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt import desk, jobs, source
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.connection import Ovirt
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.engine import Engine
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.preview import set_flags
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Outcome, converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.engine import INTERVAL, TIMEOUT, EngineMachine
from tests.contract.verbs import EXCLUDED, Verb, commit, create, preview, remove, restore, undo

DISKS = ("os", {"name": "data", "read_only": True}, {"name": "logs", "plugged": False}, "tmp")
Picture = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """``sends``: the effective requests of an undisturbed run, each as method and the last words of its path."""

    name: str
    verb: Verb
    sends: tuple[str, ...]
    first: Verb | None = None
    """What is done before, undisturbed."""
    running: bool = False
    interface: str = ""
    """To which disk os is changed before; the snapshots know it with another one."""

    def machine(self, center: Callable[..., EngineMachine]) -> EngineMachine:
        """s1 holds os, data and logs, s2 all four, s3 only logs; block 0 of each disk tells the state."""
        disks = [{"name": disk} if isinstance(disk, str) else dict(disk) for disk in DISKS]
        if self.running:
            disks = [{"name": disk["name"]} for disk in disks]
        machine = center(*({**disk, "content": {"0": f"{disk['name']} first"}} for disk in disks), running=self.running)
        engine, state = machine.engine, machine.engine.state(machine.id)
        ids = {name: disk["id"] for name, disk in state["disks"].items()}
        for name, held in (("s1", ("os", "data", "logs")), ("s2", tuple(ids)), ("s3", ("logs",))):
            engine.snapshot(machine.id, name, [ids[disk] for disk in held])
            for disk in ids:
                engine.write(ids[disk], "0", f"{disk} after {name}")
        if self.interface:
            set_flags(machine._desk(), ids["os"], interface=self.interface)
        if self.first is not None:
            converge(fresh(machine), self.first.decide, False)
        return machine


SHOWN = preview(disks={"os": "s1", "tmp": EXCLUDED})
SOURCED = ("POST snapshots", "PUT diskattachments", "POST snapshots", "PUT diskattachments", "DELETE snapshots", "POST previewsnapshot")
UNSOURCED = ("DELETE disks", "DELETE disks", "DELETE disks", "DELETE snapshots")

SCENES = {
    scene.name: scene
    for scene in (
        Scene("create", create("new", disks=["os", "data"]), ("POST snapshots",)),
        Scene("create-live", create("new", disks=["os", "data"], quiesce="never"), ("POST snapshots",), running=True),
        Scene("create-memory", create("new", memory=True, quiesce="never"), ("POST snapshots",), running=True),
        Scene(
            "replace",
            create("s1", disks=["os", "tmp"], on_conflict="replace"),
            ("DELETE disks", "DELETE disks", "DELETE disks", "DELETE snapshots", "POST snapshots"),
        ),
        Scene("preview", SHOWN, SOURCED),
        Scene("preview-old", preview("s1"), ("POST previewsnapshot",)),
        Scene("commit", commit(allow_disk_removal=True), ("POST commitsnapshot", *UNSOURCED), SHOWN),
        Scene("commit-repair", commit(allow_disk_removal=True), ("POST commitsnapshot", "PUT diskattachments", *UNSOURCED), SHOWN, interface="virtio"),
        Scene("commit-old", commit(), ("POST commitsnapshot",), preview("s1")),
        Scene("undo", undo(), ("POST undosnapshot", *UNSOURCED), SHOWN),
        Scene("undo-repair", undo(), ("POST undosnapshot", *UNSOURCED), SHOWN, interface="virtio"),
        Scene("undo-old", undo(), ("POST undosnapshot",), preview("s1")),
        Scene("restore", restore(disks={"os": "s1", "tmp": EXCLUDED}, allow_disk_removal=True), (*SOURCED, "POST commitsnapshot", *UNSOURCED)),
        Scene("restore-old", restore("s1"), ("POST previewsnapshot", "POST commitsnapshot")),
        Scene("remove", remove("s1"), ("DELETE disks", "DELETE disks", "DELETE disks", "DELETE snapshots")),
        Scene("remove-and-replace", create("s1", disks=["tmp"], on_conflict="replace"), (*UNSOURCED, "POST snapshots")),
        Scene("remove-disk", remove("s1", ["data"]), ("DELETE disks",)),
    )
}
ENDS = ("undo-repair", "undo-old", "remove-and-replace")
"""Scenes that are only there for what they lead to: their requests are those of others."""
POINTS = [(name, number) for name, scene in SCENES.items() if name not in ENDS for number in range(1, len(scene.sends) + 1)]
NAMES = [f"{name}-{number}" for name, number in POINTS]


class Killed(BaseException):
    """The process is gone."""


def fresh(machine: EngineMachine) -> Any:
    """The VM over a new connection, as another process has it."""
    (found,) = Ovirt(machine.login, TIMEOUT, INTERVAL).find([machine.id])
    if isinstance(found, Exception):
        raise found
    return found


def run(machine: EngineMachine, verb: Verb) -> Outcome:
    return converge(fresh(machine), verb.decide, False)


def error_of(machine: EngineMachine, verb: Verb) -> VmError | None:
    try:
        run(machine, verb)
    except VmError as error:
        return error
    return None


@contextmanager
def counted(act: Callable[[int, Callable[[], Any]], Any]) -> Iterator[list[str]]:
    """``act`` gets the number of each effective request and what sends it; the requests so far."""
    sent: list[str] = []
    real = Engine.act

    def counting(self: Engine, method: str, path: str, *rest: Any) -> Any:
        words = [word for word in path.split("/") if "-" not in word and word]
        sent.append(f"{method} {words[-1]}")
        return act(len(sent), lambda: real(self, method, path, *rest))

    Engine.act = counting  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        Engine.act = real  # type: ignore[method-assign]


def picture(machine: EngineMachine) -> Picture:
    """All that counts of the VM, without ids and dates: rows, flags, what each disk and each snapshot holds, and how much is on storage."""
    state = machine.engine.state(machine.id)
    images = {image["id"]: image for disk in state["disks"].values() for image in disk["images"]}

    def held(image_id: str | None) -> Any:
        if image_id is None:
            return {}
        image = images.get(image_id)
        if image is None or not isinstance(image["written"], dict):
            return "no volume"
        below = held(image["parent"])
        return {**below, **image["written"]} if isinstance(below, dict) else below

    def recorded(text: str) -> Any:
        image_id, status = text.split()
        return held(image_id) if status == "ok" else status

    def without_ids(text: str) -> str:
        for name, disk in state["disks"].items():
            text = text.replace(disk["id"], name)
        return text

    rows = []
    for row in state["snapshots"]:
        disks_of_row = {name: recorded(disk) for name, disk in row["disks"].items()}
        rows.append((row["kind"], row["status"], without_ids(row["description"]), bool(row["memory"]), row["broken"], disks_of_row))
    rows.sort(key=lambda row: row[0] == "active")  # which dates like another in a preview
    disks = {}
    for name, disk in state["disks"].items():
        attachment = dict(disk["attachment"] or {})
        attachment.pop("disk_id", None)
        active = next((image["id"] for image in disk["images"] if image["active"]), None)
        statuses = {image["status"] for image in disk["images"]}
        disks[name] = (attachment, held(active), len(disk["images"]), statuses)
    return {"status": state["status"], "lock": state["lock"], "rows": rows, "disks": disks, "volumes": len(machine.engine.volumes(machine.id))}


def all_rests(machine: EngineMachine) -> None:
    """Nothing is under way, nothing of ours is left, and every image that counts as active is labelled so."""
    found = fresh(machine).read()
    assert found.unfinished == ""
    state = machine.engine.state(machine.id)
    assert [job for job in state["jobs"] if job.startswith("started")] == []
    shown = any(row["kind"] == "preview" for row in state["snapshots"])
    own = [row["description"].split("\n")[0] for row in state["snapshots"] if row["description"].startswith(source.BEGINS)]
    assert own == ([source.SOURCE] if shown and own else [])
    active = next(row["id"] for row in state["snapshots"] if row["kind"] == "active")
    for name, disk in state["disks"].items():
        if disk["attachment"]:
            assert {image["label"] for image in disk["images"] if image["active"]} == {active}, name


@contextmanager
def hurried(grace: float) -> Iterator[None]:
    """What takes seconds on a real engine takes milliseconds here."""
    before = jobs.GRACE, desk.QUIET_FOR
    jobs.GRACE, desk.QUIET_FOR = grace, 0.3
    try:
        yield
    finally:
        jobs.GRACE, desk.QUIET_FOR = before


UNDISTURBED: dict[str, Picture] = {}


def undisturbed(scene: Scene, center: Callable[..., EngineMachine]) -> Picture:
    """What the VM looks like after the verb, when nobody disturbs it; found out once for each scene."""
    if scene.name not in UNDISTURBED:
        machine = scene.machine(center)
        with counted(lambda _number, send: send()) as sent:
            outcome = run(machine, scene.verb)
        assert tuple(sent) == scene.sends, sent
        assert outcome.changed
        all_rests(machine)
        UNDISTURBED[scene.name] = picture(machine)
        machine.engine.reset()
    return UNDISTURBED[scene.name]
