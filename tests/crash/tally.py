# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often what happened, for the summary at the end of the run."""

from __future__ import annotations

from collections import Counter

tally: Counter[str] = Counter()
