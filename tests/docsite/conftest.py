# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from tests.lab.fixtures import daemon

__all__ = ["daemon"]  # pytest finds them here
