# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collections of others that tests need: taken out of the package "ansible", which is a file of the package index, once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.tools.stage import CHECKOUT

# The last with awx.awx.
PACKAGE = "ansible==13.8.0"
WANTED = ("awx/awx",)
FOLDER = CHECKOUT / ".build" / "peers" / PACKAGE


def collections() -> Path:
    """The folder that holds them, for ANSIBLE_COLLECTIONS_PATH."""
    if not FOLDER.is_dir():
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE], check=True)
            (wheel,) = Path(folder).glob("*.whl")
            made = Path(folder) / "made"
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(made, [name for name in archive.namelist() if name.startswith(tuple(f"ansible_collections/{peer}/" for peer in WANTED))])
            shutil.move(made, FOLDER)
    return FOLDER
