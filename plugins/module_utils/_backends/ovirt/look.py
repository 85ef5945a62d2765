# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The closer look: what the full read cannot show, asked for only where a decision needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable

from ..._engine import hardware
from ..._engine.changes import Change, Create, Decision, Enter, Leave, Remove
from ..._engine.model import Composition, Disk, Problem, Vm
from . import jobs, ovf, raw
from .desk import Desk
from .health import damage, is_torn
from .leftovers import creation_failed, creations, leftovers, made_as
from .problems import stuck

COMMITTING = 94
"""Code of the event that tells that a commit was begun. It takes place then, whatever becomes of its deletions."""


def look(desk: Desk, raw_vm: Any, vm: Vm, decision: Decision, read_with: Callable[[Sequence[str]], Vm], configs: Mapping[str, ovf.Config]) -> Vm:
    """``read_with`` reads the VM with these snapshots asked one by one; then ``configs`` knows their configurations."""
    if decision.asks:
        found = replace(vm, asked=decision.asks)
        return _cleared(desk, replace(found, requests={**vm.requests, decision.asks: None})) if _was_requested(desk, decision.asks) else found
    shows = decision.shows
    found = vm
    sources = sorted({*shows.sources.values(), *([shows.config] if shows.config else [])} & {row.id for row in raw.rows(raw_vm, "regular")}) if shows else []
    changing = any(isinstance(change, (Enter, Leave)) for change in decision.changes)
    preview = raw.row(raw_vm, "preview")
    if sources and changing:
        found = read_with([*([preview.id] if preview is not None else []), *sources])
        found = replace(
            found,
            requests=vm.requests,
            asked=vm.asked,
            problems=vm.problems,
            unfinished=vm.unfinished,
            notes=(*_named(desk, found, shows, configs), *_nics(found, shows), *_mixed(found, shows, configs)) if shows else (),
        )
    if decision.keeps and _creation_failed(desk, raw_vm, decision.keeps):
        # Its images may not exist, whatever the engine says.
        found = without_leftovers(desk, found, (decision.keeps,), "whose creation failed")
    if _may_be_damaged(raw_vm) and any(_makes_permanent(raw_vm, change) for change in decision.changes):
        found = with_damage(found, damage(desk.engine, raw_vm))
    if shows and vm.preview is None and _was_committed(desk, raw_vm, vm, shows):
        found = _cleared(desk, replace(found, committed=shows))
    return replace(found, complete=True)


def _may_be_damaged(raw_vm: Any) -> bool:
    """Without any snapshot there was no preview that could have failed, and what a creation on a VM that is down leaves shows in the full read.

    Only a creation on a running VM can have left disks without their label then.
    """
    return bool(raw.rows(raw_vm, "regular")) or is_torn(raw_vm) or _has_run(raw_vm)


def _has_run(raw_vm: Any) -> bool:
    active = raw.row(raw_vm, "active")
    times = [time for time in (raw_vm.start_time, raw_vm.stop_time) if time and active is not None and active.date]
    return str(raw_vm.status) != "down" or any(time > active.date for time in times)


def _makes_permanent(raw_vm: Any, change: Change) -> bool:
    """What must not be done before damage is repaired. The last snapshot is a sign that there may be some: it does not go before."""
    last = len(raw.rows(raw_vm, "regular")) == 1
    return isinstance(change, Enter) or (isinstance(change, Create) and bool(change.disks)) or (isinstance(change, Remove) and change.whole and last)


def health(desk: Desk, raw_vm: Any, vm: Vm) -> Vm:
    """For those who only want to know: everything that is wrong, and which snapshots are ours."""
    found = with_damage(vm, damage(desk.engine, raw_vm))
    if raw.is_locked(raw_vm) and not desk.works(raw_vm):
        found = replace(found, problems=(*found.problems, stuck(raw_vm)))
    for name in raw.foreign(raw_vm):
        said = Problem("foreign_snapshot", name, "the engine made it for a backup or a migration", "leave it alone, it goes when that is done")
        found = replace(found, problems=(*found.problems, said))
    return _with_own(desk, raw_vm, found)


def _with_own(desk: Desk, raw_vm: Any, vm: Vm) -> Vm:
    """Ours are those whose creation the engine's events know under our name for it; they also know which of them failed."""
    rows = raw.rows(raw_vm, "regular")
    if not rows:
        return vm
    events = creations(desk)
    made = {row.id for row in rows if any(str(event.correlation_id).startswith(made_as(desk, row)) for event in events)}
    failed = [
        Problem(
            "create_failed", vm.snapshot_name(each), "its creation failed, and its images may not exist", "remove it, or create it again, before anything else"
        )
        for each in leftovers(desk, raw_vm, events)
    ]
    ours = tuple(replace(each, own=each.id in made) for each in vm.snapshots)
    return replace(vm, snapshots=ours, problems=(*vm.problems, *failed))


def with_damage(vm: Vm, disks: Sequence[str]) -> Vm:
    if not disks:
        return vm
    said = f"a failed operation left disk {', '.join(disks)} with an image that does not fit"
    problem = Problem("damaged_images", ", ".join(disks), said, "run a verb that changes something, it repairs this first")
    return replace(vm, unfinished="; ".join(filter(None, (vm.unfinished, said))), problems=(*vm.problems, problem))


