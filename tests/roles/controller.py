# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of AWX's REST API as the modules of awx.awx ask for: objects are kept as they are sent, found by what they hold, and linked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

API = "/api/v2/"
# What a job template can be and a workflow can start.
UNIFIED = {"job_templates": "job_template", "workflow_job_templates": "workflow_job_template", "projects": "project"}
UNIFIED_APPROVAL = {"workflow_approval_templates": "workflow_approval_template"}
SURVEYS = ("job_templates", "workflow_job_templates")
LINKS = {
    "job_templates": ("credentials", "labels", "instance_groups"),
    "schedules": ("credentials", "labels", "instance_groups"),
    "workflow_job_templates": ("labels",),
    "workflow_job_template_nodes": ("credentials", "labels", "instance_groups", "success_nodes", "failure_nodes", "always_nodes"),
}
SECRET = "$encrypted$"
APPROVAL_FIELDS = ("name", "description", "timeout")
Item = dict[str, Any]


class Controller:
    """What a new AWX has: an organization, and the credential types of its own."""

    def __init__(self) -> None:
        self.items: dict[str, dict[int, Item]] = {}
        self.links: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[tuple[str, int], Item] = {}
        self.requests: list[tuple[str, str]] = []
        self.secrets: dict[int, Item] = {}
        self._number = 0
        self.add("organizations", {"name": "Default"})
        self.add("credential_types", {"name": "Red Hat Virtualization", "kind": "cloud", "inputs": {"fields": [{"id": "password", "secret": True}]}})

    def add(self, kind: str, item: Item) -> Item:
        self._number += 1
        number = self._number
        url = f"{API}{kind}/{number}/"
        related = {name: f"{url}{name}/" for name in LINKS.get(kind, ())}
        if kind in SURVEYS:
            related["survey_spec"] = f"{url}survey_spec/"
        found = {"id": number, "type": kind.rstrip("s"), "url": url, "related": related, "description": "", **item}
        if kind in {**UNIFIED, **UNIFIED_APPROVAL}:
            found["type"] = {**UNIFIED, **UNIFIED_APPROVAL}[kind]
        if kind == "projects":
            found.update(status="successful", scm_revision="1", summary_fields={})
        self.items.setdefault(kind, {})[number] = self._hidden(kind, number, found)
        return self.items[kind][number]

    def change(self, kind: str, number: int, item: Item) -> Item:
        if kind == "workflow_approval_templates":
            item = {name: value for name, value in item.items() if name in APPROVAL_FIELDS}
        self.items[kind][number].update(self._hidden(kind, number, item))
        return self.items[kind][number]

    def _hidden(self, kind: str, number: int, item: Item) -> Item:
        """Secrets are kept and not shown."""
        if kind != "credentials" or "inputs" not in item:
            return item
        of_type = self.items["credential_types"][item.get("credential_type") or self.items[kind][number]["credential_type"]]
        secret = {field["id"] for field in of_type["inputs"]["fields"] if field.get("secret")}
        self.secrets[number] = item["inputs"]
        return {**item, "inputs": {name: SECRET if name in secret else value for name, value in item["inputs"].items()}}

    def find(self, kind: str, query: list[tuple[str, str]]) -> list[Item]:
        if kind == "unified_job_templates":
            pool = [item for name in {**UNIFIED, **UNIFIED_APPROVAL} for item in self.items.get(name, {}).values()]
        else:
            pool = list(self.items.get(kind, {}).values())
        either = [(name.removeprefix("or__"), value) for name, value in query if name.startswith("or__")]
        every = [(name, value) for name, value in query if not name.startswith("or__") and name not in ("page_size", "order_by")]
        return [
            item
            for item in pool
            if all(str(item.get(name)) == value for name, value in every) and (not either or any(str(item.get(name)) == value for name, value in either))
        ]

    def named(self, kind: str, name: str) -> Item:
        (found,) = [item for item in self.items.get(kind, {}).values() if item.get("name", item.get("identifier")) == name]
        return found

    def linked(self, kind: str, item: Item, link: str) -> list[int]:
        return self.links.get((kind, item["id"], link), [])

    def answer(self, method: str, path: str, query: list[tuple[str, str]], body: Item) -> tuple[int, Any]:
        self.requests.append((method, path))
        parts = path.removeprefix(API).strip("/").split("/")
        if parts == ["tokens"]:
            return 201, {"id": 1, "token": "token"}
        if parts[0] in ("ping", "me", "tokens"):
            return (204, None) if method == "DELETE" else (200, {})
        if len(parts) == 1:
            return self._list(method, parts[0], query, body)
        kind, number = parts[0], int(parts[1])
        if number not in self.items.get(kind, {}):
            return 404, {"detail": "Not found."}
        if len(parts) == 2 and method == "DELETE":
            self._forget(kind, number)
            return 204, None
        if len(parts) == 2:
            return (200, self.change(kind, number, body)) if method in ("PATCH", "PUT") else (200, self.items[kind][number])
        return self._below(method, kind, number, parts[2], body)

    def _forget(self, kind: str, number: int) -> None:
        del self.items[kind][number]
        for (of_kind, _of, link), ends in self.links.items():
            if kind == of_kind and link.endswith("_nodes") and number in ends:
                ends.remove(number)

    def _list(self, method: str, kind: str, query: list[tuple[str, str]], body: Item) -> tuple[int, Any]:
        if method == "POST":
            return 201, self.add(kind, body)
        found = self.find(kind, query)
        return 200, {"count": len(found), "results": found, "next": None}

    def _below(self, method: str, kind: str, number: int, name: str, body: Item) -> tuple[int, Any]:
        if name == "survey_spec":
            if method == "POST":
                self.surveys[kind, number] = body
            return 200, self.surveys.get((kind, number), {})
        if name == "create_approval_template":
            made = self.add("workflow_approval_templates", {field: body[field] for field in APPROVAL_FIELDS if field in body})
            self.items[kind][number]["unified_job_template"] = made["id"]
            self.items[kind][number]["related"]["unified_job_template"] = made["url"]
            return 201, made
        if name not in LINKS.get(kind, ()):
            return 404, {"detail": "Not found."}
        links = self.links.setdefault((kind, number, name), [])
        if method != "POST":
            return 200, {"count": len(links), "results": [{"id": link} for link in links], "next": None}
        if body.get("disassociate"):
            links.remove(body["id"])
        else:
            links.append(body["id"])
        return 204, None


@contextmanager
def serving(controller: Controller) -> Iterator[str]:
    """The URL at which it answers."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "{}")
            split = urlsplit(self.path)
            with lock:
                status, data = controller.answer(self.command, re.sub(r"/+", "/", split.path), parse_qsl(split.query), body)
                text = b"" if data is None else json.dumps(data).encode()
            self.send_response(status)
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("X-API-Product-Version", "24.6.1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _do

        def log_message(self, *_arguments: Any) -> None:
            """Nothing on the standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
