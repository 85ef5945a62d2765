# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx extension: fenced blocks of the guides that are readable as text, drawn as SVG.

`chains` shows the images of disks over time, as it is typed:

              before-upgrade       now
    os     base ==|------ after -----|
                  |++++ preview +++++|
    data   ========== data ==========|

The first line names moments, each above its bars. A bar ends with | or with the line; its sign says what becomes of the image, and words
in it are its name. A line without a name at its beginning belongs to the disk above; its first | is the image that its bar stands on.

`mermaid` is the diagram of states of docs/states.md. Only this one is drawn: its states have fixed places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import hypot

from docutils import nodes
from docutils.parsers.rst import Directive

# What becomes of an image: in words, the colour of its inside and of its edge, the dashes of its edge.
SIGNS = {
    "=": ("belongs to the VM", "#cfe3ff", "#1f5fa8", ""),
    "+": ("made by the preview", "#d3f0d6", "#1d7a34", ""),
    "-": ("kept for an undo", "#f1f1f1", "#666666", "4 3"),
    "~": ("deleted", "#ffe1dc", "#b3261e", "2 3"),
}
BAR = re.compile(rf"([{re.escape(''.join(SIGNS))}])[^|]*(?<! )")
INK, PAPER, EDGE = "#1b1b1b", "#ffffff", "#c8c8c8"
STEP, ROW, TOP, PAD = 9, 40, 34, 14
FONT = 'font-family="sans-serif" font-size="13"'


class Undrawable(ValueError):
    """The text is not such a picture."""


@dataclass(frozen=True)
class Bar:
    row: int
    disk: str
    begin: int
    end: int
    sign: str
    name: str


def bars(lines: Sequence[str]) -> Iterator[Bar]:
    disk = ""
    for row, line in enumerate(lines):
        found = re.match(r"\S+", line)
        disk = found.group() if found else disk
        if not disk:
            raise Undrawable(f"no disk is named: {line!r}")
        for part in re.finditer(r"[^|]+", line[found.end() if found else 0 :].replace("\t", " ")):
            box = BAR.search(part.group())
            if not box:
                continue
            offset = (found.end() if found else 0) + part.start()
            sign = box.group(1)
            yield Bar(row, disk, offset + box.start(), offset + box.end(), sign, box.group().strip(sign + " "))


