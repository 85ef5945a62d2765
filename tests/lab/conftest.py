# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from tests.lab.fixtures import conn, daemon, folder, linux, linux_build, linux_saved, vm

__all__ = ["conn", "daemon", "folder", "linux", "linux_build", "linux_saved", "vm"]  # pytest finds them here
