# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group VM of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  vm:
    description:
      - Names or UUIDs of the VMs. One string is fine.
      - One task can serve many VMs, which is faster than a loop. The results of each are in RV(ignore:results).
    type: list
    elements: str
    required: true
  on_vm_error:
    description:
      - What the failure of one VM means for the VMs after it in O(vm). It never undoes what was done to the VMs before it.
      - V(finish) serves the others too, and the task fails at the end.
      - V(stop) does not touch the others. They are reported with the reason V(not_attempted).
    type: str
    choices: [finish, stop]
    default: finish
"""