def without_leftovers(desk: Desk, vm: Vm, snapshots: Sequence[str], why: str) -> Vm:
    """The VM as the removal of these snapshots leaves it."""
    desk.leftovers = tuple(snapshots)
    said = f"snapshot {', '.join(vm.snapshot_name(each) for each in snapshots)}, {why}"
    kept = tuple(snapshot for snapshot in vm.snapshots if snapshot.id not in snapshots)
    return replace(vm, snapshots=kept, unfinished="; ".join(filter(None, (vm.unfinished, said))))


def _cleared(desk: Desk, vm: Vm) -> Vm:
    """The VM without the snapshots of which a commit left nothing, in case it died before it removed them.

    One that never held a disk looks the same until it is asked.
    """
    held = {each.id: desk.engine.snapshot(vm.id, each.id).disks or () for each in vm.snapshots if not each.images}
    emptied = [each for each, disks in held.items() if disks and all(str(disk.status) == "illegal" for disk in disks)]
    return without_leftovers(desk, vm, emptied, "of which a commit left nothing") if emptied else vm


def _creation_failed(desk: Desk, raw_vm: Any, snapshot_id: str) -> bool:
    row = raw.regular(raw_vm, snapshot_id)
    name, _description = raw.named(row)
    return creation_failed(desk, row, desk.engine.events(jobs.prefix("c", desk.id, name) + "-*"))


def _was_requested(desk: Desk, request_id: str) -> bool:
    pattern = f"{jobs.prefix('m', desk.id)}-*-{jobs.digest(request_id)}-*"
    return any(int(event.code) == COMMITTING for event in desk.engine.events(pattern))


def _was_committed(desk: Desk, raw_vm: Any, vm: Vm, shows: Composition) -> bool:
    """This was committed by us, and the VM has not run since, nor been brought into another state."""
    if vm.power not in ("down", "suspended") or not _is_on_top(raw_vm, vm, shows):
        return False
    kept = replace(shows, disks=shows.sources).as_dict()
    times = [event.time for event in desk.engine.events(jobs.prefix("m", desk.id, kept) + "-*") if int(event.code) == COMMITTING]
    return bool(times) and not (raw_vm.stop_time and raw_vm.stop_time > max(times))


def _is_on_top(raw_vm: Any, vm: Vm, shows: Composition) -> bool:
    """Each disk writes to an image that is built right on the one it shall be taken from, and the configuration is the one that was committed last."""
    active = raw.row(raw_vm, "active")
    config = raw.regular(raw_vm, shows.config) if shows.config else None
    if shows.config and (config is None or active is None or active.date != config.date):
        return False
    return all(vm.chain(vm.leaf.get(disk))[1:2] == (vm.snapshot(source).images.get(disk),) for disk, source in shows.sources.items())


def _named(desk: Desk, vm: Vm, shows: Composition, configs: Mapping[str, ovf.Config]) -> tuple[str, ...]:
    """The VM gets the name that it had, whoever has it by now."""
    name = configs.get(shows.config or "", ovf.Config()).name
    if name in ("", vm.name):
        return ()
    service = desk.engine.system.vms_service()
    found = desk.engine.read("looking for the name", lambda: service.list(search=f'name="{name}"', case_sensitive=True))
    others = sorted(str(each.id) for each in found if each.id != vm.id)
    taken = f", and VM {', '.join(others)} has that name now" if others else ""
    return (f"the VM is named {name} again, as in configuration {vm.snapshot_name(shows.config)}{taken}",)


def _nics(vm: Vm, shows: Composition) -> tuple[str, ...]:
    """Nobody can ask an engine who has an address."""
    then = hardware.of_config(vm, shows)
    back = sorted(set(then.nics) - set(vm.hardware.nics)) if then and vm.hardware else []
    return (f"network card {', '.join(back)} comes back; the engine gives another MAC address to one that another VM has by now",) if back else ()


def _mixed(vm: Vm, shows: Composition, configs: Mapping[str, ovf.Config]) -> tuple[str, ...]:
    """What comes with a disk's image although it belongs to the configuration, and is set right by a commit."""
    config = {disk.id: disk for disk in (vm.snapshot(shows.config).disks if shows.config else vm.disks)}
    said = []
    for disk_id, snapshot in sorted(shows.sources.items()):
        comes = next((disk for disk in vm.snapshot(snapshot).disks if disk.id == disk_id), None)
        wanted = config.get(disk_id)
        alias = configs[snapshot].disks[disk_id].alias if snapshot in configs and disk_id in configs[snapshot].disks else ""
        if alias not in ("", vm.disk(disk_id).name):
            said.append(f"disk {vm.label(disk_id)} is shown as {alias}, and a commit sets that right")
        if comes and wanted:
            said += [f"disk {vm.label(disk_id)} is shown {text}, and a commit sets that right" for text in _differences(wanted, comes)]
    return tuple(said)


def _differences(wanted: Disk, comes: Disk) -> list[str]:
    said = []
    if wanted.bootable != comes.bootable:
        said.append("bootable" if comes.bootable else "not bootable")
    if comes.interface and wanted.interface != comes.interface:
        said.append(f"on {comes.interface}")
    if wanted.pass_discard != comes.pass_discard:
        said.append(f"{'with' if comes.pass_discard else 'without'} pass discard")
    return said
