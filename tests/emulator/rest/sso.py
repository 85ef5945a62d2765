# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login and logout (§2.1)."""

from __future__ import annotations

import base64
import binascii
import json

from werkzeug import Request, Response

from tests.emulator.rest.users import Denied, User, Users

SCOPE = "ovirt-app-api ovirt-app-admin ovirt-ext=token-info:authz-search ovirt-ext=token:password-access"


def _json(tree: dict[str, str], status: int = 200) -> Response:
    return Response(json.dumps(tree) if tree else "{ }", status, content_type="application/json;charset=UTF-8")


def token(request: Request, users: Users) -> Response:
    form = request.values
    if form.get("grant_type") != "password":
        return _json({"error_code": "invalid_request", "error": "The request is missing a required parameter: grant_type"}, 400)
    name = form.get("username", "")
    try:
        access_token, expires = users.log_in(name, form.get("password", ""))
    except Denied as error:
        text = str(error).removeprefix("access_denied: ")
        return _json({"error_code": "access_denied", "error": text}, 400)
    return _json({"access_token": access_token, "scope": SCOPE, "exp": str(expires), "token_type": "bearer"})


def logout(request: Request, users: Users) -> Response:
    users.revoke(request.values.get("token", ""))
    return _json({})


def who(request: Request, users: Users) -> User:
    """By token or by name and password; otherwise the text of a 401."""
    scheme, _space, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        user = users.of_token(value.strip())
    elif scheme.lower() == "basic":
        user = users.check(*_name_and_password(value))
    else:
        raise Denied("Unauthorized")
    if not user.may_log_in:
        name, _at, profile = user.name.partition("@")
        raise Denied(f"The user {name}@{profile}-authz with profile [{profile}] is not authorized to perform login")
    return user


def _name_and_password(value: str) -> tuple[str, str]:
    try:
        name, _colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Denied("Unauthorized") from None
    return name, password


def denied(error: Denied) -> Response:
    page = f"<html><head><title>Error</title></head><body>{error}</body></html>"
    return Response(page, 401, {"WWW-Authenticate": 'Basic realm="RESTAPI"'}, content_type="text/html;charset=UTF-8")
