# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login, correlation ids, formats, faults (§2)."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlencode, urlsplit

import pytest

from tests.emulator.client import NO_DISK, Client
from tests.emulator.conftest import Machine
from tests.emulator.control import Emulator

UNKNOWN = "11111111-2222-3333-4444-555555555555"


def token(engine: Emulator, password: str, username: str = "admin@internal") -> tuple[int, dict[str, str]]:
    client = Client(engine)
    form = {"grant_type": "password", "username": username, "password": password, "scope": "ovirt-app-api"}
    reply = client.ask("POST", "/ovirt-engine/sso/oauth/token", urlencode(form), content_type="application/x-www-form-urlencoded")
    return reply.status, reply.json


def test_login_gives_a_token_that_works_until_logout(engine: Emulator) -> None:
    status, answer = token(engine, engine.password)
    assert (status, answer["token_type"]) == (200, "bearer")
    assert isinstance(answer["exp"], str)
    bearer = f"Bearer {answer['access_token']}"
    client = Client(engine)
    assert client.get("/vms", authorization=bearer).status == 200
    form = urlencode({"scope": "ovirt-app-api", "token": answer["access_token"]})
    out = client.ask("POST", "/ovirt-engine/services/sso-logout", form, content_type="application/x-www-form-urlencoded")
    assert (out.status, out.json) == (200, {})
    assert client.get("/vms", authorization=bearer).status == 401


def test_wrong_password(engine: Emulator) -> None:
    status, answer = token(engine, "wrong")
    assert status == 400
    assert answer["error_code"] == "access_denied"
    assert answer["error"].startswith("Cannot authenticate user 'admin@internal'")


@pytest.mark.parametrize(
    ("authorization", "text"),
    [
        (None, "Unauthorized"),
        ("Bearer nonsense", "invalid_grant: The provided authorization grant for the auth code has expired."),
    ],
)
def test_texts_of_401(rest: Client, authorization: str | None, text: str) -> None:
    reply = rest.get("/vms", authorization=authorization)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == 'Basic realm="RESTAPI"'
    assert reply.text == f"<html><head><title>Error</title></head><body>{text}</body></html>"


def test_texts_of_401_with_basic(engine: Emulator) -> None:
    assert "access_denied: Cannot authenticate user 'admin@internal': Unable to log in." in Client(engine, password="wrong").get("/vms").text
    assert "'admin@nowhere': No valid profile found in credentials.." in Client(engine, "admin@nowhere").get("/vms").text
    engine.user("idle", "pw", permits=set())
    text = "The user idle@internal-authz with profile [internal] is not authorized to perform login"
    assert text in Client(engine, "idle@internal", "pw").get("/vms").text


def test_expired_tokens(engine: Emulator) -> None:
    _status, answer = token(engine, engine.password)
    engine.expire_tokens()
    assert Client(engine).get("/vms", authorization=f"Bearer {answer['access_token']}").status == 401


@pytest.mark.parametrize(("sent", "effective"), [("sp ace/äö:.é", "space"), ("a" * 50, "a" * 36), ("A_b-9", "A_b-9")])
def test_correlation_id_is_cleaned_and_echoed(rest: Client, sent: str, effective: str) -> None:
    assert rest.get("/vms", correlation_id=sent.encode().decode("latin-1")).headers["Correlation-Id"] == effective


def test_correlation_id_from_the_query_or_made_up(rest: Client) -> None:
    assert rest.get("/vms?correlation_id=query").headers["Correlation-Id"] == "query"
    assert len(rest.get("/vms").headers["Correlation-Id"]) == 36
    assert rest.get(f"/vms/{UNKNOWN}", correlation_id="missing").headers["Correlation-Id"] == "missing"


def test_json(rest: Client, vm: Machine) -> None:
    found = rest.get(f"/vms?search=id%3D{vm.id}&follow=snapshots,tags", accept="application/json").json["vm"][0]
    assert isinstance(found["creation_time"], int)
    assert (found["stateless"], found["memory"], found["tags"]) == ("false", str(1 << 30), {})
    assert found["snapshots"]["snapshot"][0]["snapshot_type"] == "active"
    assert rest.get("/vms?search=name%3Dnone", accept="application/json").json == {}
    fault = rest.get(f"/vms/{vm.id}/snapshots/{UNKNOWN}", accept="application/json").json
    assert set(fault) == {"detail", "reason"}


def test_json_that_is_sent(rest: Client, engine: Emulator, vm: Machine) -> None:
    def send(**fields: object) -> tuple[int, str]:
        reply = rest.post(f"/vms/{vm.id}/snapshots", json.dumps({"description": "j", "persist_memorystate": False, **fields}), content_type="application/json")
        engine.settle()
        return reply.status, reply.text

    assert send(disk_attachments=None)[0] == 201
    assert send(disk_attachments={"disk_attachment": [{}]})[0] == 201
    assert send(disk_attachments={})[0] == 500
    status, text = send(nonsense=1)
    assert (status, text) == (400, "Unrecognized field &quot;nonsense&quot; (class org.ovirt.engine.api.model.Snapshot), not marked as ignorable")


