# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM as plain data, for pages and tables that are made from it, and back. Only what is not the default is written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union

from ._engine.model import Capabilities, Composition, Disk, Hardware, Image, Preview, Problem, Snapshot, Vm
from ._engine.render import fingerprint

SCHEMA = "report/1"

Value = TypeVar("Value")
Reference = Union[int, str]
"""An image by its number in ``images``; by its id when it is not among them."""


def report(vm: Vm) -> dict[str, Any]:
    """Everything that the engine knows about the VM. Disks and images are listed once and meant by their number: a large VM stays below a megabyte."""
    disks = {disk: number for number, disk in enumerate(dict.fromkeys((*vm.disks, *(disk for s in vm.snapshots for disk in s.disks))))}
    images = {image: number for number, image in enumerate(vm.images)}

    def held(of_disks: Mapping[str, str]) -> dict[str, Reference]:
        return {disk: images.get(image, image) for disk, image in of_disks.items()}

    found = {
        **_plain(vm),
        "schema": SCHEMA,
        "fingerprint": fingerprint(vm),
        "known_disks": [_plain(disk) for disk in disks],
        "disks": [disks[disk] for disk in vm.disks],
        "images": [{**_plain(image), **({"parent": images.get(image.parent, image.parent)} if image.parent else {})} for image in vm.images.values()],
        "leaf": held(vm.leaf),
        "snapshots": [
            {**_plain(snapshot), **_hardware(snapshot), "images": held(snapshot.images), "disks": [disks[disk] for disk in snapshot.disks]}
            for snapshot in vm.snapshots
        ],
        "can": _plain(vm.can),
        **_hardware(vm),
    }
    if vm.preview:
        found["preview"] = {**_plain(vm.preview), "shows": vm.preview.shows.as_dict(), "images": held(vm.preview.images)}
    if vm.committed:
        found["committed"] = vm.committed.as_dict()
    if vm.requests:
        found["requests"] = {request: shows.as_dict() if shows else None for request, shows in vm.requests.items()}
    if vm.problems:
        found["problems"] = [_plain(problem) for problem in vm.problems]
    return found


def _hardware(of: Vm | Snapshot) -> dict[str, Any]:
    return {"hardware": _plain(of.hardware)} if of.hardware else {}


def read(data: Mapping[str, Any]) -> Vm:
    """The VM that was reported. Raises ValueError for anything else."""
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        raise ValueError(f"this is not a report of the form {SCHEMA}")
    try:
        return _read(data)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"this report is damaged: {error!r}") from error


def _read(data: Mapping[str, Any]) -> Vm:
    disks = [_value(Disk, entry) for entry in data["known_disks"]]
    ids = [str(entry["id"]) for entry in data["images"]]

    def image(reference: Reference) -> str:
        return ids[reference] if isinstance(reference, int) else str(reference)

    def held(of_disks: Mapping[str, Reference]) -> dict[str, str]:
        return {disk: image(reference) for disk, reference in of_disks.items()}

    images = [_value(Image, entry, parent=image(entry["parent"]) if "parent" in entry else None) for entry in data["images"]]
    preview = data.get("preview")
    return _value(
        Vm,
        data,
        disks=tuple(disks[number] for number in data["disks"]),
        snapshots=tuple(
            _value(Snapshot, entry, images=held(entry["images"]), disks=tuple(disks[number] for number in entry["disks"]), **_hardware_of(entry))
            for entry in data["snapshots"]
        ),
        leaf=held(data["leaf"]),
        images={found.id: found for found in images},
        preview=_value(Preview, preview, shows=Composition.from_dict(preview["shows"]), images=held(preview["images"])) if preview else None,
        problems=tuple(_value(Problem, entry) for entry in data.get("problems", ())),
        committed=Composition.from_dict(data["committed"]) if data.get("committed") else None,
        requests={request: Composition.from_dict(shows) if shows else None for request, shows in data.get("requests", {}).items()},
        can=_value(Capabilities, data["can"]),
        **_hardware_of(data),
    )


def _hardware_of(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"hardware": _value(Hardware, data["hardware"])} if "hardware" in data else {}


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a value that are plain data and not the default."""
    found = {}
    for field in fields(value):
        held = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if held != default and not _is_nested(held):
            found[field.name] = list(held) if isinstance(held, tuple) else held
    return found


def _is_nested(held: Any) -> bool:
    """What is written down in another way."""
    return is_dataclass(held) or isinstance(held, Mapping) or (isinstance(held, tuple) and any(map(is_dataclass, held)))


def _value(kind: type[Value], data: Mapping[str, Any], **read_already: Any) -> Value:
    """The reverse of ``_plain``."""
    names: Iterable[str] = (field.name for field in fields(kind) if field.name in data and field.name not in read_already)  # type: ignore[arg-type]
    return kind(**{name: tuple(data[name]) if isinstance(data[name], list) else data[name] for name in names}, **read_already)
