# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who logs in, and what that user may do: the least role is enough, and nothing is sent that it does not allow."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt import jobs
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.connection import Ovirt
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.login import Login, login
from ansible_collections.diskwise.vm.plugins.module_utils._engine import render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.engine import INTERVAL, TIMEOUT
from tests.contract.scenes import picture
from tests.contract.verbs import EXCLUDED, commit, create, preview, remove, restore, undo

PASSWORD = "s3cret of the operator"


def as_user(machine, permits=None, name="op"):
    """The VM for an ordinary user, over a connection of that user's."""
    user = machine.engine.user(name, PASSWORD, machine.id, permits)
    return Ovirt(Login(machine.engine.url, user, PASSWORD, ca_file=str(machine.engine.ca)), TIMEOUT, INTERVAL).find([machine.id])[0]


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(jobs, "GRACE", 0.5)


@pytest.fixture
def pair(center):
    """A machine and its twin with a snapshot of the administrator's; slot 0 tells the state."""
    machines = []
    for name in ("vm", "twin"):
        machine = center(*({"name": disk, "content": {"0": f"{disk} first"}} for disk in ("os", "data", "logs")), name=name)
        ids = machine.ids()
        for snapshot, held in (("s1", ("os", "data", "logs")), ("s2", ("os", "data"))):
            machine.engine.snapshot(machine.id, snapshot, [ids[disk] for disk in held])
            for disk, disk_id in ids.items():
                machine.engine.write(disk_id, "0", f"{disk} after {snapshot}")
        machines.append(machine)
    return machines


CYCLES = {
    "create": [create("new", disks=["os"])],
    "preview-current-undo": [preview(disks={"os": "s1"}), undo()],
    "preview-current-commit": [preview(disks={"os": "s1"}), commit()],
    "preview-older-undo": [preview("s1"), undo()],
    "preview-older-commit": [preview("s1", disks={"logs": "current"}), commit()],
    "restore": [restore(disks={"os": "s1", "data": "s2"})],
    "restore-older": [restore("s1")],
    "remove": [remove("s1")],
    "remove-one-disk": [remove("s1", ["data"]), remove("s1")],
}


@pytest.mark.parametrize("verbs", CYCLES.values(), ids=CYCLES)
def test_the_least_role_is_enough(pair, verbs):
    machine, twin = pair
    machine.engine.clear_log()
    for verb in verbs:
        backend = as_user(machine)
        assert converge(backend, verb.decide, False).changed
        assert not converge(as_user(machine), verb.decide, False).changed
        converge(twin.connect(), verb.decide, False)
    assert picture(machine) == picture(twin)
    mine = [each for each in machine.engine.log() if each.user == "op@internal"]
    refused = [f"{each.method} {each.path}" for each in mine if each.status is None or each.status >= 400]
    # Whether jobs can be listed is only found out by asking, once in each connection that needs it.
    assert all(each.startswith("GET /jobs?search") for each in refused), refused
    assert len(refused) <= len(verbs)


@pytest.mark.parametrize("verb", [create("new"), preview("s1"), preview(disks={"os": "s1"}), restore("s1"), remove("s1")])
def test_without_the_permit_nothing_happens(pair, verb):
    machine, _twin = pair
    before = picture(machine)
    with pytest.raises(VmError) as raised:
        converge(as_user(machine, {"login"}), verb.decide, False)
    assert raised.value.reason == "no_permission"
    assert "manipulate_vm_snapshots" in raised.value.hint
    assert raised.value.done == ()
    assert picture(machine) == before


@pytest.mark.parametrize("verb", [commit(), undo()])
def test_without_the_permit_a_preview_stays_open(pair, verb):
    machine, _twin = pair
    converge(machine.connect(), preview("s1").decide, False)
    before = picture(machine)
    with pytest.raises(VmError) as raised:
        converge(as_user(machine, {"login"}), verb.decide, False)
    assert raised.value.reason == "no_permission"
    assert picture(machine) == before


def test_what_needs_more_than_the_least_role(pair):
    """Leaving out a disk unplugs it for a moment, which edits the VM. The note of that is taken back by the next task."""
    machine, _twin = pair
    before = picture(machine)
    verb = preview(disks={"os": "s1", "logs": EXCLUDED})
    with pytest.raises(VmError) as raised:
        converge(as_user(machine), verb.decide, False)
    assert raised.value.reason == "no_permission"
    assert converge(as_user(machine), preview(disks={"os": "s1"}).decide, False).changed
    converge(as_user(machine), undo().decide, False)
    rows = picture(machine).pop("rows")
    assert sorted(rows, key=repr) == sorted(before.pop("rows"), key=repr)  # an undo makes the current state the newest
    assert {key: value for key, value in picture(machine).items() if key != "rows"} == before


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_vm_that_the_user_may_not_see(center, by):
    machine, other = center("os", name="mine"), center("os", name="theirs")
    as_user(machine)
    found = Ovirt(Login(machine.engine.url, "op@internal", PASSWORD, ca_file=str(machine.engine.ca)), TIMEOUT, INTERVAL)
    (error,) = found.find([other.name if by == "name" else other.id])
    assert isinstance(error, VmError)
    assert error.reason == "unknown_vm"
    assert error.hint == "VMs that this user sees: mine"


