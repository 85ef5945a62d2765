# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_create on an engine: what is sent, what the row holds then, and what the engine calls it."""

from __future__ import annotations

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt import jobs
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.engine import Engine
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from tests.contract.verbs import check, create, failed, refused, remove, run

DISKS = ("os", "data", {"name": "logs", "plugged": False}, {"name": "shared", "shareable": True}, {"name": "lun", "lun": True})


def row(machine, name):
    """The snapshot as the engine has it."""
    return next(each for each in machine.engine.state(machine.id)["snapshots"] if each["description"].split("\n")[0] == name)


def sent(machine, verb, changed=True):
    """Method and path of each request that the verb makes, without what follows a question mark."""
    backend = machine.connect()
    machine.engine.clear_log()
    done = converge(backend, verb.decide, False)
    assert done.changed is changed
    requests = [(each.method, each.path.partition("?")[0].split("/")[-1]) for each in machine.engine.log() if "/sso/" not in each.path]
    return requests


@pytest.mark.parametrize(
    ("disks", "held"),
    [
        (None, {"os", "data", "logs"}),
        (["os"], {"os"}),
        (["data", "logs"], {"data", "logs"}),
        ([{"bootable": True}], {"os"}),
        ([], set()),
    ],
)
def test_exactly_these_disks_are_in_the_engines_row(center, disks, held):
    machine = center(*DISKS)
    before = {name: [image["id"] for image in disk["images"]] for name, disk in machine.engine.state(machine.id)["disks"].items()}
    run(machine, create("s1", disks=disks))
    assert set(row(machine, "s1")["disks"]) == held
    after = {name: [image["id"] for image in disk["images"]] for name, disk in machine.engine.state(machine.id)["disks"].items()}
    assert {name for name in after if after[name] != before[name]} == held


@pytest.mark.parametrize("disk", ["shared", "lun"])
def test_a_disk_that_takes_no_part_is_refused_by_name(center, disk):
    machine = center(*DISKS)
    refused(machine, create("s1", disks=[disk]), "fixed_disk")
    done = run(machine, create("s1", disks=["os", disk], on_disk_error="exclude"))
    assert dict(done.decision.skipped).keys() == {disk}


@pytest.mark.parametrize("memory", [False, True])
def test_memory_is_always_said(center, monkeypatch, memory):
    machine = center("os", running=True)
    bodies = []
    real = Engine.act

    def acting(self, method, path, body, correlation_id):
        bodies.append(body)
        return real(self, method, path, body, correlation_id)

    monkeypatch.setattr(Engine, "act", acting)
    converge(machine.connect(), create("s1", memory=memory).decide, False)
    assert [body.persist_memorystate for body in bodies] == [memory]
    assert bool(row(machine, "s1")["memory"]) is memory


@pytest.mark.parametrize("text", ["a \N{PARTY POPPER}", "an en \N{EN DASH} dash", "5 \N{EURO SIGN}", "bell \x07", "no\N{NO-BREAK SPACE}break", "del \x7f"])
@pytest.mark.parametrize("where", ["name", "description"])
def test_characters_that_an_engine_refuses_or_chokes_on(center, text, where):
    machine = center("os")
    verb = create(text) if where == "name" else create("s1", description=text)
    error = refused(machine, verb, "bad_character")
    assert "U+" in error.message
    assert "position" in error.message


@pytest.mark.parametrize("text", ["vor dem Überspielen", "перед обновлением", "更新前", "a <b> & \"c\" 'd' ]]>", "100% $HOME {{ x }}"])
def test_letters_of_any_script_and_all_of_ascii_come_back_as_they_are(center, text):
    machine = center("os")
    run(machine, create(text, description=text))
    assert [(each["name"], each["description"]) for each in machine.view()["snapshots"]] == [(text, text)]
    assert row(machine, text)["description"] == f"{text}\n{text}"
    run(machine, remove(text))


def test_all_the_room_that_there_is(center):
    machine = center("os")
    refused(machine, create("s1", description="x" * 3998), "bad_name")
    run(machine, create("s1", description="x" * 3997))
    assert len(row(machine, "s1")["description"]) == 4000


def test_descriptions_of_others_are_names_and_what_follows(center):
    machine = center("os")
    machine.engine.snapshot(machine.id, "before upgrade\r\nby hand\n\tand more")
    (only,) = machine.view()["snapshots"]
    assert only["name"].strip() == "before upgrade"
    assert only["description"] == "by hand\n\tand more"


