# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Previews on an engine: every disk is listed, flags and names that the engine mixes up, disks that are left out, memory, and previews of others."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt import desk, jobs
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.connection import Ovirt
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.preview import set_flags
from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.sdk import types
from ansible_collections.diskwise.vm.plugins.module_utils._engine import hardware, render
from ansible_collections.diskwise.vm.plugins.module_utils._engine import preview as previewing
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from tests.contract.engine import INTERVAL, TIMEOUT
from tests.contract.verbs import EXCLUDED, Verb, check, commit, composition, create, failed, preview, refused, restore, run, undo

DISKS = ("os", "data", "logs")


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(jobs, "GRACE", 0.5)
    monkeypatch.setattr(desk, "QUIET_FOR", 0.3)


@pytest.fixture
def filled(center):
    """filled(disk, ...) -> a machine; s1 holds all disks, s2 os and data; block 0 of each disk tells the state."""

    def make(*disks, **options):
        wanted = [{"name": disk} if isinstance(disk, str) else dict(disk) for disk in disks or DISKS]
        machine = center(*({**disk, "content": {"0": f"{disk['name']} first"}} for disk in wanted), **options)
        ids = machine.engine.state(machine.id)["disks"]
        for snapshot, held in (("s1", list(ids)), ("s2", ["os", "data"])):
            machine.engine.snapshot(machine.id, snapshot, [ids[disk]["id"] for disk in held])
            for disk in ids:
                machine.engine.write(ids[disk]["id"], "0", f"{disk} after {snapshot}")
        return machine

    return make


def removing(**options):
    """A preview that may destroy disks."""
    request = previewing.PreviewRequest(composition(**options), allow_disk_removal=True)
    return Verb("preview", lambda vm: previewing.decide_preview(vm, request))


def flags(machine, *names):
    """Disk -> these flags of its attachment."""
    disks = machine.engine.state(machine.id)["disks"]
    return {name: tuple(disk["attachment"][flag] for flag in names) for name, disk in disks.items() if disk["attachment"]}


def own(machine):
    return [row["description"] for row in machine.engine.state(machine.id)["snapshots"] if row["description"].startswith("diskwise.vm:")]


def images(machine):
    return {name: {image["id"]: image for image in disk["images"]} for name, disk in machine.engine.state(machine.id)["disks"].items()}


def active(machine):
    return {name: next(image for image in of.values() if image["active"]) for name, of in images(machine).items()}


# Lists
@pytest.mark.parametrize(
    ("wish", "kept"),
    [
        ({"disks": {"os": "s1"}}, {"data", "logs"}),
        ({"disks": {"os": "s1", "data": "s2"}}, {"logs"}),
        ({"config": "s2"}, set(DISKS)),
        ({"snapshot": "s1"}, set()),
    ],
)
def test_every_disk_is_listed_with_its_image(filled, wish, kept):
    machine = filled()
    before = active(machine)
    taken_from = {name: {image["label"]: image["id"] for image in of.values()} for name, of in images(machine).items()}
    ids = {snapshot.name: snapshot.id for snapshot in machine.read().snapshots}
    run(machine, preview(**wish))
    after = active(machine)
    assert set(after) == set(DISKS)
    assert {name for name in after if after[name]["id"] == before[name]["id"]} == kept
    for name in set(DISKS) - kept:
        source = wish.get("disks", {}).get(name, wish.get("snapshot"))
        assert after[name]["parent"] == taken_from[name][ids[source]]
    run(machine, undo())
    assert {name: image["id"] for name, image in active(machine).items()} == {name: image["id"] for name, image in before.items()}


# Plugged and read-only
@pytest.mark.parametrize("end", [undo(), commit()])
def test_unplugged_and_read_only_disks_stay_so(filled, end):
    machine = filled("os", {"name": "data", "read_only": True}, {"name": "logs", "plugged": False}, "tmp")
    before = flags(machine, "plugged", "read_only")
    done = run(machine, preview(disks={"os": "s1"}))
    assert done.decision.warnings == ()
    assert flags(machine, "plugged", "read_only") == before
    assert len(own(machine)) == 1
    run(machine, end)
    assert flags(machine, "plugged", "read_only") == before
    assert own(machine) == []
    assert set(machine.snapshots()) == {"s1", "s2"}


