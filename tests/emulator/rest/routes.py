# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which handler answers which address. Ids in addresses are UUIDs, anything else is no address (404, §2.4)."""

from __future__ import annotations

from collections.abc import Callable

from werkzeug.routing import BaseConverter, Map, Rule

from tests.emulator.rest.exchange import Handler


class IdConverter(BaseConverter):
    regex = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"

    def to_python(self, value: str) -> str:
        return value.lower()


_rules: list[tuple[str, str, Handler]] = []


def route(method: str, *paths: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _rules.extend((method, path, handler) for path in paths)
        return handler

    return register


def routes() -> Map:
    from tests.emulator.rest import handlers

    handlers.load()
    rules = [Rule(path, methods=[method], endpoint=handler) for method, path, handler in _rules]
    return Map(rules, converters={"id": IdConverter}, strict_slashes=False, merge_slashes=False)
