# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.bench [NAME ...]: measure, show the table, and note it in docs/benchmarks.md and build/bench.json."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import version

import libvirt

from tests.bench.engine import freeze_vs_virsh, preview_commit_vs_copy
from tests.bench.figure import Figure
from tests.bench.peer import fleet_200_vs_peer, requests_create_vs_peer, requests_unchanged_vs_peer
from tests.bench.planning import plan_200x26_ms
from tests.bench.tasks import create_vs_noop, fleet_vs_loop
from tests.lab.vm import virt_type
from tests.tools.stage import CHECKOUT

MEASUREMENTS: Sequence[Callable[[], Figure]] = (
    create_vs_noop,
    fleet_vs_loop,
    plan_200x26_ms,
    preview_commit_vs_copy,
    freeze_vs_virsh,
    requests_create_vs_peer,
    requests_unchanged_vs_peer,
    fleet_200_vs_peer,
)
DOCUMENT = CHECKOUT / "docs" / "benchmarks.md"
RESULT = CHECKOUT / "build" / "bench.json"
BEGIN, END = "<!-- made by make bench -->", "<!-- until here -->"


def main(arguments: Sequence[str] | None = None) -> None:
    names = [measure.__name__ for measure in MEASUREMENTS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure how long things take. Only a run of all is noted.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    chosen = parser.parse_args(arguments).names
    if set(chosen) - set(names):
        parser.error(f"no such measurement: {', '.join(sorted(set(chosen) - set(names)))}")
    figures = []
    for measure in MEASUREMENTS:
        if not chosen or measure.__name__ in chosen:
            print(f"{measure.__name__} ...", flush=True)
            figures.append(measure())
            print(f"    {verdict(figures[-1])}; {spread(figures[-1].ours, figures[-1].unit)} / {spread(figures[-1].other, figures[-1].unit)}", flush=True)
    if not chosen:
        RESULT.parent.mkdir(exist_ok=True)
        result = {figure.name: {"ratio": round(figure.ratio, 4), "goal": figure.goal, "n": len(figure.ours)} for figure in figures}
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
        note(figures)


def verdict(figure: Figure) -> str:
    return f"{figure.ratio:.3g}, goal {figure.goal:g}: {'reached' if figure.reached else 'MISSED'}"


def spread(took: Sequence[float], unit: str) -> str:
    return f"median {statistics.median(took):.4g} {unit}, {min(took):.4g} to {max(took):.4g} {unit}, n={len(took)}" if took else "-"


def note(figures: Sequence[Figure]) -> None:
    head, _mark, rest = DOCUMENT.read_text().partition(BEGIN)
    foot = rest.partition(END)[2]
    DOCUMENT.write_text(f"{head}{BEGIN}\n{table(figures)}\n\nMeasured on {datetime.date.today()} with {machine()}.\n{END}{foot}")


def table(figures: Sequence[Figure]) -> str:
    lines = ["| figure | is | goal | | ours | the other | runs |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for figure in figures:
        other = f"{statistics.median(figure.other):.3g} {figure.unit}" if figure.other else ""
        runs = f"{len(figure.ours)} / {len(figure.other)}" if figure.other else f"{len(figure.ours)}"
        reached = "reached" if figure.reached else "**missed**"
        lines.append(
            f"| `{figure.name}` | {figure.ratio:.3g} | {figure.goal:g} | {reached} | {statistics.median(figure.ours):.3g} {figure.unit} | {other} | {runs} |"
        )
    lines.append("")
    for figure in figures:
        lines.append(f"* `{figure.name}`: {figure.what}, {f'divided by {figure.against}' if figure.other else 'in milliseconds'}")
    return "\n".join(lines)


def machine() -> str:
    """What the figures depend on; nothing that names the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    number = libvirt.getVersion()
    qemu = subprocess.run(["qemu-img", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    parts = [
        f"{os.cpu_count()} cores",
        f"{memory:.0f} GiB of memory",
        "guests on KVM" if virt_type() == "kvm" else "guests on emulated processors (TCG)",
        f"Python {platform.python_version()}",
        f"ansible-core {version('ansible-core')}",
        f"libvirt {number // 1000000}.{number // 1000 % 1000}.{number % 1000}",
        f"QEMU {qemu}",
    ]
    return ", ".join(parts)


if __name__ == "__main__":
    main()
