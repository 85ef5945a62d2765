# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation site: it is built without a warning, its links lead somewhere, and what its guides say is played."""
