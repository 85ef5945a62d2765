# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An oVirt engine that can be started in a second: the answers, states and failures of the real one without a data centre.

The numbers after § in comments are the sections of the description of the engine that this package follows, see README.md.
"""