def test_a_control_character_poisons_every_xml_answer(rest: Client, engine: Emulator, vm: Machine) -> None:
    body = json.dumps({"description": "a\x01b", "persist_memorystate": False})
    assert rest.post(f"/vms/{vm.id}/snapshots", body, content_type="application/json").status == 201
    engine.settle()
    with pytest.raises(SyntaxError):
        rest.get(f"/vms/{vm.id}/snapshots").xml  # noqa: B018
    rows = rest.get(f"/vms/{vm.id}/snapshots", accept="application/json").json["snapshot"]
    assert [row["description"] for row in rows] == ["Active VM", "a\x01b"]


def test_bodies_that_cannot_be_read(rest: Client, vm: Machine) -> None:
    path = f"/vms/{vm.id}/snapshots"
    assert rest.ask("POST", path).status == 415
    for reply in (rest.post(path, "<snapshot>"), rest.post(path, "")):
        assert reply.status == 400
        assert reply.xml.findtext("reason") == "Request syntactically incorrect."
        assert reply.detail.endswith("/ovirt-engine/apidoc#services/snapshots/methods/add")
    wrong = rest.post(path, "<vm/>")
    assert wrong.status == 500
    assert wrong.text.startswith("java.lang.ClassCastException@")


def test_malformed_ids(rest: Client, vm: Machine) -> None:
    in_body = rest.preview(vm.id, "nonsense")
    assert (in_body.status, in_body.xml.tag, in_body.detail) == (400, "fault", "Invalid UUID string: nonsense")
    assert in_body.xml.findtext("reason") == "Operation failed"
    in_path = rest.get("/vms/nonsense")
    assert (in_path.status, in_path.text) == (404, "")


def test_methods_that_do_not_exist(rest: Client, vm: Machine) -> None:
    path = f"/vms/{vm.id}/snapshots/{rest.active(vm.id)}"
    for method in ("PUT", "POST"):
        reply = rest.ask(method, path, "<snapshot/>")
        assert (reply.status, reply.text) == (405, "")


def test_crash_page(rest: Client, vm: Machine) -> None:
    reply = rest.post(f"/vms/{vm.id}/snapshots", "<snapshot><description>x</description><disk_attachments/></snapshot>")
    assert reply.status == 500
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "Correlation-Id" not in reply.headers
    assert len(reply.text) > 15_000


def test_refusals_leave_a_failed_job_and_no_event(rest: Client, vm: Machine) -> None:
    assert rest.undo(vm.id, correlation_id="refused").status == 400
    assert rest.jobs("refused") == ["failed"]
    assert rest.events("refused") == []
    rest.preview(vm.id, UNKNOWN, correlation_id="npe")
    assert rest.jobs("npe") == []


def test_location_has_its_prefix_twice(rest: Client, vm: Machine) -> None:
    reply = rest.create(vm.id, disks=[], version="4")
    assert f"/ovirt-engine/api/v4/ovirt-engine/api/vms/{vm.id}/snapshots/{reply.id}" in reply.headers["Location"]


def test_version_in_the_path(rest: Client) -> None:
    assert rest.get("/ovirt-engine/api/v4/vms").status == 200
    assert rest.get("/ovirt-engine/api").xml.findtext("product_info/version/major") == "4"


def test_unknown_vm(rest: Client) -> None:
    assert rest.get(f"/vms/{UNKNOWN}/snapshots").text.strip().endswith("<snapshots/>")
    assert rest.create(UNKNOWN, disks=[]).detail == "[Cannot create Snapshot. VM is not found.]"
    undone = rest.undo(UNKNOWN)
    assert (undone.status, undone.xml.tag, undone.detail) == (400, "action", "[Cannot revert to Snapshot. VM is not found.]")


def test_snapshot_below_any_vm(rest: Client, vm: Machine) -> None:
    """The VM's id is not looked at by GET; DELETE crashes on an unknown one."""
    row = rest.active(vm.id)
    assert rest.get(f"/vms/{UNKNOWN}/snapshots/{row}").status == 200
    deleted = rest.delete(f"/vms/{UNKNOWN}/snapshots/{row}")
    assert (deleted.status, deleted.detail) == (500, "[General command validation failure.]")


def test_an_incomplete_request_leaves_nothing(engine: Emulator, rest: Client, vm: Machine) -> None:
    where = urlsplit(engine.url)
    raw = http.client.HTTPSConnection(where.hostname or "", where.port, context=rest.context)
    raw.connect()
    body = f"<snapshot><description>cut</description>{NO_DISK}</snapshot>"
    head = f"POST {where.path}/vms/{vm.id}/snapshots HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    raw.sock.sendall((head + body[:-1]).encode())
    raw.close()
    assert [description for _kind, description, _status in rest.rows(vm.id)] == ["Active VM"]
