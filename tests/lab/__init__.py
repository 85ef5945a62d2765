# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real guests, a real libvirtd of its own, and tools to look into images: what the tests, the demo and the benchmark run on."""
