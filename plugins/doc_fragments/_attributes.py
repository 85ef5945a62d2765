# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module of this collection can be relied on for."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Only reads reach the hypervisor, and the plan, the diff and the losses that a real run would have are returned.
    support: full
  diff_mode:
    description: Shows the VM before and after, in names. In check mode the VM that would result is shown.
    support: full
  idempotent:
    description: A second run with the same options changes nothing, also from another control node.
    support: full
  platform:
    description: Where the module itself runs. The hypervisor may be another host.
    platforms: posix
    support: full
  action_group:
    description: With C(module_defaults) for this group the connection is written once for all modules.
    support: full
    membership:
      - diskwise.vm.snapshot
"""
