# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs that the page is shown with: a usual one, a large one, one of hostile names, and random ones."""

from __future__ import annotations

import random
from dataclasses import replace

from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import (
    EXCLUDED,
    Capabilities,
    Composition,
    Disk,
    Hardware,
    Image,
    Preview,
    Problem,
    Snapshot,
    Vm,
)

NOW = 1795372800
COLLECTED = "2026-11-22T18:40:00Z"
HOUR = 3600
DAY = 24 * HOUR
GIB = 1 << 30
LIBVIRT = Capabilities()
OVIRT = Capabilities(
    longest_chain=1000,
    plain_text=True,
    longest_text=3999,
    unplugs=True,
    breaks_newer=True,
    boots_by_image=True,
    notes_requests=False,
    tells_quiesced=False,
)
HARDWARE = Hardware(8, 16 * GIB, ("52:54:00:a1:00:01", "52:54:00:a1:00:02"))
BEFORE_UPGRADE = "before upgrade 15 to 16"
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "{{ lookup('pipe', 'touch /tmp/owned') }}",
    "{% raw %}{# x #}",
    "'\"\\ \n\r\t\u0000\u0007\u007f\u0085",
    "\u2028\u2029\ufeff",
    "\u05d0\u05d1 \u202eevil\u202c \u0627\u0644",
    "- a: &b *c !!python/object |\n  # d",
    "x" * 255,
    "<!-- <img src=x onerror=alert(1)> & &amp; ]]>",
    "\U0001f600 \U0010ffff \ud7ff\ue000",
    "__proto__",
    "10",
)


def uuid(kind: int, number: int) -> str:
    return f"{kind:08x}-0000-4000-8000-{number:012x}"


def demo(can: Capabilities = LIBVIRT) -> Vm:
    """Four disks, six snapshots of some of them, one with memory."""
    names, sizes = ("system", "database", "logs", "scratch"), (40, 200, 60, 100)
    disks = tuple(Disk(f"vd{x}", name, f"vd{x}", x == "a", size=size * GIB) for x, name, size in zip("abcd", names, sizes))
    taken = (
        ("fresh install", 62 * DAY, "a", (6.2,)),
        ("database imported", 41 * DAY, "ab", (1.1, 71)),
        ("nightly OS profile", 9 * DAY, "a", (0.64,)),
        (BEFORE_UPGRADE, 4 * DAY, "abc", (0.31, 4.4, 2.6)),
        ("after upgrade", 3 * DAY + 14 * HOUR, "ab", (2.9, 1.2)),
        ("logs only", DAY, "c", (5.7,)),
    )
    now = {"vda": 0.48, "vdb": 9.3, "vdc": 0.82, "vdd": 33}
    vm = Vm(uuid(1, 1), "db01.example.org", disks=disks, can=can, hardware=HARDWARE)
    leaf: dict[str, str | None] = {disk.id: None for disk in disks}
    images: dict[str, Image] = {}
    snapshots: list[Snapshot] = []
    for number, (name, back, held, gib) in enumerate(taken):
        frozen = {}
        for letter, size in zip(held, gib):
            disk = f"vd{letter}"
            path = f"/srv/vm/db01.{disk}.{number}.qcow2"
            images[path] = Image(path, disk, leaf[disk], int(size * GIB))
            leaf[disk] = frozen[disk] = path
        parent = snapshots[-1].id if snapshots else None
        known = disks[: 3 if number < 3 else 4]
        memory = name == BEFORE_UPGRADE
        hardware = HARDWARE if number > 3 else replace(HARDWARE, vcpus=4, nics=HARDWARE.nics[:1]) if number else None
        size_of = int(3.9 * GIB) if memory else None
        more = {"own": True, "parent": parent, "hardware": hardware, "memory_size": size_of}
        snapshots.append(Snapshot(name, name, created=NOW - back, memory=memory, images=frozen, disks=known, **more))
    for disk, size in now.items():
        path = f"/srv/vm/db01.{disk}.now.qcow2"
        images[path] = Image(path, disk, leaf[disk], int(size * GIB))
        leaf[disk] = path
    return replace(vm, images=images, leaf={disk: image or "" for disk, image in leaf.items()}, snapshots=tuple(snapshots))