def test_with_an_older_configuration_the_guest_gets_them_and_that_is_said(filled):
    machine = filled("os", "data", "logs")
    ids = machine.ids()
    set_flags(machine._desk(), ids["logs"], active=False)
    wish = preview(config="s2")
    assert any("logs is unplugged now and comes back plugged in" in said for said in check(machine, wish).decision.warnings)
    run(machine, wish)
    assert flags(machine, "plugged")["logs"] == (True,)
    run(machine, undo())
    assert flags(machine, "plugged")["logs"] == (False,)


# Leaving a disk out
def test_a_disk_left_out_is_unplugged_and_nothing_of_it_is_lost(filled):
    machine = filled()
    content, held = machine.contents()["logs"], machine.snapshot_contents()
    done = run(machine, preview(disks={"os": "s1", "logs": EXCLUDED}))
    assert done.decision.loss.left_behind == (f"logs ({machine.engine.state(machine.id)['disks']['logs']['id']})",)
    assert machine.disks() == ["data", "os"]
    run(machine, undo())
    assert machine.disks() == sorted(DISKS)
    run(machine, preview(disks={"os": "s1", "logs": EXCLUDED}))
    refused(machine, commit(), "disk_removal")
    run(machine, commit(allow_disk_removal=True))
    assert machine.disks() == ["data", "os"]
    assert own(machine) == []
    machine.plug("logs")
    assert machine.contents()["logs"] == content
    assert machine.snapshot_contents()["s1"]["logs"] == held["s1"]["logs"]


def test_with_an_older_configuration_a_disk_can_only_be_destroyed(filled):
    machine = filled()
    wish = {"config": "s1", "disks": {"os": "s1", "logs": EXCLUDED}}
    error = refused(machine, preview(**wish), "disk_removal")
    assert "deletes disk logs, with all that snapshots hold of it" in error.message
    files, gone = machine.files(), set(images(machine)["logs"])
    foreseen = converge(machine.connect(), removing(**wish).decide, True)
    converge(machine.connect(), removing(**wish).decide, False)
    assert machine.disks() == ["data", "os"]
    assert files <= machine.files()
    refused(machine, commit(), "disk_removal")
    done = run(machine, commit(allow_disk_removal=True))
    assert "disk logs is deleted, with all that snapshots hold of it" in done.decision.loss.says
    assert set(foreseen.decision.loss.images) == set(done.decision.loss.images)
    assert gone <= files - machine.files()
    assert files - machine.files() == set(done.decision.loss.images)
    assert machine.contents() == {"os": {"0": "os first"}, "data": {"0": "data after s2"}}


def test_an_undo_brings_back_a_disk_that_was_to_be_destroyed(filled):
    machine = filled()
    before = machine.state()
    converge(machine.connect(), removing(config="s1", disks={"os": "s1", "logs": EXCLUDED}).decide, False)
    run(machine, undo())
    assert machine.state() == before


# What a commit leaves
CHOICES = [
    {"config": config, "disks": dict(disks)}
    for config in ("s1", "s2", None)
    for disks in ((), (("os", "s1"),), (("os", "s2"),), (("os", "s1"), ("data", "s2")), (("os", "s1"), ("data", "s1"), ("logs", "s1")))
    if config or disks
]


