# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine without HTTP: rows, images with contents, commands, and a clock that tests can stop."""