def test_a_name_alone_is_the_whole_description(center):
    machine = center("os")
    run(machine, create("s1"))
    assert row(machine, "s1")["description"] == "s1"


def test_unplugged_disks_of_a_running_vm(center):
    machine = center(*DISKS, running=True)
    run(machine, create("s1", disks=["logs"]))
    run(machine, create("s2"))
    assert set(row(machine, "s1")["disks"]) == {"logs"}
    assert set(row(machine, "s2")["disks"]) == {"os", "data", "logs"}
    error = refused(machine, remove("s1"), "unplugged_disk")
    assert "logs" in error.message


# Freezing
def freezes(machine):
    return [each.path.rpartition("/")[2] for each in machine.engine.log() if "filesystems" in each.path]


@pytest.mark.parametrize(("quiesce", "asked"), [("required", ["freezefilesystems", "thawfilesystems"]), ("preferred", []), ("never", [])])
def test_an_agent_that_answers(center, quiesce, asked):
    machine = center("os", running=True, agent=True)
    done = run(machine, create("s1", quiesce=quiesce))
    assert freezes(machine) == asked
    said = any("freezes the guest by itself if it can" in warning for warning in done.decision.warnings)
    assert said is (quiesce != "never")
    assert machine.info()["snapshots"][0]["quiesced"] is None


@pytest.mark.parametrize("quiesce", ["preferred", "never"])
def test_without_an_agent(center, quiesce):
    machine = center("os", running=True)
    refused(machine, create("s1", quiesce="required"), "quiesce_impossible")
    done = run(machine, create("s1", quiesce=quiesce))
    assert freezes(machine) == []
    assert any("not frozen" in warning for warning in done.decision.warnings) is (quiesce == "preferred")


def test_an_agent_that_is_gone_when_it_is_asked(center):
    machine = center("os", running=True, agent=True)
    before = machine.snapshots()
    machine.engine.fault("then", method="POST", path="/freezefilesystems", action={"do": "agent", "vm": machine.id, "running": False})
    error = failed(machine, create("s1", quiesce="required"), "quiesce_impossible")
    assert "Guest agent non responsive" in error.message
    assert freezes(machine) == ["freezefilesystems", "thawfilesystems"]
    assert machine.snapshots() == before


def test_a_freeze_whose_answer_is_lost_is_thawed(center):
    machine = center("os", running=True, agent=True)
    machine.engine.fault("cut.after", method="POST", path="/freezefilesystems")
    failed(machine, create("s1", quiesce="required"), "quiesce_impossible")
    assert freezes(machine)[-1] == "thawfilesystems"
    assert machine.snapshots() == {}


def test_nothing_is_frozen_that_is_down(center):
    machine = center("os")
    run(machine, create("s1", quiesce="required"))
    assert freezes(machine) == []


# What it costs
def test_requests(center):
    machine = center(*DISKS)
    # found and read in one, sent, the job, read again
    assert sent(machine, create("s1", disks=["os"])) == [("POST", "snapshots"), ("GET", "jobs"), ("GET", "vms")]
    # the events tell whether its creation went well
    assert sent(machine, create("s1", disks=["os"]), changed=False) == [("GET", "events")]


def test_check_mode_asks_for_no_more(center):
    machine = center("os")
    machine.engine.clear_log()
    outcome = check(machine, create("s1"))
    assert [step.verb for step in outcome.steps] == ["snapshot"]
    assert [each.path.partition("?")[0] for each in machine.engine.log() if "/sso/" not in each.path] == ["/vms"]


# Ordinary users wait without the list of jobs
def test_an_ordinary_user_is_told_by_events(center, monkeypatch):
    from tests.contract.test_ovirt_users import as_user

    machine = center("os", "data")
    monkeypatch.setattr(jobs, "GRACE", 1.0)
    backend = as_user(machine)
    machine.engine.clear_log()
    converge(backend, create("s1").decide, False)
    paths = [each.path for each in machine.engine.log() if each.user == "op@internal"]
    assert sum("/jobs" in path for path in paths) == 1
    assert any("/events" in path for path in paths)
    assert machine.snapshots() == {"s1": ["data", "os"]}
