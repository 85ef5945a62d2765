# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search language: lenient, so that a typing error looks like "not found" (§2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.emulator.rest.body import UUID
from tests.emulator.rest.errors import Fault

Thing = TypeVar("Thing")
Fields = dict[str, Callable[[Thing], str]]

TERM = re.compile(r"""\s*(?:(?P<field>[A-Za-z_.]+)\s*(?P<operator>!=|=)\s*)?(?P<value>"[^"]*"|[^\s"]+)\s*""")
SQL = "query execution failed due to unexpected error: StatementCallback; bad SQL grammar"


@dataclass(frozen=True)
class Term:
    field: str
    """Empty: free text, which is looked for inside of several fields."""
    equal: bool
    value: str

    def matches(self, found: str, case_sensitive: bool, glob: bool) -> bool:
        value = self.value
        if not case_sensitive:
            value, found = value.lower(), found.lower()
        if glob:
            pattern = ".*".join(re.escape(part) for part in (value if self.field else f"*{value}*").split("*"))
            same = re.fullmatch(pattern, found, re.DOTALL) is not None
        else:
            same = value == found
        return same is self.equal


@dataclass
class Query:
    any_of: list[list[Term]]
    """Alternatives, each of terms that must all hold."""
    sort: str | None = None
    descending: bool = False
    page: int = 1


def parse(text: str) -> Query | None:
    """None: nothing is found."""
    query = Query([[]])
    text, page = _cut_off(text, r"\s+page\s+(\S+)\s*$")
    if page is not None:
        if not page.isdigit():
            return None
        query.page = int(page)
    text, sort = _cut_off(text, r"\s*sortby\s+(\S+(?:\s+(?:asc|desc))?)\s*$")
    if sort:
        query.sort, _space, direction = sort.lower().partition(" ")
        query.descending = direction.strip() == "desc"
    if text.count('"') % 2 or re.search(r"^\s*\w+\s*:", text):
        return None
    position, joined = 0, True
    while position < len(text.rstrip()):
        match = TERM.match(text, position)
        if match is None:
            return None
        position = match.end()
        field, value = match["field"], match["value"]
        if field is None and value.lower() in ("and", "or"):
            if value.lower() == "or":
                query.any_of.append([])
            joined = True
            continue
        if not joined:
            return None
        query.any_of[-1].append(Term((field or "").lower(), match["operator"] != "!=", value.strip('"')))
        joined = False
    return query


def _cut_off(text: str, pattern: str) -> tuple[str, str | None]:
    match = re.search(pattern, " " + text, re.IGNORECASE)
    return (text, None) if match is None else ((" " + text)[: match.start()], match[1])


def select(
    things: Iterable[Thing],
    text: str,
    fields: Fields[Thing],
    *,
    free: Sequence[str] = ("name",),
    case_sensitive: bool = False,
    glob: bool = True,
    limit: int | None,
) -> list[Thing]:
    """The things that fit; ``free`` are the fields in which free text is looked for, ``limit`` is the size of a page."""
    query = parse(text)
    if query is None:
        return []
    terms = [term for alternative in query.any_of for term in alternative]
    if any(term.field == "id" and not UUID.match(term.value) for term in terms):
        raise Fault(400, f"{SQL}; nested exception is org.postgresql.util.PSQLException: invalid input syntax for type uuid")
    if any(term.field and term.field not in fields for term in terms) or (query.sort and query.sort not in fields):
        return []

    def found_by(term: Term, thing: Thing) -> bool:
        return any(term.matches(fields[name](thing), case_sensitive, glob) for name in ([term.field] if term.field else free))

    def fits(thing: Thing) -> bool:
        return any(all(found_by(term, thing) for term in alternative) for alternative in query.any_of)

    found = [thing for thing in things if fits(thing)]
    if query.sort:
        found.sort(key=lambda thing: fields[query.sort or ""](thing).lower(), reverse=query.descending)
    if limit is None:
        return found if query.page == 1 else []
    return found[(query.page - 1) * limit : query.page * limit]


def limit_of(value: str | None) -> int | None:
    """``max``: 0 is nothing, negative and unreadable ones are ignored."""
    if value is None or not re.fullmatch(r"\d+", value.strip()):
        return None
    return int(value)