# Logging in
def test_an_own_login_is_ended_and_a_borrowed_token_is_not(center):
    machine = center("os")
    engine = machine.engine
    own = Ovirt(machine.login, TIMEOUT, INTERVAL)
    own.find([machine.id])
    ended = own._main.token()
    own.close()
    with pytest.raises(VmError) as raised:
        Ovirt(Login(engine.url, token=ended, ca_file=str(engine.ca)), TIMEOUT, INTERVAL).find([machine.id])
    assert raised.value.reason == "login_failed"
    owner = Ovirt(machine.login, TIMEOUT, INTERVAL)
    token = owner._main.token()
    borrowing = Ovirt(Login(engine.url, token=token, ca_file=str(engine.ca)), TIMEOUT, INTERVAL)
    (vm,) = borrowing.find([machine.id])
    converge(vm, create("s1").decide, False)
    borrowing.close()
    (vm,) = owner.find([machine.id])
    assert not converge(vm, create("s1").decide, False).changed
    owner.close()


def test_a_token_that_expired(center):
    machine = center("os")
    engine = machine.engine
    with pytest.raises(VmError) as raised:
        Ovirt(Login(engine.url, token="expired", ca_file=str(engine.ca)), TIMEOUT, INTERVAL).find([machine.id])
    assert raised.value.reason == "login_failed"
    assert "expired" in raised.value.hint


@pytest.mark.parametrize(("user", "password"), [("admin@internal", "wrong"), ("nobody@internal", "x"), ("admin@nowhere", "x")])
def test_a_wrong_login(center, user, password):
    engine = center("os").engine
    with pytest.raises(VmError) as raised:
        Ovirt(Login(engine.url, user, password, ca_file=str(engine.ca)), TIMEOUT, INTERVAL)
    assert raised.value.reason == "login_failed"


def test_a_user_who_may_not_log_in(center):
    machine = center("os")
    with pytest.raises(VmError) as raised:
        as_user(machine, set()).read()
    assert raised.value.reason == "login_failed"


def test_a_certificate_of_an_unknown_authority(center):
    machine = center("os")
    engine = machine.engine
    with pytest.raises(VmError) as raised:
        Ovirt(Login(engine.url, engine.username, engine.password), TIMEOUT, INTERVAL)
    assert raised.value.reason == "tls_failed"
    assert "ca_file" in raised.value.hint
    (vm,) = Ovirt(Login(engine.url, engine.username, engine.password, insecure=True), TIMEOUT, INTERVAL).find([machine.name])
    assert vm.read().name == machine.name


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/ovirt-engine/api", "https://no-such-host.invalid/ovirt-engine/api"])
def test_an_engine_that_is_not_there(url):
    with pytest.raises(VmError) as raised:
        Ovirt(Login(url, "admin@internal", PASSWORD, insecure=True), TIMEOUT, INTERVAL)
    assert raised.value.reason == "cannot_connect"
    assert PASSWORD not in str(raised.value)


def test_from_the_environment_the_file_and_the_options(engine, tmp_path):
    environment = {"OVIRT_URL": engine.url, "OVIRT_USERNAME": engine.username, "OVIRT_PASSWORD": engine.password, "OVIRT_CAFILE": str(engine.ca)}
    file = tmp_path / "ovirt.ini"
    file.write_text(f"[ovirt]\novirt_url={engine.url}\novirt_username={engine.username}\novirt_password={engine.password}\novirt_ca_file={engine.ca}\n")
    given = {"url": engine.url, "username": engine.username, "password": engine.password, "ca_file": str(engine.ca)}
    ways = [login(None, environment), login({}, {"OVIRT_INI_PATH": str(file)}), login(given, {}), login({"url": engine.url}, {"OVIRT_INI_PATH": str(file)})]
    assert len({(each.url, each.username, each.password, each.ca_file) for each in ways}) == 1
    for each in ways:
        assert engine.password not in repr(each)
        Ovirt(each, TIMEOUT, INTERVAL).close()


def test_a_file_without_its_section_and_one_that_is_not_there(tmp_path):
    for path in (tmp_path / "nothing.ini", tmp_path / "broken.ini"):
        if "broken" in path.name:
            path.write_text(f"ovirt_password={PASSWORD}\n")
        with pytest.raises(VmError) as raised:
            login({}, {"OVIRT_INI_PATH": str(path)})
        assert raised.value.reason == "bad_auth"
        assert PASSWORD not in raised.value.message + raised.value.hint


def test_secrets_are_in_no_picture(center):
    machine = center("os")
    headers = {"X-Secret": "s3cret header"}
    found = Ovirt(
        Login(machine.engine.url, machine.engine.username, machine.engine.password, ca_file=str(machine.engine.ca), headers=headers), TIMEOUT, INTERVAL
    )
    (vm,) = found.find([machine.id])
    outcome = converge(vm, create("s1").decide, False)
    said = json.dumps([render.info(outcome.after), [step.as_dict() for step in outcome.steps]]) + repr(found._login)
    assert machine.engine.password not in said
    assert "s3cret header" not in said
    assert os.environ.get("OVIRT_PASSWORD", "none") not in said
