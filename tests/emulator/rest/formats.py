# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers are dictionaries; here they become XML or JSON, and requests become dictionaries (§2.3).

In XML the keys ``id``, ``href`` and ``rel`` are attributes. A collection is ``{"disk": [...]}``, empty it is ``{}``.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import datetime, timezone
from typing import Any

Tree = dict[str, Any]

ATTRIBUTES = ("href", "id", "rel")
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
SPECIAL = re.compile('[&<>"]')
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})

# Collections that requests contain, and what is in them.
COLLECTIONS = {
    "disk_attachments": "disk_attachment",
    "disks": "disk",
    "snapshots": "snapshot",
    "nics": "nic",
    "storage_domains": "storage_domain",
    "devices": "device",
    "actions": "link",
}


class Date(int):
    """Epoch milliseconds: text in XML, a number in JSON."""

    @property
    def text(self) -> str:
        moment = datetime.fromtimestamp(self / 1000, timezone.utc)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self % 1000:03d}Z"


def to_xml(root: str, tree: Tree) -> str:
    out = [HEAD]
    _element(out, root, tree, "")
    return "".join(out)


def _element(out: list[str], tag: str, tree: Tree, indent: str) -> None:
    """Big answers have ten thousands of elements, nearly all of them leaves: those are written here, without a call for each."""
    head = f"{indent}<{tag}"
    for key in ATTRIBUTES:
        if key in tree and tree[key] is not None:
            head = f'{head} {key}="{_escaped(str(tree[key]))}"'
    begin = len(out)
    deeper = indent + "    "
    for key, child in tree.items():
        if child is None or key in ATTRIBUTES:
            continue
        for one in child if isinstance(child, list) else (child,):
            if isinstance(one, dict):
                _element(out, key, one, deeper)
            else:
                out.append(f"{deeper}<{key}>{_text(one)}</{key}>\n")
    if len(out) == begin:
        out.append(f"{head}/>\n")
    else:
        out.insert(begin, f"{head}>\n")
        out.append(f"{indent}</{tag}>\n")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _escaped(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Date) else str(value)


def _escaped(text: str) -> str:
    """Control characters pass, as in the engine: the answer is then no XML any more."""
    return text if not SPECIAL.search(text) else text.translate(ESCAPES)


def to_json(tree: Tree) -> str:
    return json.dumps(_plain(tree), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    if isinstance(value, str):
        return value
    return int(value) if isinstance(value, Date) else _text(value)


class Unreadable(ValueError):
    """Neither XML nor JSON."""


class Unknown(ValueError):
    """A field that the class does not have. XML ignores it, JSON does not."""

    def __init__(self, field: str, owner: str) -> None:
        super().__init__(f"Unrecognized field &quot;{field}&quot; (class org.ovirt.engine.api.model.{owner}), not marked as ignorable")


def from_xml(data: bytes) -> tuple[str, Tree]:
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        raise Unreadable(str(error)) from error
    tree = _tree(root)
    return root.tag, tree if isinstance(tree, dict) else {}


def _tree(element: ET.Element) -> Any:
    inner = COLLECTIONS.get(element.tag)
    if inner:
        return {inner: [_tree(child) for child in element if child.tag == inner]}
    if len(element) == 0 and not element.attrib:
        text = element.text or ""
        return text if text.strip() or element.tag not in OBJECTS else {}
    tree: Tree = dict(element.attrib)
    for child in element:
        tree[child.tag] = _tree(child)
    return tree


# Elements that are objects even when they are empty: ``<disk/>`` is no text.
OBJECTS = frozenset({"action", "snapshot", "disk", "disk_attachment", "vm", "nic", "lease", "storage_domain", "cluster", "template", "backup", "lun_storage"})


def from_json(data: bytes) -> Tree:
    try:
        tree = json.loads(data)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    if not isinstance(tree, dict):
        raise Unreadable("not an object")
    return {key: without_null(value) for key, value in tree.items() if value is not None}


def without_null(value: Any) -> Any:
    """JSON ``null`` = absent."""
    if isinstance(value, dict):
        return {key: without_null(child) for key, child in value.items() if child is not None}
    return [without_null(child) for child in value] if isinstance(value, list) else value
