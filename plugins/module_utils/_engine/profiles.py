# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles: what a snapshot takes, as data under a name. This is the one place that knows what a name means on a VM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import create, retain, select
from .errors import NotFound, Refused, VmError
from .model import Disk, Vm

SHIPPED: Mapping[str, Mapping[str, Any]] = {
    "config": {"disks": []},
    "config_os": {"disks": [{"bootable": True}]},
    "data": {"exclude": [{"bootable": True}]},
    "full": {},
    "full_memory": {"memory": True},
}
"""Every snapshot holds the configuration; a profile without ``disks`` takes all that can take part."""

QUIESCE = ("required", "preferred", "never")
_KEYS = ("disks", "exclude", "memory", "quiesce", "retain")


@dataclass(frozen=True)
class Profile:
    """``disks`` is None for "every disk that can take part". ``retain`` is for those who remove snapshots, not for those who take them."""

    name: str
    disks: tuple[select.Selector, ...] | None = None
    exclude: tuple[select.Selector, ...] = ()
    memory: bool = False
    quiesce: str = "preferred"
    retain: retain.Rule | None = None


def known(own: Any) -> dict[str, Profile]:
    """The shipped profiles and the user's own, which may replace shipped ones. All of them are checked, also those that nobody asks for now."""
    if own is not None and not isinstance(own, Mapping):
        raise Refused(f"profiles is {own!r}", "bad_profile", "write a dictionary: the name of each profile, and what it takes")
    return {name: parse(name, written) for name, written in {**SHIPPED, **(own or {})}.items()}


def named(name: str, own: Any) -> Profile:
    profiles = known(own)
    if name not in profiles:
        raise NotFound(f"there is no profile {name!r}", "unknown_profile", f"known are: {', '.join(sorted(profiles))}")
    return profiles[name]


def parse(name: Any, written: Any) -> Profile:
    """A profile from what a user wrote."""
    if not isinstance(name, str) or not name.strip():
        raise _bad(name, "its name is no text", "give it a name")
    if not isinstance(written, Mapping):
        raise _bad(name, f"{written!r} is not a dictionary", f"write a dictionary of {', '.join(_KEYS)}; an empty one takes every disk")
    unknown = sorted(set(map(str, written)) - set(_KEYS))
    if unknown:
        raise _bad(name, f"unknown {', '.join(unknown)}", f"known are {', '.join(_KEYS)}")
    quiesce = written.get("quiesce", "preferred")
    if quiesce not in QUIESCE:
        raise _bad(name, f"quiesce is {quiesce!r}", f"it is one of {', '.join(QUIESCE)}")
    memory = {"true": True, "yes": True, "false": False, "no": False}.get(str(written.get("memory", False)).lower())
    if memory is None:
        raise _bad(name, f"memory is {written['memory']!r}", "write true or false")
    if memory and quiesce == "required":
        raise _bad(name, "a snapshot with memory is taken without freezing the guest", "leave memory out, or set quiesce: preferred")
    disks = _selectors(name, "disks", written["disks"]) if written.get("disks") is not None else None
    return Profile(name, disks, _selectors(name, "exclude", written.get("exclude") or []), memory, quiesce, _retain(name, written.get("retain")))


def _selectors(name: str, key: str, written: Any) -> tuple[select.Selector, ...]:
    if not isinstance(written, Sequence) or isinstance(written, str):
        raise _bad(name, f"{key} is {written!r}", "write a list of disks or selectors")
    try:
        return tuple(select.check(selector) for selector in written)
    except VmError as error:
        raise _bad(name, f"{key}: {error.message}", error.hint) from error


def _retain(name: str, written: Any) -> retain.Rule | None:
    try:
        return retain.rule(written, f"{name}-*") if written else None
    except VmError as error:
        raise _bad(name, error.message, error.hint) from error


def _bad(name: Any, what: str, hint: str) -> VmError:
    return Refused(f"profile {name!r}: {what}", "bad_profile", hint)


def chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """What a snapshot takes: the profile's choice, if one is named, and then what the options say.

    ``disks`` replaces the profile's disks and with them what it excludes; ``exclude`` leaves out still more.
    """
    profile = named(options["profile"], options["profiles"]) if options["profile"] else Profile("")
    given = options["disks"] is not None
    return {
        "disks": options["disks"] if given else profile.disks,
        "exclude": (*(() if given else profile.exclude), *options["exclude"]),
        "memory": profile.memory if options["memory"] is None else options["memory"],
        "quiesce": options["quiesce"] or profile.quiesce,
    }


def overview(vm: Vm, own: Any) -> dict[str, Any]:
    """For each profile which disks it would take of this VM and which not, each with the reason, and why it could not be used now."""
    return {name: _overview(vm, profile) for name, profile in sorted(known(own).items())}


def _overview(vm: Vm, profile: Profile) -> dict[str, Any]:
    request = create.Request("a new snapshot", "", profile.disks, profile.exclude, profile.memory, profile.quiesce)
    shown: dict[str, Any] = {"takes": [], "leaves": [], "memory": profile.memory, "quiesce": profile.quiesce, "refused": None}
    try:
        disks, skipped = create.choose(vm, request)
        why_not = dict(skipped)
        for disk in vm.disks:
            if disk in disks:
                shown["takes"].append({"disk": vm.label(disk.id), "id": disk.id, "why": _why(vm, disk, profile)})
            else:
                shown["leaves"].append({"disk": vm.label(disk.id), "id": disk.id, "why": _why_not(vm, disk, profile, why_not)})
        create.decide(vm, request)
    except VmError as error:
        shown["refused"] = {"reason": error.reason, "msg": error.message, "hint": error.hint}
    return shown


def _why(vm: Vm, disk: Disk, profile: Profile) -> str:
    found = _first(vm, disk, profile.disks or ())
    return f"selected by {found}" if found else "every disk is taken"


def _why_not(vm: Vm, disk: Disk, profile: Profile, skipped: Mapping[str, str]) -> str:
    said = skipped.get(vm.label(disk.id)) or skipped.get(disk.name)
    if said == "excluded":
        return f"excluded by {_first(vm, disk, profile.exclude)}"
    return said or ("it takes no disk" if profile.disks == () else "nothing selects it")


def _first(vm: Vm, disk: Disk, selectors: Sequence[select.Selector]) -> str:
    """The first selector that matches the disk, in words."""
    for selector in selectors:
        if disk in select.several(vm.disks, [selector], vm.name, none_is_fine=True).disks:
            return (
                selector
                if isinstance(selector, str)
                else ", ".join(f"{key}: {str(value).lower() if value in (True, False) else value}" for key, value in selector.items())
            )
    return ""
