# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request and what its handler needs: who asks, the body, the model, and how to run a command."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Request

from tests.emulator.model.command import Call, Command
from tests.emulator.model.engine import Engine
from tests.emulator.model.messages import UNAUTHORIZED, Refusal
from tests.emulator.model.rows import Vm
from tests.emulator.rest.body import FIELDS, NESTED
from tests.emulator.rest.errors import Cut, Empty, Fault, Text
from tests.emulator.rest.formats import Tree, Unknown, Unreadable, from_json, from_xml
from tests.emulator.rest.gate import Gate
from tests.emulator.rest.search import limit_of
from tests.emulator.rest.users import User


@dataclass
class Answer:
    status: int
    root: str = ""
    tree: Tree | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Exchange:
    request: Request
    gate: Gate
    user: User
    correlation_id: str
    service: str = "snapshots"
    method: str = "add"
    """For the text that points to the documentation."""

    @property
    def engine(self) -> Engine:
        return self.gate.engine

    @property
    def call(self) -> Call:
        return Call(self.correlation_id, self.user.principal)

    # The question
    def query(self, name: str) -> str | None:
        value = self.request.args.get(name)
        return None if value is None else str(value)

    def asks(self, name: str) -> bool:
        """A parameter, or a header of the same name: ``All-Content: true`` (§3.3). One without a value is true."""
        value = self.query(name)
        if value is None:
            value = self.request.headers.get(name.replace("_", "-").title(), "false")
        return value.lower() in ("true", "")

    @property
    def limit(self) -> int | None:
        return limit_of(self.query("max"))

    def vm(self, vm_id: str) -> Vm | None:
        """A VM that the user may not see does not exist."""
        return self.engine.tables.vms.get(vm_id) if self.user.sees(vm_id) else None

    def known_vm(self, vm_id: str) -> Vm:
        vm = self.vm(vm_id)
        if vm is None:
            raise Empty(404)
        return vm

    def require(self, permit: str, vm_id: str | None) -> None:
        exists = vm_id is None or vm_id in self.engine.tables.vms
        if exists and not self.user.may(permit, vm_id):
            raise Refusal(403, UNAUTHORIZED)

    # The body (§2.3)
    def body(self, root: str, kind: str) -> Tree:
        data, content_type = self.request.get_data(), self.request.headers.get("Content-Type", "")
        if not data and not content_type:
            raise Empty(415)
        if not data:
            raise self.malformed()
        try:
            if "json" in content_type:
                tree = from_json(data)
                known(tree, kind)
                return tree
            if "xml" not in content_type:
                raise Empty(415)
            tag, tree = from_xml(data)
        except Unreadable:
            raise self.malformed() from None
        except Unknown as error:
            raise Text(400, str(error)) from None
        if tag != root:
            raise Text(500, f"java.lang.ClassCastException@{secrets.token_hex(4)}")
        return tree

    def malformed(self) -> Fault:
        guide = f"{self.request.scheme}://{self.request.host}/ovirt-engine/apidoc#services/{self.service}/methods/{self.method}"
        return Fault(400, f"For correct usage, see: {guide}", "Request syntactically incorrect.")

    # Commands
    def run(self, command: Command, *, tasks: bool = False) -> None:
        """Until the engine has an answer, or until the tasks are over as well. Raises the command's Refusal."""
        self.engine.submit(command)
        self.gate.wait(lambda: command.cut or (command.done and (command.tasks_over or not tasks)))
        if command.cut:
            raise Cut
        if command.refusal:
            raise command.refusal


def known(tree: Any, kind: str) -> None:
    """JSON with a field that the class does not have is refused."""
    fields = FIELDS.get(kind)
    if fields is None or not isinstance(tree, dict):
        return
    for key, value in tree.items():
        if key not in fields:
            raise Unknown(key, kind)
        for inner in value if isinstance(value, list) else [value]:
            if key in NESTED:
                known(inner, NESTED[key])
            elif isinstance(inner, dict):
                for name, wrapped in inner.items():
                    for one in wrapped if isinstance(wrapped, list) else [wrapped]:
                        known(one, NESTED.get(name, ""))


def correlation_id(request: Request) -> str:
    """§2.2: the header, else the parameter, else a new one; cleaned and cut."""
    given = request.headers.get("Correlation-Id") or request.args.get("correlation_id") or ""
    return re.sub(r"[^0-9a-zA-Z_-]", "", given)[:36] or str(uuid.uuid4())


Handler = Callable[..., Answer]
