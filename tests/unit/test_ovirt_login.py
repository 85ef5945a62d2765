# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the login to an engine comes from, and which backend the options and the environment mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends import registry
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.login import login
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import Refused

URL = "https://engine.example.com/ovirt-engine/api"
NAMED = {"OVIRT_URL": URL, "OVIRT_USERNAME": "admin@internal", "OVIRT_PASSWORD": "of the environment"}


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    path = tmp_path / "ovirt.ini"
    path.write_text(f"[ovirt]\novirt_url={URL}\novirt_username=awx@internal\novirt_password=100%secret\novirt_ca_file={path}\n")
    return path


def test_everything_from_the_option() -> None:
    found = login({"url": URL + "/", "username": "u@p", "password": "p", "insecure": True, "timeout": 7, "compress": False, "headers": {"filter": True}}, {})
    assert (found.url, found.username, found.password) == (URL, "u@p", "p")
    assert (found.insecure, found.timeout, found.compress, found.headers) == (True, 7, False, {"filter": "True"})


def test_host_name_in_place_of_the_url() -> None:
    assert login({"hostname": "engine.example.com", "token": "t"}, {}).url == URL


def test_everything_from_the_environment() -> None:
    found = login(None, NAMED)
    assert (found.url, found.username, found.password, found.insecure) == (URL, "admin@internal", "of the environment", False)


def test_everything_from_the_file_as_awx_hands_it_over(ini: Path) -> None:
    found = login(None, {"OVIRT_INI_PATH": str(ini)})
    assert (found.url, found.username, found.password, found.ca_file) == (URL, "awx@internal", "100%secret", str(ini))


def test_the_option_goes_before_the_environment_and_that_before_the_file(ini: Path) -> None:
    found = login({"username": "mine@internal"}, {**NAMED, "OVIRT_INI_PATH": str(ini)})
    assert (found.username, found.password, found.ca_file) == ("mine@internal", "of the environment", str(ini))


def test_no_secret_is_in_its_text() -> None:
    text = repr(login({"url": URL, "username": "u", "password": "hush", "token": "hushed", "headers": {"x": "quiet"}}, {}))
    assert not any(secret in text for secret in ("hush", "quiet"))


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        ({}, "which oVirt engine"),
        ({"url": URL}, "as whom"),
        ({"url": URL, "username": "u"}, "as whom"),
        ({"url": "engine.example.com", "token": "t"}, "no URL"),
        ({"url": URL, "token": "tökén"}, "token"),
        ({"url": URL, "token": "t", "ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
    ],
)
def test_what_is_missing_or_wrong_is_said(auth: dict[str, str], says: str) -> None:
    with pytest.raises(Refused, match=says) as raised:
        login(auth, {})
    assert raised.value.reason == "bad_auth"
    assert raised.value.hint


@pytest.mark.parametrize("text", ["ovirt_password=hush", "[ovirt\novirt_password=hush", "\xff\xfehush"])
def test_a_file_that_cannot_be_read_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.ini"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=r"broken\.ini") as raised:
        login(None, {"OVIRT_INI_PATH": str(path)})
    assert "hush" not in raised.value.message
    assert raised.value.__suppress_context__


def test_a_ca_that_nobody_asks_for_need_not_be_there() -> None:
    assert login({"url": URL, "token": "t", "ca_file": "/nowhere/ca.pem", "insecure": True}, {}).insecure


@pytest.mark.parametrize(
    ("params", "environment", "chosen"),
    [
        ({}, {}, "libvirt"),
        ({"uri": "test:///default"}, NAMED, "libvirt"),
        ({"auth": {"url": URL}}, {"LIBVIRT_DEFAULT_URI": "test:///default"}, "ovirt"),
        ({}, NAMED, "ovirt"),
        ({}, {"OVIRT_INI_PATH": "/etc/ovirt.ini"}, "ovirt"),
        ({}, {"LIBVIRT_DEFAULT_URI": "test:///default"}, "libvirt"),
        ({"backend": "libvirt"}, NAMED, "libvirt"),
        ({"backend": "ovirt"}, {}, "ovirt"),
        ({}, {**NAMED, "LIBVIRT_DEFAULT_URI": "test:///default"}, None),
        ({"backend": "libvirt", "auth": {"url": URL}}, {}, None),
        ({"backend": "ovirt", "uri": "test:///default"}, {}, None),
    ],
)
def test_what_is_given_decides_the_backend(monkeypatch: pytest.MonkeyPatch, params: dict[str, str], environment: dict[str, str], chosen: str | None) -> None:
    for name in (*registry.ENGINE, registry.LIBVIRT_URI):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if chosen is None:
        with pytest.raises(Refused) as raised:
            registry.chosen(params)
        assert raised.value.reason == "backend_unclear"
    else:
        assert registry.chosen(params) == chosen
