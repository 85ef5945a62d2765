# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML that is written or changed.

Done with minidom, because it keeps the prefixes and the white space of what it does not touch, so that an undone domain is the same
to the byte.
"""

from __future__ import annotations

from typing import Any
from xml.dom import minidom


def document(text: str) -> Any:
    return minidom.parseString(text)


def new(tag: str, content: str = "", /, **attributes: str) -> Any:
    """The root element of a document of its own."""
    return add(minidom.Document(), tag, content, **attributes)


def add(parent: Any, tag: str, content: str = "", /, **attributes: str) -> Any:
    """A new last child."""
    doc = parent if isinstance(parent, minidom.Document) else parent.ownerDocument
    element = parent.appendChild(doc.createElement(tag))
    for key, value in attributes.items():
        element.setAttribute(key, value)
    if content:
        element.appendChild(doc.createTextNode(content))
    return element


def text_of(node: Any) -> str:
    """The XML text, without the declaration that libvirt does not want."""
    element: Any = node.documentElement if isinstance(node, minidom.Document) else node
    return str(element.toxml())


def children(parent: Any, *path: str) -> list[Any]:
    """The elements at a path below ``parent``, such as ("devices", "disk")."""
    level = [parent]
    for name in path:
        level = [child for element in level for child in element.childNodes if child.nodeType == child.ELEMENT_NODE and child.nodeName == name]
    return level


def drop(parent: Any, *path: str) -> None:
    """Remove the elements at the path."""
    for element in children(parent, *path):
        remove(element)


def remove(element: Any) -> None:
    """Remove an element, with the line break before it."""
    before = element.previousSibling
    if before is not None and before.nodeType == before.TEXT_NODE and not before.data.strip():
        before.parentNode.removeChild(before)
    element.parentNode.removeChild(element)
