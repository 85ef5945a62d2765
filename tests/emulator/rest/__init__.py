# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's REST interface over the model: login, routes, XML and JSON, searches, faults, and the control interface for tests."""
