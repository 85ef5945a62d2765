# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws what awx_setup.yml makes of AWX into docs/images, for docs/awx.md:  python docs/docsite/awx.py

All that is in a picture is read from the playbook and its variables. The site draws them anew whenever it is built.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from draw import EDGE, INK, Undrawable, svg

PREFIX = "diskwise"
PAD, WIDTH = 16, 640
GREY, FIELD, BLUE, GREEN, RED = "#595959", "#f6f6f6", "#1f5fa8", "#1d7a34", "#b3261e"
# Of the forms: the ones of which the guide shows a picture.
FORMS = ("snapshot_create", "preview_open")


class Reader(yaml.SafeLoader):
    """Of the playbook: what AWX fills in is a text."""


Reader.add_constructor("!unsafe", lambda reader, node: reader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else node.value)


def text(x: float, y: float, says: str, **more: str) -> str:
    given = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return f'<text x="{x:g}" y="{y:g}"{given}>{escape(says)}</text>'


def box(x: float, y: float, width: float, height: float, fill: str = FIELD, edge: str = EDGE, more: str = "") -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" fill="{fill}" stroke="{edge}"{more}/>'


def listing(told: dict[str, Any]) -> str:
    """The list of templates, as many as there are."""
    rows = [(f"{PREFIX}: {template['title']}", "Job template") for template in told["diskwise_awx_templates"]]
    rows = sorted([*rows, (f"{PREFIX}: Guarded upgrade", "Workflow job template")])
    parts = [text(PAD, 28, "Templates", font_size="16", font_weight="bold"), text(PAD, 56, "Name", fill=GREY), text(430, 56, "Type", fill=GREY)]
    for number, (name, kind) in enumerate(rows):
        y = 66 + number * 28
        parts += [f'<path d="M{PAD} {y}H{WIDTH - PAD}" stroke="{EDGE}"/>', text(PAD, y + 19, name, fill=BLUE), text(430, y + 19, kind)]
        parts.append(f'<path d="M{WIDTH - 34} {y + 7}l12 7l-12 7z" fill="{BLUE}"/>')
    words = f"List of {len(rows)} templates, each with a button that starts it: " + "; ".join(name for name, _kind in rows)
    return svg(WIDTH, 66 + len(rows) * 28 + 8, parts, words)


def form(title: str, fields: Sequence[dict[str, Any]]) -> str:
    """A form with a field for each of: name, hint, star, lines, choices, value."""
    parts, words, y = [text(PAD, 28, title, font_size="16", font_weight="bold")], [], 52
    for field in fields:
        parts.append(text(PAD, y, field["name"] + (" *" if field["star"] else ""), font_weight="bold"))
        y += 6
        for line in textwrap.wrap(field["hint"], 96):
            y += 15
            parts.append(text(PAD, y, line, font_size="12", fill=GREY))
        y += 7
        tall = 26 if field["lines"] == 1 else 46
        parts += [box(PAD, y, WIDTH - 2 * PAD, tall), text(PAD + 9, y + 18, field["value"])]
        if field["choices"]:
            parts.append(f'<path d="M{WIDTH - PAD - 22} {y + 10}h12l-6 7z" fill="{INK}"/>')
            parts.append(text(WIDTH - PAD - 32, y + 18, "one of " + ", ".join(field["choices"]), text_anchor="end", font_size="12", fill=GREY))
        if field["lines"] > 1:
            parts.append(f'<path d="M{WIDTH - PAD - 12} {y + tall - 3}l9 -9M{WIDTH - PAD - 7} {y + tall - 3}l4 -4" stroke="{GREY}"/>')
        y += tall + 24
        notes = [*["required"] * field["star"], *[f"one of {', '.join(field['choices'])}"] * bool(field["choices"])]
        words.append(field["name"] + (f" ({', '.join(notes)})" if notes else ""))
    parts.append(text(PAD, y - 4, "* has to be filled in", font_size="12", fill=GREY))
    return svg(WIDTH, y + 8, parts, f'Form "{title}" with the fields {", ".join(words)}')


def survey(told: dict[str, Any], template: dict[str, Any]) -> str:
    fields = []
    for asked in template["survey"]:
        question = {**told["diskwise_awx_question"], **asked}
        fields.append(
            {
                "name": question["question_name"],
                "hint": question["question_description"],
                "star": question["required"],
                "lines": 2 if question["type"] == "textarea" else 1,
                "choices": question["choices"] or (),
                "value": question["default"],
            }
        )
    return form(f"{PREFIX}: {template['title']}", fields)


def credential(play: dict[str, Any]) -> str:
    (kind,) = [task["awx.awx.credential_type"] for task in play["tasks"] if "awx.awx.credential_type" in task]
    fields = [
        {
            "name": field["label"],
            "hint": field.get("help_text", "") or ("Kept encrypted, and never shown again" if field.get("secret") else ""),
            "star": field["id"] in kind["inputs"]["required"],
            "lines": 2 if field.get("multiline") else 1,
            "choices": (),
            "value": "",
        }
        for field in kind["inputs"]["fields"]
    ]
    return form(f"Credential of the type {PREFIX} libvirt", fields)