@pytest.mark.parametrize("wish", CHOICES, ids=str)
def test_the_loss_is_what_is_lost(filled, wish):
    """Two more snapshots, of one disk and of none, are newer than all that is taken."""
    machine = filled()
    ids = machine.ids()
    machine.engine.snapshot(machine.id, "s3", [ids["data"]])
    machine.engine.snapshot(machine.id, "bare", [])
    before, files, held = machine.read(), machine.files(), machine.snapshot_contents()
    options = {key: value for key, value in wish.items() if value}
    loss = run(machine, preview(**options)).decision.loss
    done = run(machine, commit())
    after = machine.read()
    assert render.loss_view(done.decision.loss) == render.loss_view(loss)
    there = {snapshot.name: snapshot for snapshot in after.snapshots}
    assert {snapshot.name for snapshot in before.snapshots} - set(there) == set(loss.snapshots_removed)
    assert files - machine.files() == set(loss.images)
    broken = {row["description"] for row in machine.engine.state(machine.id)["snapshots"] if row["broken"]}
    assert broken == set(loss.without_config)
    for snapshot in before.snapshots:
        if snapshot.name in there:
            lost = set(snapshot.images) - set(there[snapshot.name].images)
            assert {before.label(disk) for disk in lost} == set(loss.snapshots_reduced.get(snapshot.name, ()))
            assert machine.snapshot_contents()[snapshot.name].items() <= held[snapshot.name].items()
    for name in broken:
        with pytest.raises(VmError) as raised:
            converge(machine.connect(), preview(config=name).decide, False)
        assert raised.value.reason in ("no_config", "broken_config")


def test_a_configuration_whose_image_is_gone_is_refused(filled):
    machine = filled()
    run(machine, restore(disks={"os": "s1"}))
    error = refused(machine, preview("s2"), "broken_config")
    assert "os" in error.message
    run(machine, preview(disks={"data": "s2"}))


# Flags that go with an image
def test_flags_of_images_are_foreseen_and_set_right(filled):
    machine = filled()
    ids = machine.ids()
    changer = machine._desk()
    set_flags(changer, ids["os"], bootable=False)
    set_flags(changer, ids["data"], bootable=True)
    set_flags(changer, ids["os"], interface="virtio")
    set_flags(changer, ids["os"], pass_discard=True)
    wanted = flags(machine, "bootable", "interface", "pass_discard")
    wish = preview(disks={"os": "s1"})
    done = run(machine, wish)
    said = " ".join(done.decision.warnings)
    assert "2 bootable disks" in said
    assert "disk os is shown bootable, and a commit sets that right" in said
    assert "without pass discard" in said
    machine.engine.clear_log()
    converge(machine.connect(), commit().decide, False)
    assert [each.method for each in machine.engine.log() if each.method == "PUT"] == ["PUT"]
    assert flags(machine, "bootable", "interface", "pass_discard") == wanted


def edit(machine, **changes):
    engine = machine._desk().engine
    engine.system.vms_service().vm_service(machine.id).update(types.Vm(**changes))


def test_the_old_name_comes_back_and_that_is_foreseen(filled):
    machine = filled(name="before")
    edit(machine, name="after")
    other = machine.engine.make_vm("before", ["os"])
    wish = preview("s1")
    foreseen = check(machine, wish)
    assert any("named before" in said for said in foreseen.decision.warnings), foreseen.decision.warnings
    done = converge(machine.connect(), wish.decide, False)
    assert done.decision.warnings == foreseen.decision.warnings
    assert machine.engine.state(machine.id)["name"] == "before"
    converge(machine.connect(), commit().decide, False)
    (error, *_rest) = Ovirt(machine.login, TIMEOUT, INTERVAL).find(["before"])
    assert error.reason == "ambiguous_vm"
    assert machine.id in error.message
    assert other in error.message
    run(machine, create("s9"))


def test_what_an_older_configuration_changes_besides_disks_is_said(filled):
    machine = filled()
    system = machine._desk().engine.system
    nics = system.vms_service().vm_service(machine.id).nics_service()
    mac = nics.add(types.Nic(name="late")).mac.address
    edit(machine, memory=512 << 20, memory_policy=types.MemoryPolicy(max=1 << 30), cpu=types.Cpu(topology=types.CpuTopology(cores=2, sockets=2, threads=1)))
    before = machine.info()
    wish = preview("s1")
    check(machine, wish)
    backend = machine.connect()
    done = converge(backend, wish.decide, False)
    changes = {change["what"]: (change["now"], change["then"]) for change in hardware.changes(done.before, done.decision.shows)}
    assert changes["vcpus"] == (4, 1)
    assert changes["memory"][0] == 512 << 20
    assert set(changes["nics"][0]) - set(changes["nics"][1]) == {mac}
    shown = Ovirt(machine.login, TIMEOUT, INTERVAL, patient=False).find([machine.id])[0].read()
    (source,) = (snapshot for snapshot in shown.snapshots if snapshot.name == "s1")
    assert source.hardware.vcpus == 1
    assert shown.hardware.vcpus == 4, "what an undo brings back"
    run(machine, undo())
    assert machine.info() == before


