# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the collection, played on real VMs: twice, in check mode, and with something that goes wrong in the middle."""
