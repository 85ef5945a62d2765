# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group RUNNING of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  if_running:
    description:
      - What to do when the VM must be down for this and is not.
      - V(fail) refuses.
      - V(shutdown) asks the guest to shut down and waits up to O(timeout) for it.
      - V(poweroff) pulls the plug.
    type: str
    choices: [fail, shutdown, poweroff]
    default: fail
"""
