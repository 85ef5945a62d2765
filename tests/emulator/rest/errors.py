# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that are not what was asked for (§2.4)."""

from __future__ import annotations

from tests.emulator.rest.formats import Tree


class Problem(Exception):
    """Ends the handling of a request."""

    status = 500


class Fault(Problem):
    """The *raw* shape."""

    def __init__(self, status: int, detail: str | None, reason: str = "Operation Failed") -> None:
        super().__init__(f"{status} {detail}")
        self.status = status
        self.detail = detail
        self.reason = reason

    @property
    def tree(self) -> Tree:
        return {"detail": self.detail, "reason": self.reason}


class Empty(Problem):
    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Text(Problem):
    """Plain text, as the JSON reader and crashes write it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class CrashPage(Problem):
    """A crash while the request was parsed or the answer built: a long HTML page, no Correlation-Id."""

    def __init__(self, text: str = "java.lang.NullPointerException") -> None:
        super().__init__(text)

    @property
    def page(self) -> str:
        frames = "\n".join(f"\tat org.ovirt.engine.api.restapi.resource.Frame{number}.invoke(Frame{number}.java:{number * 7})" for number in range(220))
        return f"<html><head><title>Error</title></head><body><h1>Internal Server Error</h1><pre>{self}\n{frames}</pre></body></html>"


class Cut(Exception):
    """The connection ends without an answer."""


def mandatory(name: str) -> Fault:
    return Fault(400, f"Parameter '{name}' is mandatory but was not provided.", "Input validation failed.")


def not_found(query: str, text: str) -> Fault:
    return Fault(404, f"Entity not found: {query}: {text}")
