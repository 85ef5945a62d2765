# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the checkout to where ansible-test accepts it: a folder ROOT/ansible_collections/diskwise/vm.

ansible-test refuses a symbolic link, and silently skips every file if ROOT is ignored by the Git repository around it:
so this is a copy, in a repository of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
TRUTH = Path("tests/truth/truth.py")
"""The runner of the transcripts is kept as it came with them, in its own style."""


def collection_files() -> list[Path]:
    """What belongs to the collection: all files but the ignored ones, relative to the checkout."""
    # Git distrusts a checkout of another user, which is what CI often works in.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    files = [Path(name) for name in listing.split("\0") if name]
    return [file for file in files if (CHECKOUT / file).is_file()]


def stage(root: Path) -> Path:
    """Fill ROOT afresh; the folder to run ansible-test in is returned."""
    shutil.rmtree(root, ignore_errors=True)
    collection = root / "ansible_collections" / "diskwise" / "vm"
    for file in collection_files():
        if file == TRUTH:
            continue
        target = collection / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / file, target, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return collection


if __name__ == "__main__":
    print(stage(Path(sys.argv[1])))
