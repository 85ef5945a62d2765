# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WSGI application: from a request to an answer."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from tests.emulator.model.messages import Refusal
from tests.emulator.rest import sso
from tests.emulator.rest.control import Control
from tests.emulator.rest.disturbance import Disturbances
from tests.emulator.rest.errors import CrashPage, Cut, Empty, Fault, Problem, Text
from tests.emulator.rest.exchange import Answer, Exchange, correlation_id
from tests.emulator.rest.formats import to_json, to_xml
from tests.emulator.rest.gate import Gate
from tests.emulator.rest.log import Log
from tests.emulator.rest.routes import routes
from tests.emulator.rest.users import Denied, Users
from tests.emulator.rest.views.links import API

WRITTEN = ("application/xml", "application/json")
MATRIX = re.compile(r";([^;=/]+)=([^;/]*)")


class Application:
    def __init__(self, gate: Gate, users: Users) -> None:
        self.gate = gate
        self.users = users
        self.log = Log()
        self.disturbances = Disturbances(gate)
        self.control = Control(gate, users, self.log, self.disturbances)
        self._routes = routes()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(without_matrix(environ))
        try:
            response = self._dispatch(request)
        except Cut:
            hang_up(environ)
            raise ConnectionAbortedError("cut on purpose") from None
        return response(environ, start_response)

    def _dispatch(self, request: Request) -> Response:
        request.get_data()  # an incomplete request leaves nothing (§15.4)
        path = request.path
        if path.startswith("/_emulator/"):
            return self.control.respond(request, path.removeprefix("/_emulator/"))
        with self.gate as engine:
            if engine.down_until > engine.execution.now():
                raise Cut
        if path == "/ovirt-engine/sso/oauth/token":
            return sso.token(request, self.users)
        if path == "/ovirt-engine/services/sso-logout":
            return sso.logout(request, self.users)
        if path == API or path.startswith(f"{API}/"):
            return self._api(request, path.removeprefix(API).removeprefix("/v4") or "/")
        return Response(status=404)

    def _api(self, request: Request, path: str) -> Response:
        entry = self.log.begin(request.method, path, request.query_string.decode())
        try:
            user = sso.who(request, self.users)
        except Denied as error:
            entry.status = 401
            return sso.denied(error)
        cid = correlation_id(request)
        entry.correlation_id, entry.user = cid, user.name
        exchange = Exchange(request, self.gate, user, cid)
        try:
            with self.gate:
                answer = self.disturbances.around(exchange, path, lambda: self._answer(exchange, path), lambda: hang_up(request.environ))
                response = self._written(request, answer)
            response.headers["Correlation-Id"] = cid
        except Cut:
            raise
        except (Problem, Refusal, Denied) as error:
            response = self._failed(request, error)
            if response.status_code in (202, 400, 403, 404, 409) or (response.status_code == 500 and isinstance(error, (Fault, Refusal))):
                response.headers["Correlation-Id"] = cid
        entry.status = response.status_code
        return response

    def _answer(self, exchange: Exchange, path: str) -> Answer:
        adapter = self._routes.bind("engine", default_method=exchange.request.method)
        try:
            handler, arguments = adapter.match(path, exchange.request.method)
        except MethodNotAllowed:
            raise Empty(405) from None
        except HTTPException:
            raise Empty(404) from None
        answer: Answer = handler(exchange, **arguments)
        return answer

    # Writing
    def _written(self, request: Request, answer: Answer) -> Response:
        if answer.tree is None:
            return empty(answer.status)
        if not request.accept_mimetypes.best_match(WRITTEN, default="" if request.accept_mimetypes else WRITTEN[0]):
            return empty(406)
        if wants_json(request):
            text, kind = to_json(answer.tree), "application/json"
        else:
            text, kind = to_xml(answer.root, answer.tree), "application/xml"
        return Response(text, answer.status, answer.headers, content_type=f"{kind};charset=UTF-8")

    def _failed(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Refusal):
            error = Fault(error.status, error.detail)
        if isinstance(error, Fault):
            return self._written(request, Answer(error.status, "fault", error.tree))
        if isinstance(error, Text):
            return Response(str(error), error.status, content_type="text/plain;charset=UTF-8")
        if isinstance(error, CrashPage):
            return Response(error.page, 500, content_type="text/html;charset=UTF-8")
        if isinstance(error, Denied):
            return sso.denied(error)
        return empty(error.status if isinstance(error, Empty) else 500)


def empty(status: int) -> Response:
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def without_matrix(environ: dict[str, Any]) -> dict[str, Any]:
    """``/events;from=5`` means the same as ``/events?from=5``: the root's own links have it."""
    path, given = environ["PATH_INFO"], [environ.get("QUERY_STRING") or ""]
    given += [f"{key}={quote(value)}" for key, value in MATRIX.findall(path)]
    return {**environ, "PATH_INFO": MATRIX.sub("", path), "QUERY_STRING": "&".join(part for part in given if part)}


def wants_json(request: Request) -> bool:
    return request.accept_mimetypes.best_match(WRITTEN, default=WRITTEN[0]) == "application/json"


def hang_up(environ: dict[str, Any]) -> None:
    """The client sees its connection end without an answer."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
