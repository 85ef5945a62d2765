# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imported by the server from which controllers are forked: what a module does for the first time in a process is done here, once."""

from __future__ import annotations

import gc

from tests.crash.controller import VERBS, attempt

for verb in ("info", *VERBS):
    attempt(verb, {"vm": ["none"], "uri": "nowhere:///"})
gc.collect()
gc.freeze()  # or the first collection would copy every page to each process
