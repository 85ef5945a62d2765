# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group PROFILE of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  profiles:
    description:
      - Your own profiles, besides V(config), V(config_os), V(data), V(full) and V(full_memory). One of the same name takes the place of one of these.
      - Each has a name and a dictionary of C(disks), C(exclude), C(memory) and C(quiesce), which mean what they mean in M(diskwise.vm.snapshot_create),
        and C(retain). All of these may be left out.
      - C(retain) is a dictionary of C(last) (how many of the newest stay), C(days) (for how long one stays) and C(match) (the names it speaks of, by default
        those that begin with the name of the profile and a dash). The role C(snapshot_janitor) goes by it.
      - A good place for them is a variable in C(group_vars).
    type: dict
    default: {}
"""
