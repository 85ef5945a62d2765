# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the test suite or parts of it, counts, and ends with "N passed, M failed":  python -m tests.tools.suite [--jobs N] [PART ...] [-- PYTEST_ARGUMENT ...]

Without parts it runs all of them in two lanes side by side: one takes them from the front of the list, where what fails fast and what starts
guests is, the other from its end, and they meet where they meet. Named parts are shown as they run; of the whole suite only what failed is
shown. All output is in build/logs.

A pytest part counts its tests, any other part its checks. A check that ends badly without a failed test counts as a failure, as does a
part in which nothing ran. A test that was skipped is counted apart; with CI set it is a failure.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from tests.tools.sanity import CORES, NOT_RUN
from tests.tools.stage import CHECKOUT, collection_files

LOGS = CHECKOUT / "build" / "logs"
IN_CI = bool(os.environ.get("CI"))
TAIL_LINES = 200 if IN_CI else 40
TIMEOUT_SECONDS = 30 * 60
GRACE_SECONDS = 30


@dataclass(frozen=True)
class Check:
    """One command. With `tests`, pytest runs them and each is counted; without, the exit status is the one thing counted."""

    name: str
    command: tuple[str, ...] = ()
    tests: str = ""
    arguments: tuple[str, ...] = ()
    """For pytest."""


@dataclass(frozen=True)
class Part:
    name: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def pytest(folder: str, *arguments: str, name: str = "") -> Part:
    name = name or Path(folder).name
    return Part(name, (Check(name, tests=folder, arguments=arguments),))


PARTS = (
    Part(
        "lint",
        (
            Check("ruff", ("ruff", "check", ".")),
            Check("ruff-format", ("ruff", "format", "--check", ".")),
            Check("yamllint", ("yamllint", "--strict", ".")),
            Check("changelog", ("antsibull-changelog", "lint")),
            Check("mypy", ("mypy",)),
            Check("antsibull-docs", ("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", ".")),
            Check("ansible-lint", ("ansible-lint", "--strict", "--nocolor")),
        ),
    ),
    pytest("tests/tools"),
    pytest("tests/unit"),
    pytest("tests/lab"),
    pytest("tests/contract", "--backend=libvirt,fake"),
    # A libvirtd that is stuck makes each test wait for half a minute.
    pytest("tests/crash", "--maxfail=5"),
    pytest("tests/docs", name="docs-blocks"),
    pytest("tests/ui", name="page"),
    Part("demo", (Check("demo", ("make", "--no-print-directory", "demo")),)),
    Part("molecule", (Check("molecule", ("molecule", "test", "--all")),)),
    pytest("tests/package"),
    pytest("tests/docsite", "-k", "not oVirt"),
    pytest("tests/roles", "--ground=libvirt", "--numprocesses=2", "--dist=loadfile"),
    Part("sanity", tuple(Check(core, (sys.executable, "-m", "tests.tools.sanity", core)) for core in CORES)),
    pytest("tests/docsite", "-k", "oVirt", name="docsite-ovirt"),
    pytest("tests/roles", "--ground=ovirt", "--numprocesses=2", name="roles-ovirt"),
    pytest("tests/contract", "--backend=ovirt", name="ovirt"),
    # Most of it is sleeping between two looks; each worker has an emulator of its own.
    pytest("tests/truth", "--numprocesses=8", "--dist=worksteal"),
    pytest("tests/emulator"),
)


def count_check(status: int) -> Count:
    return {0: Count(passed=1), NOT_RUN: Count(skipped=1)}.get(status, Count(failed=1))


def count_tests(report: Path, status: int) -> Count:
    """What a JUnit report counts, and a failure more if pytest ended badly without one or did not get as far as writing the report."""
    count = Count()
    for case in ElementTree.parse(report).iter("testcase") if report.is_file() else ():
        if case.find("failure") is not None or case.find("error") is not None:
            count += Count(failed=1)
        elif case.find("skipped") is not None:
            count += Count(failed=1) if IN_CI else Count(skipped=1)
        else:
            count += Count(passed=1)
    return count if count.failed or status == 0 else count + Count(failed=1)