def previewing(vm: Vm, shows: Composition) -> Vm:
    made = {disk: f"/srv/vm/db01.{disk}.preview.qcow2" for disk in shows.sources}
    images = {path: Image(path, disk, vm.snapshot(shows.disks[disk]).images[disk], GIB // 5) for disk, path in made.items()}
    return replace(vm, preview=Preview(shows, made), images={**vm.images, **images})


def shown() -> Vm:
    return previewing(demo(), Composition(BEFORE_UPGRADE, False, {"vda": BEFORE_UPGRADE, "vdb": BEFORE_UPGRADE}))


def big(snapshots: int = 200, disks: int = 26) -> Vm:
    """As large as an administrator should ever see it; the ids are as long as on an oVirt engine."""
    chance = random.Random(7)
    all_disks = tuple(Disk(uuid(2, number), f"data {number + 1}", f"vd{chr(97 + number)}", number == 0, size=40 * GIB) for number in range(disks))
    vm = Vm(uuid(1, 2), "erp-prod-07", disks=all_disks, can=OVIRT)
    leaf: dict[str, str | None] = {disk.id: None for disk in all_disks}
    images: dict[str, Image] = {}
    taken: list[Snapshot] = []

    def freeze(disk: str, number: int) -> str:
        image = uuid(3, len(images))
        images[image] = Image(image, disk, leaf[disk], int(chance.lognormvariate(20.5, 1.5)))
        leaf[disk] = image
        return image

    for number in range(snapshots):
        held = [disk.id for place, disk in enumerate(all_disks) if chance.random() < (0.7 if place == 0 else 0.36)]
        frozen = {disk: freeze(disk, number) for disk in held}
        created = NOW - (snapshots - number) * 6 * HOUR
        parent = taken[-1].id if taken else None
        name = f"{('nightly', 'before patching', 'manual')[number % 3]} {number + 1}"
        taken.append(Snapshot(uuid(4, number), name, created=created, memory=number % 40 == 12, images=frozen, disks=all_disks, parent=parent))
    for disk in all_disks:
        freeze(disk.id, snapshots)
    return replace(vm, images=images, leaf={disk: image or "" for disk, image in leaf.items()}, snapshots=tuple(taken))


def hostile() -> Vm:
    """Every name and id is what somebody may have typed to do harm. Identifiers are hostile too: on libvirt a snapshot's id is its name."""
    disks = tuple(Disk(f"{name} {number}", name, f"vd{chr(97 + number)}", storage=name) for number, name in enumerate(HOSTILE))
    images = {f"{number} {name}": Image(f"{number} {name}", disk.id, None, 10) for number, (name, disk) in enumerate(zip(HOSTILE, disks))}
    tops = {f"top {image}": Image(f"top {image}", found.disk, image, 5) for image, found in images.items()}
    held = {found.disk: image for image, found in images.items()}
    snapshots = tuple(
        Snapshot(name, name, name, created=NOW - (99 - number) * HOUR, memory=number == 0, images=held if number == 0 else {}, disks=disks)
        for number, name in enumerate(HOSTILE)
    )
    leaf = {found.disk: image for image, found in tops.items()}
    problems = tuple(Problem("stale_lock", name, name, name) for name in HOSTILE)
    return Vm(HOSTILE[0], HOSTILE[0], disks=disks, snapshots=snapshots, images={**images, **tops}, leaf=leaf, problems=problems)


def random_vm(seed: int) -> Vm:
    """Chains with branches, disks that came and went, and now and then something amiss."""
    chance = random.Random(seed)
    able = [Disk(f"d{number}", chance.choice(("os", "data", "logs")), f"vd{chr(97 + number)}", number == 0) for number in range(chance.randint(1, 4))]
    if chance.random() < 0.2:
        able.append(Disk("d9", "lun", "sdx", fixed="a LUN"))
    if chance.random() < 0.2:
        able.append(Disk("cd", "cd", "sda", fixed="a cdrom drive", removable=True))
    if chance.random() < 0.2:
        able[0] = replace(able[0], plugged=False)
    images: dict[str, Image] = {}
    leaf: dict[str, str] = {}

    def put(disk: str, parent: str | None) -> str:
        image = f"i{len(images)}"
        size = None if chance.random() < 0.02 else chance.randint(1, 1000)
        users = ("disk vda of VM other",) if chance.random() < 0.02 else ()
        images[image] = Image(image, disk, parent, size, chance.random() < 0.02, users)
        return image

    usable = [disk.id for disk in able if not disk.fixed]
    for disk in usable:
        leaf[disk] = put(disk, None)
    snapshots: list[Snapshot] = []
    for number in range(chance.randint(0, 9)):
        held = {disk: leaf[disk] for disk in usable if chance.random() < 0.6}
        for disk in held:
            leaf[disk] = put(disk, leaf[disk])
        if snapshots and chance.random() < 0.3:
            other = chance.choice(snapshots)
            for disk, image in other.images.items():
                if disk in leaf:
                    leaf[disk] = put(disk, image)
        known = tuple(replace(disk, bootable=chance.random() < 0.3, plugged=True) if chance.random() < 0.2 else disk for disk in able if chance.random() < 0.93)
        name = f"s{chance.randint(0, 9)}"
        snapshots.append(
            Snapshot(
                f"id{number}",
                name,
                created=NOW - (20 - number) * HOUR,
                memory=chance.random() < 0.4,
                has_config=chance.random() < 0.93,
                images=held,
                disks=known,
                parent=chance.choice(snapshots).id if snapshots else None,
                unusable="internal" if chance.random() < 0.04 else "",
                hardware=_random_hardware(chance),
            )
        )
    gone = [disk for disk in able if disk.id in leaf and chance.random() < 0.1]
    power = chance.choices(("down", "up", "paused", "suspended"), (8, 1, 1, 1))[0]
    vm = Vm(
        f"vm{seed}",
        f"vm {seed}",
        power=power,
        disks=tuple(disk for disk in able if disk not in gone),
        snapshots=tuple(snapshots),
        leaf={disk: image for disk, image in leaf.items() if disk not in {found.id for found in gone}},
        images=images,
        agent=None if power == "down" else chance.random() < 0.5,
        unfinished="removing s1" if chance.random() < 0.05 else "",
        problems=(Problem("internal_snapshots", "vm", "it has internal ones", blocks=chance.random() < 0.3),) if chance.random() < 0.1 else (),
        checkpoints=("nightly",) if chance.random() < 0.05 else (),
        can=OVIRT if seed % 2 else LIBVIRT,
        hardware=_random_hardware(chance),
    )
    shows = random_composition(vm, chance)
    fits = all(disk in vm.snapshot(source).images for disk, source in shows.sources.items())
    if fits and chance.random() < 0.15:
        return previewing(vm, shows)
    return replace(vm, committed=shows) if fits and chance.random() < 0.1 else vm


def _random_hardware(chance: random.Random) -> Hardware | None:
    return Hardware(chance.choice((2, 4)), chance.choice((None, GIB)), chance.choice(((), ("52:54:00:00:00:01",)))) if chance.random() < 0.8 else None


def random_composition(vm: Vm, chance: random.Random) -> Composition:
    """Any, also one that makes no sense, but only of things that there are."""
    ids = [snapshot.id for snapshot in vm.snapshots]
    config = chance.choice(ids) if ids and chance.random() < 0.5 else None
    disks: dict[str, str] = {}
    for disk in vm.known_disks():
        lucky = chance.random()
        holders = [snapshot.id for snapshot in vm.snapshots if disk.id in snapshot.images]
        if disk.removable:
            continue
        if lucky < 0.5 and holders and not disk.fixed:
            disks[disk.id] = chance.choice(holders)
        elif lucky < 0.55 and ids:
            disks[disk.id] = chance.choice(ids)
        elif lucky < 0.65 and disk in vm.disks and (disk.plugged or config):
            disks[disk.id] = EXCLUDED
    return Composition(config, chance.random() < 0.3, disks)


def demo_with(**other: object) -> Vm:
    return replace(demo(), **other)


def demo_with_memory_of_all() -> Vm:
    """Two disks, two snapshots of both, the newer one with memory."""
    disks = (Disk("vda", "system", "vda", True), Disk("vdb", "data", "vdb"))
    chains = [(disk.id, number) for disk in disks for number in range(3)]
    images = {f"{disk}.{number}": Image(f"{disk}.{number}", disk, f"{disk}.{number - 1}" if number else None, GIB) for disk, number in chains}

    def taken(name: str, number: int, memory: bool) -> Snapshot:
        return Snapshot(name, name, created=NOW - DAY, memory=memory, images={disk.id: f"{disk.id}.{number}" for disk in disks}, disks=disks)

    snapshots = (taken("older", 0, False), taken("with memory", 1, True))
    return Vm(uuid(1, 3), "app01", disks=disks, snapshots=snapshots, leaf={disk.id: f"{disk.id}.2" for disk in disks}, images=images)
