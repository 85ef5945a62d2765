# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to log in to an engine: from the options, the environment, and the file that OVIRT_INI_PATH names."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._engine.errors import Refused

ENVIRONMENT = {
    "url": "OVIRT_URL",
    "hostname": "OVIRT_HOSTNAME",
    "username": "OVIRT_USERNAME",
    "password": "OVIRT_PASSWORD",
    "token": "OVIRT_TOKEN",
    "ca_file": "OVIRT_CAFILE",
}
"""As in the collection ovirt.ovirt."""

INI_PATH = "OVIRT_INI_PATH"
IN_THE_FILE = ("url", "username", "password", "ca_file")
"""Keys of the section [ovirt], each with the prefix ovirt_. This is how AWX hands over its credential; the path of the CA is only in there."""


@dataclass(frozen=True)
class Login:
    """What an SDK connection is made with. Secrets are left out of its text. ``timeout`` is in seconds, 0 for none."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca_file: str = ""
    insecure: bool = False
    timeout: int = 0
    compress: bool = True
    kerberos: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def login(auth: Mapping[str, Any] | None, environment: Mapping[str, str]) -> Login:
    """Raises Refused when it is not known where to or as whom to log in."""
    given = {key: value for key, value in (auth or {}).items() if value not in (None, "")}
    for key, name in ENVIRONMENT.items():
        if environment.get(name):
            given.setdefault(key, environment[name])
    for key, value in _file(environment.get(INI_PATH, "")).items():
        given.setdefault(key, value)
    url = given.get("url") or (f"https://{given['hostname']}/ovirt-engine/api" if given.get("hostname") else "")
    found = Login(
        url=str(url).rstrip("/"),
        username=str(given.get("username", "")),
        password=str(given.get("password", "")),
        token=str(given.get("token", "")),
        ca_file=str(given.get("ca_file", "")),
        insecure=bool(given.get("insecure", False)),
        timeout=int(given.get("timeout", 0)),
        compress=bool(given.get("compress", True)),
        kerberos=bool(given.get("kerberos", False)),
        headers={str(name): str(value) for name, value in (given.get("headers") or {}).items()},
    )
    _check(found)
    return found


def _file(path: str) -> dict[str, str]:
    if not path:
        return {}
    # Without interpolation: a password may hold a percent sign.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeError, configparser.Error) as error:
        # Not the error's own text: that of a parser quotes the line, which may be the password.
        raise Refused(
            f"the file {path}, which {INI_PATH} names, cannot be read ({type(error).__name__})",
            "bad_auth",
            "it needs a section [ovirt] with ovirt_url and so on",
        ) from None
    section = parser["ovirt"] if parser.has_section("ovirt") else {}
    return {key: section[f"ovirt_{key}"] for key in IN_THE_FILE if section.get(f"ovirt_{key}")}


def _check(found: Login) -> None:
    if not found.url:
        raise Refused("it is not said which oVirt engine to use", "bad_auth", "set auth.url or auth.hostname, or the environment variable OVIRT_URL")
    if not found.url.startswith(("https://", "http://")):
        raise Refused(f"{found.url!r} is no URL of an engine", "bad_auth", "it looks like https://engine.example.com/ovirt-engine/api")
    if not (found.token or found.kerberos or (found.username and found.password)):
        raise Refused(f"it is not said as whom to log in to {found.url}", "bad_auth", "set auth.username and auth.password, auth.token, or auth.kerberos: true")
    if not found.token.isascii():
        raise Refused("auth.token holds characters that no token has", "bad_auth", "use the token that the engine gave")
    if found.ca_file and not found.insecure and not os.path.exists(found.ca_file):
        raise Refused(f"there is no file {found.ca_file} with certificates to trust", "bad_auth", "correct auth.ca_file or OVIRT_CAFILE")
