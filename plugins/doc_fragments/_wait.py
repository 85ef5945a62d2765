# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group WAIT of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until the work is done. It is there for playbooks that were written for other modules, and has no effect.
      - A task always waits, since only then it is known that the VM is what was asked for.
    type: bool
    default: true
  timeout:
    description:
      - How long, in seconds, something may take that the hypervisor or the guest does on its own, such as a shutdown or the merge of two images.
      - When the time is over, the work may still go on, so the outcome is reported as open. Running the task again resumes it.
    type: int
    default: 1800
  poll_interval:
    description: The longest pause, in seconds, between two looks at something that is waited for. The first pauses are shorter.
    type: int
    default: 3
"""
