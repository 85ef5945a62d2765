# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs "ansible-test sanity" with one version of ansible-core:  python -m tests.tools.sanity 2.16

The exit status is 0 if it passed, 1 if it failed, and 75 if it was not run, because no Python here is one that this version supports;
with CI set that is a failure, and so is a missing Python 3.9, the oldest that modules may meet. Everything that it makes is in
.build/sanity/VERSION, ansible-test's own virtual environments included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tools.stage import CHECKOUT, stage

# The Pythons that each version supports for itself, the best first.
CORES = {
    "2.16": ("3.12", "3.11", "3.10"),
    "2.18": ("3.13", "3.12", "3.11"),
    "2.20": ("3.13", "3.12", "3.14"),
    "2.21": ("3.13", "3.12", "3.14"),
}
# The oldest Python that modules may meet, as in tests/config.yml: a run without it leaves out what it is for.
OLDEST_TARGET = "3.9"
# The releases of pip that the versions of ansible-test ask for.
PIP_RELEASES = ("23.1.2", "24.2", "25.2")
NOT_RUN = 75


def find_python(versions: tuple[str, ...]) -> str | None:
    """The first of them that really runs: a version manager's stand-ins are found, but need not."""
    for version in versions:
        python = shutil.which(f"python{version}")
        if python and subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0:
            return python
    return None


def install_core(core: str, python: str, venv: Path) -> None:
    made_from = venv / "made-from"
    wanted = f"{venv}\n{python}\n{core}\n"
    if made_from.is_file() and made_from.read_text() == wanted:
        return
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(venv)], check=True)
    requirement = f"ansible-core~={core}.0"
    uv = subprocess.run([sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), requirement], check=False)
    if uv.returncode != 0:
        # uv does not read pip's configuration.
        subprocess.run([str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", requirement], check=True)
    made_from.write_text(wanted)


def prepare_home(home: Path) -> None:
    """A home in which ansible-test finds our bootstrap script for pip in its cache, and pip the user's configuration."""
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for release in PIP_RELEASES:
        shutil.copyfile(CHECKOUT / "tests" / "tools" / "get_pip.py", cache / f"get_pip_{release.replace('.', '_')}.py")
    for settings in (".config/pip/pip.conf", ".pip/pip.conf"):
        users, ours = Path.home() / settings, home / settings
        if users.is_file() and not ours.exists():
            ours.parent.mkdir(parents=True, exist_ok=True)
            ours.symlink_to(users)


def complaints(log: str) -> list[str]:
    """What makes a good exit status of ansible-test worthless."""
    found = []
    if "All targets skipped" in log:
        found.append("ansible-test skipped all targets")
    # A test says nothing on success; its start is announced.
    found += [f"the test {test} was not run" for test in ("validate-modules", "pep8", "pylint", "import") if f'Running sanity test "{test}"' not in log]
    return found


def misses_oldest_target(log: str) -> bool:
    return f"on Python {OLDEST_TARGET} because it could not be found" in log


def not_run(what: str, otherwise: int) -> int:
    """Say so, in the form that the suite looks for; the exit status is what it would be otherwise, but in CI a failure."""
    print(f"NOT RUN: {what}.")
    return 1 if os.environ.get("CI") else otherwise


def run(core: str) -> int:
    python = find_python(CORES[core])
    if python is None:
        return not_run(f"ansible-core {core} needs one of Python {', '.join(CORES[core])}, and none of them is here", otherwise=NOT_RUN)
    work = CHECKOUT / ".build" / "sanity" / core
    work.mkdir(parents=True, exist_ok=True)
    install_core(core, python, work / "venv")
    prepare_home(work / "home")
    collection = stage(work / "stage")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_") and name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment.update(HOME=str(work / "home"), PATH=f"{work / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    # As a module: the program "ansible-test" of 2.16 does not start from a folder with a space in its name.
    command = [str(work / "venv" / "bin" / "python"), "-m", "ansible_test._util.target.cli.ansible_test_cli_stub", "sanity", "--local", "--color", "no"]
    process = subprocess.Popen(command, cwd=collection, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        log += line
    failed = process.wait() != 0
    for complaint in complaints(log):
        print(f"FAILED: {complaint}.")
        failed = True
    status = 1 if failed else 0
    if misses_oldest_target(log):
        return not_run(f"the sanity tests of ansible-core {core} for modules on Python {OLDEST_TARGET}, which is not here", otherwise=status)
    return status


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in CORES:
        sys.exit(f"Usage: python -m tests.tools.sanity {'|'.join(CORES)}")
    sys.exit(run(sys.argv[1]))