@pytest.mark.parametrize("verb", [preview("s1"), restore("s1")], ids=["preview", "restore"])
def test_a_network_card_whose_address_another_vm_has_by_now(filled, verb):
    machine = filled(nics=1)
    service = machine._desk().engine.system.vms_service()
    (nic,) = service.vm_service(machine.id).nics_service().list()
    service.vm_service(machine.id).nics_service().nic_service(nic.id).remove()
    other = machine.engine.make_vm("other", ["os"])
    taken = types.Nic(name="late", mac=types.Mac(address=nic.mac.address))
    service.vm_service(other).nics_service().add(taken)
    foreseen = check(machine, verb)
    assert any(f"network card {nic.mac.address} comes back" in said for said in foreseen.decision.warnings), foreseen.decision.warnings
    done = converge(machine.connect(), verb.decide, False)
    (said,) = hardware.other_nics(done.before, done.after, done.decision.shows)
    assert f"in place of {nic.mac.address}" in said
    (new,) = service.vm_service(machine.id).nics_service().list()
    assert new.mac.address in said


def test_a_network_card_that_comes_back_as_it_was(filled):
    machine = filled(nics=1)
    service = machine._desk().engine.system.vms_service().vm_service(machine.id).nics_service()
    (nic,) = service.list()
    service.nic_service(nic.id).remove()
    done = converge(machine.connect(), restore("s1").decide, False)
    assert hardware.other_nics(done.before, done.after, done.decision.shows) == ()
    assert [found.mac.address for found in service.list()] == [nic.mac.address]


def test_the_present_name_is_no_warning(filled):
    machine = filled()
    assert check(machine, preview("s1")).decision.warnings == ()


def test_an_alias_comes_back_and_that_is_foreseen(filled):
    machine = filled()
    disk = machine.ids()["data"]
    engine = machine._desk().engine
    engine.system.vms_service().vm_service(machine.id).disk_attachments_service().attachment_service(disk).update(
        types.DiskAttachment(disk=types.Disk(alias="renamed"))
    )
    wish = preview(disks={"renamed": "s1"})
    foreseen = check(machine, wish)
    assert any("disk renamed is shown as data" in said for said in foreseen.decision.warnings), foreseen.decision.warnings
    run(machine, wish)
    assert machine.disks() == ["data", "logs", "os"]
    run(machine, commit())
    assert machine.disks() == ["logs", "os", "renamed"]
    assert machine.contents()["renamed"] == {"0": "data first"}


# Memory
def with_memory(filled):
    machine = filled(running=True)
    run(machine, create("live", memory=True, quiesce="never"))
    machine.write("os", 1, 7)
    machine.stop()
    return machine


@pytest.mark.parametrize("end", [undo(), commit()])
def test_memory_is_suspended_and_resumes(filled, end):
    machine = with_memory(filled)
    wish = preview("live", memory=True)
    run(machine, wish)
    assert machine.view()["power"] == "suspended"
    run(machine, end)
    if end.name == "commit":
        assert machine.view()["power"] == "suspended"
        machine.start()
    assert machine.slot("os", 1) == (7 if end.name == "undo" else 0)


def test_a_preview_with_memory_that_was_started_is_the_same(filled):
    machine = with_memory(filled)
    wish = preview("live", memory=True)
    run(machine, wish)
    machine.start()
    assert not converge(machine.connect(), wish.decide, False).changed
    machine.stop()
    assert not converge(machine.connect(), wish.decide, False).changed
    run(machine, undo())


def test_memory_of_another_moment_is_refused(filled):
    machine = with_memory(filled)
    mixed = {"snapshot": "live", "memory": True, "disks": {"data": "s1"}}
    refused(machine, preview(**mixed), "partial_memory")
    run(machine, preview(**mixed, allow_partial_memory=True))
    run(machine, undo())


