# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures ratios: python -m tests.bench [NAME ...]. No test: a goal that is missed is shown, and nothing fails."""