NODE, GAP, ROWS = (168, 58), 84, (PAD, 150)


def workflow(told: dict[str, Any]) -> str:
    """What goes well in a row, what follows from a failure below."""
    nodes = {node["name"]: node for node in told["diskwise_awx_nodes"]}
    titles = {template["name"]: template["title"] for template in told["diskwise_awx_templates"]}
    led_to = {end for node in nodes.values() for end in node.get("success", []) + node.get("failure", [])}
    (name,) = [name for name in nodes if name not in led_to]
    row = [name]
    while nodes[name].get("success"):
        (name,) = nodes[name]["success"]
        row.append(name)
    rest = [name for name in nodes if name not in row]
    if len(rest) > 1:
        raise Undrawable(f"there is room for one node below: {', '.join(rest)}")
    left = 40
    places = {name: (left + number * (NODE[0] + GAP), ROWS[0]) for number, name in enumerate(row)}
    places.update(dict.fromkeys(rest, (left + 1.5 * (NODE[0] + GAP), ROWS[1])))
    heads = "".join(
        f'<marker id="{name}" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto"><path d="M0 0L9 4L0 8z" fill="{colour}"/></marker>'
        for name, colour in (("good", GREEN), ("bad", RED))
    )
    parts, words = [f"<defs>{heads}</defs>", f'<path d="M{PAD} {ROWS[0] + 29}H{left - 2}" stroke="{GREEN}" stroke-width="2" marker-end="url(#good)"/>'], []
    for name, node in nodes.items():
        for link, colour, head, dashes in (("success", GREEN, "good", ""), ("failure", RED, "bad", "6 4")):
            for end in node.get(link, []):
                says = {"success": "approved", "failure": "denied"}[link] if "approval" in node else link
                (x, y), (to_x, to_y) = places[name], places[end]
                line = f'stroke="{colour}" stroke-width="2" fill="none" marker-end="url(#{head})" stroke-dasharray="{dashes}"'
                if y == to_y:
                    parts.append(f'<path d="M{x + NODE[0]} {y + 29}H{to_x - 2}" {line}/>')
                    at, anchor = (x + NODE[0] + GAP / 2, y + 20), "middle"
                else:
                    side = -1 if x < to_x else 1
                    start, stop = x + NODE[0] / 2, to_x + NODE[0] / 2 + side * 50
                    parts.append(f'<path d="M{start:g} {y + NODE[1]}L{stop:g} {to_y - 2}" {line}/>')
                    at, anchor = ((start + stop) / 2 + side * 12, (y + NODE[1] + to_y) / 2 + 4), "end" if side < 0 else "start"
                parts.append(text(*at, says, text_anchor=anchor, fill=colour))
                words.append(f"{name} leads to {end} when it is {says}" if "approval" in node else f"{name} leads to {end} on {says}")
    for name, (x, y) in places.items():
        node = nodes[name]
        runs = titles[node["button"]] if "button" in node else node.get("approval") or "a job template of yours"
        asks = "approval" in node
        parts.append(box(x, y, *NODE, fill="#fff4d6" if asks else "#e7f0fb", edge="#8a6100" if asks else BLUE, more=' stroke-width="2"'))
        parts.append(text(x + NODE[0] / 2, y + 20, name, text_anchor="middle", font_weight="bold"))
        for number, line in enumerate(textwrap.wrap(runs, 27)[:2]):
            parts.append(text(x + NODE[0] / 2, y + 37 + number * 14, line, text_anchor="middle", font_size="12"))
    width = left + len(row) * NODE[0] + (len(row) - 1) * GAP + PAD
    return svg(width, ROWS[1] + NODE[1] + PAD, parts, f"Workflow that begins with {row[0]}: {'; '.join(words)}")


def pictures() -> dict[str, str]:
    """File -> its content."""
    told = yaml.safe_load((CHECKOUT / "playbooks" / "vars" / "awx.yml").read_text())
    (play,) = yaml.load((CHECKOUT / "playbooks" / "awx_setup.yml").read_text(), Reader)
    forms = {template["name"]: template for template in told["diskwise_awx_templates"]}
    drawn = {"awx-templates": listing(told), "awx-workflow": workflow(told), "awx-credential": credential(play)}
    drawn.update({f"awx-{name.replace('_', '-')}": survey(told, forms[name]) for name in FORMS})
    return {f"{name}.svg": f"{picture}\n" for name, picture in drawn.items()}


def draw(folder: Path) -> None:
    for name, picture in pictures().items():
        (folder / name).write_text(picture)


if __name__ == "__main__":
    draw(CHECKOUT / "docs" / "images")
