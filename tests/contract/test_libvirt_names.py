# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of snapshots and VMs that mean something to XML, paths or shells; and the files that are made for them."""

from __future__ import annotations

import re
import stat

import pytest

from tests.contract.verbs import check, commit, create, failed, preview, remove, restore, run, undo

NAMES = {
    "spaces": "before  the upgrade",
    "unicode": "vor dem Upgrade: žluťoučký €äß 日本 🐎",
    "quotes": 'it\'s "quoted" `here`',
    "markup": '<a href="x">&amp;<a> ]]> <!-- \' -->',
    "format": "%s {0} ${HOME} $(id) ; rm -rf \\",
    "dash": "--force",
    "long": "long " + "x" * 195,
    "glob": "nightly-* [0-9]?",
    "combining": "e\u0301 and \u00e9",
}


@pytest.mark.parametrize("kind", NAMES)
def test_snapshot_of_any_name_goes_through_every_verb(lab, kind):
    name = NAMES[kind]
    machine = lab("os")
    machine.write("os", 1, 5)
    then = machine.contents()
    run(machine, create(name, description=f"about {name}"))
    assert list(machine.snapshots()) == [name]
    assert machine.read().snapshots[0].description == f"about {name}"
    machine.write("os", 1, 6)
    run(machine, preview(name))
    assert machine.contents() == then
    run(machine, undo())
    run(machine, preview(disks={"os": name}, config=name))
    run(machine, commit())
    run(machine, create(f"{name} 2"))
    run(machine, restore(name, request_id=name))
    run(machine, remove(name))
    assert machine.contents() == then


@pytest.mark.parametrize("name", ["app 01", "a&b<c>'d\"", "žluťoučký", "-n", "x" * 120, "a;b|c$d"])
def test_vm_of_any_name(lab, name, folder):
    machine = lab("os", name="plain")
    machine.dom.rename(name)
    machine.vm.name = machine.name = name
    machine.start()
    run(machine, create("s1", memory=True))
    machine.stop()
    run(machine, preview("s1"))
    made = machine.files() - {"plain.os.qcow2"}
    assert len(made) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}\.(vda\.(snap|preview)|memory)-[0-9a-f]{16}\.(qcow2|save)", file) for file in made)
    run(machine, undo())
    run(machine, remove("s1"))
    assert machine.files() == {"plain.os.qcow2"}


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("power", ["down", "up"])
def test_files_are_for_their_owner_alone_and_none_is_left(lab, folder, pool, power):
    machine = lab("os", "data", pool=pool)
    first = machine.files()
    (folder / "vm.os.qcow2").chmod(0o644)
    if power == "up":
        machine.start()
    run(machine, create("s1"))
    if power == "up":
        run(machine, create("s2", memory=True))
        machine.stop()
    run(machine, preview("s1"))
    modes = {file: stat.S_IMODE((folder / file).stat().st_mode) for file in machine.files() - first}
    assert set(modes.values()) == {0o600}, modes
    assert len(modes) == (4 if power == "down" else 7)
    run(machine, undo())
    run(machine, restore("s1"))
    for name in list(machine.snapshots()):
        run(machine, remove(name))
    assert machine.files() == first
    conn = machine.vm.conn
    assert conn.listAllSecrets() == []
    assert [p.name() for p in conn.listAllStoragePools() if p.name().startswith("diskwise")] == []
    assert [domain.name() for domain in conn.listAllDomains()] == ["vm"]
    assert "diskwise" not in machine.dom.XMLDesc(0)


def test_file_of_that_name_that_is_not_ours_is_never_overwritten(lab, folder):
    machine = lab("os", pool=True)
    (step,) = (s for s in check(machine, create("s1")).steps if s.verb == "note-create")
    stranger = step.args["disks"]["vda"][1]
    with open(stranger, "wb") as file:
        file.write(b"precious")
    before = machine.state()
    error = failed(machine, create("s1"), "file_exists")
    assert stranger in error.message
    assert machine.state() == before
    with open(stranger, "rb") as file:
        assert file.read() == b"precious"
