# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control interface for tests: ``POST /_emulator/NAME`` with arguments in JSON. control.py is its client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from werkzeug import Request, Response

from tests.emulator import small
from tests.emulator.model.command import Call
from tests.emulator.model.create import Choice, Create
from tests.emulator.rest import sso
from tests.emulator.rest.disturbance import KINDS, Disturbances
from tests.emulator.rest.gate import Gate
from tests.emulator.rest.log import Log
from tests.emulator.rest.state import describe
from tests.emulator.rest.users import LEAST, Denied, User, Users

Arguments = dict[str, Any]


class Control:
    def __init__(self, gate: Gate, users: Users, log: Log, disturbances: Disturbances) -> None:
        self.gate = gate
        self.engine = gate.engine
        self.users = users
        self.request_log = log
        self.disturbances = disturbances
        disturbances.perform = self.perform

    def respond(self, request: Request, name: str) -> Response:
        try:
            if not sso.who(request, self.users).admin:
                raise Denied("Unauthorized")
        except Denied as error:
            return sso.denied(error)
        try:
            with self.gate:
                result = self.perform(name, json.loads(request.get_data() or b"{}"))
        except (KeyError, LookupError, TypeError, ValueError) as error:
            return Response(json.dumps({"error": f"{type(error).__name__}: {error}"}), 400, content_type="application/json")
        return Response(json.dumps({"result": result}), content_type="application/json")

    def perform(self, name: str, arguments: Arguments) -> Any:
        operation: Callable[..., Any] | None = getattr(self, f"do_{name}", None)
        if operation is None:
            raise LookupError(f"no operation {name}")
        return operation(**arguments)

    # Contents
    def do_write(self, disk: str, block: str, token: str) -> str:
        image = self.engine.tables.images.current(disk)
        if image is None:
            raise LookupError(f"no disk {disk} with images")
        self.engine.storage.write(image.id, block, token)
        return image.id

    def do_image_content(self, image: str) -> dict[str, str]:
        return self.engine.storage.content(image)

    def do_disk_content(self, disk: str) -> dict[str, str]:
        image = self.engine.tables.images.current(disk)
        return self.engine.storage.content(image.id) if image else {}

    def do_volumes(self, vm: str | None = None) -> list[str]:
        storage, tables = self.engine.storage, self.engine.tables
        if vm is None:
            return sorted(storage.volumes)
        rows = tables.rows(vm)
        labels = {row.id for row in rows}
        disks = {image.disk_id for image in tables.images if image.snapshot_id in labels} | set(tables.vms[vm].attachments)
        memory = {volume_id for row in rows for volume_id in row.memory or ()}
        return sorted({volume.id for volume in storage.volumes.values() if volume.disk_id in disks} | (memory & set(storage.volumes)))

    # Things
    def do_make_vm(self, name: str, disks: list[Any] | None = None, **options: Any) -> str:
        return small.make_vm(self.engine, name, disks or [], **options).id

    def do_attach_disk(self, vm: str, name: str, **options: Any) -> str:
        return small.attach_disk(self.engine, self.engine.tables.vms[vm], {"name": name, **options}).id

    def do_snapshot(self, vm: str, description: str, disks: list[str] | None = None, user: str = "other@internal-authz") -> str:
        """What somebody else does: a snapshot, made at once."""
        choices = None if disks is None else [Choice(disk) for disk in disks]
        command = Create(self.engine, Call("somebody-else", user), self.engine.tables.vms[vm], description, False, choices)
        self.engine.submit(command)
        self.engine.settle(vm)
        return command.row.id if command.row else ""

    def do_agent(self, vm: str, running: bool) -> None:
        self.engine.tables.vms[vm].agent = running

    def do_user(self, name: str, password: str, vm: str | None = None, permits: list[str] | None = None) -> str:
        full = name if "@" in name else f"{name}@internal"
        granted = LEAST if permits is None else frozenset(permits)
        self.users.add(User(full, password, permits={vm: granted} if granted else {}))
        return full

    def do_expire_tokens(self) -> None:
        self.users.expire()

    # Time
    def do_speed(self, x: float) -> None:
        self.engine.execution.speed = self.engine.clock.speed = x

    def do_hold(self) -> None:
        self.engine.clock.hold()

    def do_release(self) -> None:
        self.engine.clock.release()

    def do_step(self) -> bool:
        """The next moment of the tasks, also while they are held; False: there is none."""
        return self.engine.clock.leap()

    def do_settle(self, vm: str | None = None) -> None:
        self.engine.settle(vm)

    # Failures
    def do_fault(self, kind: str, **where: Any) -> None:
        if kind in KINDS:
            self.disturbances.add(kind, **where)
        elif kind == "host.down":
            self.engine.host_down(float(where["seconds"]))
        elif kind == "engine.stall":
            self.engine.stall(float(where["seconds"]))
        elif kind == "domain.unknown":
            for domain in self.engine.tables.domains.values():
                domain.status = "unknown"
        else:
            self.engine.injections.add(kind, **where)

    def do_clear_faults(self) -> None:
        self.disturbances.clear()
        self.engine.injections.clear()
        self.engine.host_back_at = 0.0
        for domain in self.engine.tables.domains.values():
            domain.status = "active"

    def do_faults(self) -> list[str]:
        """Kinds of failures that were asked for and did not happen yet."""
        return [injection.kind for injection in self.engine.injections.waiting()] + self.disturbances.waiting()

    def do_restart(self, downtime: float = 25.0) -> None:
        self.engine.restart(downtime)
        self.users.expire()

    def do_unlock(self, kind: str, name: str) -> None:
        self.engine.unlock_entity(kind, name)

    def do_clean_tasks(self) -> None:
        self.engine.clean_tasks()

    # Looking
    def do_log(self) -> list[tuple[Any, ...]]:
        return self.request_log.entries()

    def do_clear_log(self) -> None:
        self.request_log.clear()

    def do_state(self, vm: str) -> dict[str, Any]:
        return describe(self.engine, vm)

    def do_reset(self, empty: bool = True) -> None:
        self.do_clear_faults()
        self.users.clear()
        self.request_log.clear()
        self.engine.empty()
        if not empty:
            small.fill(self.engine)
