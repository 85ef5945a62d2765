# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record: what this collection keeps with a domain, as JSON in one element of the domain's ``<metadata>``.

``work`` is what is open or unfinished, with its ``phase``:

* ``creating``  a snapshot is being made: its overlays, its memory file, whether the guest may be frozen
* ``entering``  a preview is being opened: overlays may exist, the domain is untouched
* ``open``      a preview is open: what it shows, its overlays, and the domain XML to come back to
* ``removing``  images are being merged
* ``tail``      the domain is as it shall be; snapshot metadata and files are still to be cleaned up

``last`` is the composition of the last commit with the size of its fresh overlays, ``requests`` the request ids that were carried out.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

NAMESPACE = "urn:diskwise:vm:1"
PREFIX = "diskwise"
ELEMENT = "record"


@dataclass(frozen=True)
class Record:
    work: Mapping[str, Any] | None = None
    last: Mapping[str, Any] | None = None
    requests: Mapping[str, Any] = field(default_factory=dict)

    @property
    def phase(self) -> str:
        return str(self.work["phase"]) if self.work else ""

    def with_work(self, work: Mapping[str, Any] | None) -> Record:
        return replace(self, work=work)

    def __bool__(self) -> bool:
        return bool(self.work or self.last or self.requests)

    def dumps(self) -> str:
        requests = list(self.requests.items())  # pairs, because their order counts: the oldest are forgotten first
        return json.dumps({"work": self.work, "last": self.last, "requests": requests}, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Record:
        """Raises ValueError when the text is not a record."""
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("not a record")
        return cls(data.get("work"), data.get("last"), dict(data.get("requests") or ()))


def pack(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpack(text: str) -> str:
    return zlib.decompress(base64.b64decode(text)).decode()