# Previews that somebody else opened
def theirs(machine, source, picks=None):
    """A preview as the web interface opens it: without a list, or with the image of each disk that is on it."""
    vm = machine._raw()
    row = next(each.id for each in vm.snapshots if each.description == source)
    disks = [types.Disk(id=disk, image_id=image) for disk, image in (picks or {}).items()]
    body = types.Action(snapshot=types.Snapshot(id=row), restore_memory=False, disks=disks or None)
    changer = machine._desk()
    changer.ask("somebody's preview", "x", (), "POST", "/previewsnapshot", body, lambda now: False)
    changer.at_rest()


def test_a_preview_of_others_that_drops_a_disk(filled):
    machine = filled()
    before = machine.state()
    theirs(machine, "s2")
    assert machine.view()["preview"] == {"config": "s2", "memory": False, "disks": {"data": "s2", "logs": "excluded", "os": "s2"}}
    error = refused(machine, commit(), "disk_removal")
    assert "logs" in error.message
    assert "disk logs is deleted, with all that snapshots hold of it" in check(machine, commit(allow_disk_removal=True)).decision.loss.says
    run(machine, undo())
    assert machine.state() == before
    theirs(machine, "s2")
    gone = set(images(machine)["logs"])
    files = machine.files()
    loss = run(machine, commit(allow_disk_removal=True)).decision.loss
    assert gone <= set(loss.images)
    assert files - machine.files() == set(loss.images)
    assert machine.disks() == ["data", "os"]


def test_a_preview_of_others_of_several_snapshots(filled):
    machine = filled()
    before, vm = machine.state(), machine.read()
    s1, s2 = vm.snapshots
    ids = machine.ids()
    theirs(machine, "s1", {ids["os"]: s1.images[ids["os"]], ids["data"]: s2.images[ids["data"]], ids["logs"]: vm.leaf[ids["logs"]]})
    assert machine.view()["preview"]["disks"] == {"data": "s2", "logs": "current", "os": "s1"}
    assert not converge(machine.connect(), preview(config="s1", disks={"os": "s1", "data": "s2"}).decide, False).changed
    run(machine, undo())
    assert machine.state() == before


# Others are at work in between
@pytest.mark.parametrize("what", ["snapshot", "attach_disk"])
@pytest.mark.parametrize("wish", [preview("s1", disks={"logs": "current"}), preview(disks={"os": "s1"})], ids=["older", "current"])
def test_what_came_in_between_undoes_the_preview(filled, what, wish):
    machine = filled()
    more = {"snapshot": {"description": "theirs"}, "attach_disk": {"name": "new"}}[what]
    contents = machine.contents()
    machine.engine.then("POST", "/previewsnapshot", what, vm=machine.id, **more)
    error = failed(machine, wish, "changed_meanwhile")
    assert "the preview was undone" in error.message
    assert machine.view()["preview"] is None
    assert {name: machine.contents()[name] for name in DISKS} == contents
    assert own(machine) == []
    assert len(machine.snapshots()) == (3 if what == "snapshot" else 2)
    assert len(machine.disks()) == (4 if what == "attach_disk" else 3)
    run(machine, wish)


def test_an_image_is_looked_up_right_before_it_is_used():
    """Removing a snapshot gives its image's id to another image; so no step names one."""
    from ansible_collections.diskwise.vm.plugins.module_utils._backends.ovirt.plan import plan
    from ansible_collections.diskwise.vm.plugins.module_utils._engine.changes import Enter
    from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Composition, Disk, Image, Snapshot, Vm

    vm = Vm("v", "vm", disks=(Disk("d", "os", ""),), snapshots=(Snapshot("s", "s1", images={"d": "image-1"}),), leaf={"d": "image-2"})
    vm = Vm(**{**vars(vm), "images": {"image-1": Image("image-1", "d"), "image-2": Image("image-2", "d", "image-1")}})
    for config, memory in itertools.product((None, "s"), (False,)):
        steps = plan(vm, Enter(Composition(config, memory, {"d": "s"})))
        assert "image-" not in str([step.as_dict() for step in steps])