def chains(text: str) -> str:
    head, *lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    moments = [(found.group(), found.start()) for found in re.finditer(r"\S+", head)]
    drawn = list(bars(lines))
    if not moments or not drawn:
        raise Undrawable("moments in the first line and bars below are wanted")
    adrift = [name for name, column in moments if not any(line[column : column + 1] == "|" for line in lines)]
    if adrift:
        raise Undrawable(f"no bar ends where {', '.join(adrift)} begins")
    signs = [sign for sign in SIGNS if any(box.sign == sign for box in drawn)]
    width = max([len(line) for line in (head, *lines)] + [sum(len(SIGNS[sign][0]) + 5 for sign in signs)]) * STEP + 2 * PAD
    bottom = TOP + len(lines) * ROW
    parts = []
    for name, column in moments:
        x = PAD + column * STEP
        parts.append(f'<text x="{x}" y="20" text-anchor="middle" font-weight="bold">{escape(name)}</text>')
        parts.append(f'<path d="M{x} {TOP - 8}V{bottom - 4}" stroke="{INK}" stroke-dasharray="1 4"/>')
    for box in drawn:
        _says, inside, edge, dashes = SIGNS[box.sign]
        x, y, long = PAD + box.begin * STEP, TOP + box.row * ROW, (box.end - box.begin) * STEP
        parts.append(f'<rect x="{x}" y="{y}" width="{long}" height="24" rx="4" fill="{inside}" stroke="{edge}" stroke-width="2" stroke-dasharray="{dashes}"/>')
        strike = ' text-decoration="line-through"' if box.sign == "~" else ""
        parts.append(f'<text x="{x + long / 2}" y="{y + 17}" text-anchor="middle"{strike}>{escape(box.name)}</text>')
        base = lines[box.row].find("|")
        if not lines[box.row].startswith(box.disk) and base < box.begin:
            parts.append(f'<path d="M{PAD + base * STEP} {y - ROW + 24}V{y + 12}H{x}" stroke="{edge}" stroke-width="2" fill="none"/>')
    parts += [
        f'<text x="{PAD}" y="{TOP + row * ROW + 17}" font-weight="bold">{escape(line.split()[0])}</text>' for row, line in enumerate(lines) if line[0] != " "
    ]
    x = PAD
    for sign in signs:
        says, inside, edge, dashes = SIGNS[sign]
        parts.append(
            f'<rect x="{x}" y="{bottom + 4}" width="18" height="14" rx="3" fill="{inside}" stroke="{edge}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )
        parts.append(f'<text x="{x + 24}" y="{bottom + 16}">{says}</text>')
        x += (len(says) + 5) * STEP
    return svg(width, bottom + 30, parts, told(moments, drawn))


def told(moments: Sequence[tuple[str, int]], drawn: Sequence[Bar]) -> str:
    """The picture in words, for those who do not see it."""
    says = []
    for box in drawn:
        since = [name for name, column in moments if abs(column - box.begin) <= 1]
        until = [name for name, column in moments if abs(column - box.end) <= 1]
        when = " ".join([*(f"from {name}" for name in since), *(f"until {name}" for name in until)])
        says.append(f"Disk {box.disk}: image {box.name or 'without a name'} {when}, {SIGNS[box.sign][0]}.")
    return " ".join(says)


PLACES = {"closed": (190, 90), "shown": (520, 90), "committed": (190, 290), "other": (520, 290)}
BOX = (120, 44)


def states(text: str) -> str:
    moves = re.findall(r"^\s*(\S+) --> (\w+)(?:: (.*))?$", text, flags=re.MULTILINE)
    if not moves or {place for start, end, _says in moves for place in (start, end)} - {"[*]"} != set(PLACES):
        raise Undrawable(f"states are wanted between {', '.join(PLACES)}")
    pairs = {(start, end) for start, end, _says in moves}
    parts = [f'<defs><marker id="head" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto"><path d="M0 0L9 4L0 8z" fill="{INK}"/></marker></defs>']
    for start, end, says in moves:
        parts += arrow(start, end, says, both=(end, start) in pairs)
    for name, (x, y) in PLACES.items():
        parts.append(
            f'<rect x="{x - BOX[0] / 2}" y="{y - BOX[1] / 2}" width="{BOX[0]}" height="{BOX[1]}" rx="8" fill="#cfe3ff" stroke="#1f5fa8" stroke-width="2"/>'
        )
        parts.append(f'<text x="{x}" y="{y + 5}" text-anchor="middle" font-weight="bold">{name}</text>')
    words = " ".join(f"From {start} to {end}: {says}." for start, end, says in moves if start != "[*]")
    return svg(760, 350, parts, words)


def arrow(start: str, end: str, says: str, both: bool) -> Iterator[str]:
    line = f'stroke="{INK}" fill="none" marker-end="url(#head)"'
    x, y = PLACES[end]
    if start == "[*]":
        yield f'<circle cx="{x - 80}" cy="{y - 62}" r="6" fill="{INK}"/><path d="M{x - 76} {y - 58}L{x - 40} {y - BOX[1] / 2}" {line}/>'
        return
    if start == end:
        yield f'<path d="M{x} {y - 22}C{x} {y - 66} {x + 56} {y - 66} {x + 44} {y - 22}" {line}/>'
        yield f'<text x="{x + 56}" y="{y - 48}">{escape(says)}</text>'
        return
    x0, y0 = PLACES[start]
    long = hypot(x - x0, y - y0)
    # To the right of the way, a step aside where there is a way back as well. The words stand on the same side.
    aside = (-(y - y0) / long, (x - x0) / long)
    step = 9 if both else 0
    cut = min(BOX[0] / 2 / abs(x - x0) if x != x0 else 1, BOX[1] / 2 / abs(y - y0) if y != y0 else 1)
    (x1, y1), (x2, y2) = ((x0 + (x - x0) * part + step * aside[0], y0 + (y - y0) * part + step * aside[1]) for part in (cut, 1 - cut))
    yield f'<path d="M{x1:.0f} {y1:.0f}L{x2:.0f} {y2:.0f}" {line}/>'
    if x != x0 and y != y0:  # there is more room outside
        aside = (-aside[0], -aside[1])
    anchor = "middle" if abs(aside[0]) < 0.1 else "start" if aside[0] > 0 else "end"
    at = ((x1 + x2) / 2 + 9 * aside[0], (y1 + y2) / 2 + 14 * aside[1] + 5)
    yield f'<text x="{at[0]:.0f}" y="{at[1]:.0f}" text-anchor="{anchor}">{escape(says)}</text>'


def svg(width: float, height: float, parts: Sequence[str], words: str) -> str:
    """With paper of its own, so that it is as readable on a dark page as on a light one."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(words)}" '
        f'style="max-width: 100%; height: auto" {FONT} fill="{INK}"><title>{escape(words)}</title>'
        f'<rect width="{width}" height="{height}" rx="6" fill="{PAPER}" stroke="{EDGE}"/>{"".join(parts)}</svg>'
    )


class Drawing(Directive):
    has_content = True

    def run(self) -> list[nodes.Node]:
        draw = {"chains": chains, "mermaid": states}[self.name]
        try:
            return [nodes.raw("", f"<p>{draw(chr(10).join(self.content))}</p>", format="html")]
        except Undrawable as error:
            raise self.error(str(error)) from error


def setup(app) -> dict[str, bool]:
    app.add_directive("chains", Drawing)
    app.add_directive("mermaid", Drawing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