@dataclass
class Suite:
    pytest_arguments: Sequence[str]
    show_output: bool
    counts: dict[str, Count] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    # What the logs say was left out.
    not_run: list[str] = field(default_factory=list)
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    # Held while a check's result is printed and added up: the lanes take turns.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work_off(self, queue: deque[tuple[Part, Check]], from_the_end: bool = False) -> None:
        while True:
            try:
                part, check = queue.pop() if from_the_end else queue.popleft()
            except IndexError:
                return
            self.run(part, check)

    def run(self, part: Part, check: Check) -> None:
        label = part.name if len(part.checks) == 1 else f"{part.name} {check.name}"
        log = LOGS / f"{label.replace(' ', '-')}.log"
        report = log.with_suffix(".xml")
        report.unlink(missing_ok=True)
        command = check.command
        if check.tests:
            command = (sys.executable, "-m", "pytest", check.tests, f"--junitxml={report}", *check.arguments, *self.pytest_arguments)
        started = time.monotonic()
        status = self.execute(command, log)
        seconds = time.monotonic() - started
        count = count_tests(report, status) if check.tests else count_check(status)
        with self.lock:
            self.counts[part.name] = self.counts.get(part.name, Count()) + count
            self.seconds[part.name] = self.seconds.get(part.name, 0) + seconds
            lines = log.read_text(errors="replace").splitlines()
            self.not_run += [line for line in lines if line.startswith(("NOT RUN: ", "SKIPPED "))]
            if count.failed and not self.show_output:
                print(f"---- {label}: the end of {os.path.relpath(log, CHECKOUT)}", *lines[-TAIL_LINES:], "----", sep="\n")
            print(f"{label:<24} {count}, {seconds:.1f} s", flush=True)

    def execute(self, command: Sequence[str], log: Path) -> int:
        # Straight into the file: a daemon that a test left behind cannot keep this from ending, as it could with a pipe.
        with log.open("wb") as output, log.open("rb") as written:
            try:
                process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
            except OSError as error:
                output.write(f"{error}\n".encode())
                return 127
            self.running.add(process)
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
                self.show(written)
            in_time = process.poll() is not None
            if not in_time:
                stop(process)
                output.write(f"Stopped: it was not done after {TIMEOUT_SECONDS} s.\n".encode())
            self.running.discard(process)
            self.show(written)
            return process.returncode if in_time else 1

    def show(self, written: IO[bytes]) -> None:
        if self.show_output:
            sys.stdout.buffer.write(written.read())
            sys.stdout.buffer.flush()

    def total(self) -> Count:
        """All parts together; a part in which nothing ran is a failure."""
        return sum((count if count.passed + count.failed else count + Count(failed=1) for count in self.counts.values()), Count())


def stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt it, so that tests tear down what they set up; end it, if that does not help."""
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()


def tests_of_no_part() -> list[str]:
    """Test files that would never run, because no part has their folder."""
    folders = [Path(check.tests) for part in PARTS for check in part.checks if check.tests]
    files = [file for file in collection_files() if file.parts[0] == "tests" and file.match("test_*.py")]
    return [str(file) for file in files if not any(folder in file.parents for folder in folders)]


def main(arguments: Sequence[str]) -> int:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="how many checks of the named parts run at once")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(part.name for part in PARTS))
    options = parser.parse_args(arguments[:split])
    unknown = set(options.parts) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    lost = tests_of_no_part()
    if lost:
        parser.error(f"no part runs {', '.join(lost)}")

    LOGS.mkdir(parents=True, exist_ok=True)
    chosen = [part for part in PARTS if part.name in options.parts or not options.parts]
    queue = deque((part, check) for part in chosen for check in part.checks)
    ends = [False] * options.jobs if options.parts else [False, True]
    suite = Suite(pytest_arguments=arguments[split + 1 :], show_output=len(ends) == 1)

    started = time.monotonic()
    lanes = [threading.Thread(target=suite.work_off, args=[queue, from_the_end], daemon=True) for from_the_end in ends]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Started in the background, it would be ignored by all that is started from here, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    except KeyboardInterrupt:
        queue.clear()
        for process in tuple(suite.running):
            stop(process)
        print("Interrupted.")
        return 130

    print(f"\n{'part':<14} {'time':>8}")
    for part in chosen:
        print(f"{part.name:<14} {suite.seconds[part.name]:6.1f} s  {suite.counts[part.name]}")
    total = suite.total()
    print(f"{'together':<14} {time.monotonic() - started:6.1f} s", *suite.not_run, sep="\n")
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
