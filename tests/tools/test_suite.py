# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the suite counts, and that it does not take silence for success."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.tools import suite
from tests.tools.sanity import NOT_RUN
from tests.tools.suite import Check, Count, Part, Suite

PASSES = "def test_passes():\n    pass\n"
FAILS = "def test_fails():\n    raise ValueError\n"
SKIPS = "import pytest\n\ndef test_skips():\n    pytest.skip('not here')\n"
BREAKS_IN_FIXTURE = "import pytest\n\n@pytest.fixture\ndef broken():\n    raise ValueError\n\ndef test_never_starts(broken):\n    pass\n"
CANNOT_BE_READ = "def test_"


@pytest.fixture(autouse=True)
def _logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "LOGS", tmp_path)
    monkeypatch.setattr(suite, "IN_CI", False)


def run(check: Check) -> Count:
    """What one part with this one check adds to the suite's closing line."""
    running = Suite(pytest_arguments=["-p", "no:cacheprovider"], show_output=False)
    running.run(Part("part", (check,)), check)
    return running.total()


def run_tests(folder: Path, *files: str) -> Count:
    tests = folder / "tests"
    tests.mkdir()
    for number, content in enumerate(files):
        (tests / f"test_{number}.py").write_text(content)
    return run(Check("tests", tests=str(tests)))


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ([PASSES, PASSES], Count(passed=2)),
        ([PASSES, FAILS], Count(passed=1, failed=1)),
        ([PASSES, BREAKS_IN_FIXTURE], Count(passed=1, failed=1)),
        ([PASSES, SKIPS], Count(passed=1, skipped=1)),
        ([PASSES, CANNOT_BE_READ], Count(failed=1)),
        ([SKIPS], Count(failed=1, skipped=1)),
        ([], Count(failed=1)),
    ],
    ids=["passes", "fails", "breaks in a fixture", "skips", "cannot be read", "skips all", "no test"],
)
def test_pytest_part(files: list[str], count: Count, tmp_path: Path) -> None:
    assert run_tests(tmp_path, *files) == count


def test_skipped_test_fails_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "IN_CI", True)
    assert run_tests(tmp_path, PASSES, SKIPS) == Count(passed=1, failed=1)


def test_missing_folder_fails(tmp_path: Path) -> None:
    assert run(Check("tests", tests=str(tmp_path / "nowhere"))) == Count(failed=1)


def test_bad_end_after_good_tests_fails(tmp_path: Path) -> None:
    assert run_tests(tmp_path, f"import atexit, os\n\natexit.register(os._exit, 3)\n\n{PASSES}") == Count(passed=1, failed=1)


@pytest.mark.parametrize(
    ("status", "count"),
    [(0, Count(passed=1)), (1, Count(failed=1)), (2, Count(failed=1)), (NOT_RUN, Count(skipped=1, failed=1))],
)
def test_check(status: int, count: Count) -> None:
    assert run(Check("check", (sys.executable, "-c", f"raise SystemExit({status})"))) == count


def test_missing_program_fails() -> None:
    assert run(Check("check", ("no-such-program",))) == Count(failed=1)


def test_check_that_hangs_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "TIMEOUT_SECONDS", 1)
    program = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('torn down')\n"
    started = time.monotonic()
    assert run(Check("check", (sys.executable, "-c", program))) == Count(failed=1)
    assert time.monotonic() - started < 30
    assert "torn down" in (tmp_path / "part.log").read_text()


def test_daemon_left_behind_does_not_hold_the_suite() -> None:
    started = time.monotonic()
    assert run(Check("check", ("sh", "-c", "sleep 20 &"))) == Count(passed=1)
    assert time.monotonic() - started < 10


def test_failure_shows_the_end_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    run(Check("check", (sys.executable, "-c", "print('the reason'); raise SystemExit(1)")))
    assert "the reason" in capsys.readouterr().out


def test_every_test_file_belongs_to_a_part() -> None:
    assert suite.tests_of_no_part() == []
