# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients asked, for tests that count requests or look for forbidden ones."""

from __future__ import annotations

import threading
from dataclasses import astuple, dataclass
from typing import Any


@dataclass
class Entry:
    method: str
    path: str
    """With its parameters, below the interface's path."""
    status: int | None = None
    """None: not answered."""
    correlation_id: str | None = None
    user: str | None = None


class Log:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def begin(self, method: str, path: str, query: str) -> Entry:
        entry = Entry(method, f"{path}?{query}" if query else path)
        with self._lock:
            self._entries.append(entry)
        return entry

    def entries(self) -> list[tuple[Any, ...]]:
        with self._lock:
            return [astuple(entry) for entry in self._entries]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
