# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.diskwise.vm.plugins.module_utils._engine import findings

DOCUMENTATION = r"""
name: snapshot_findings
short_description: Say what is wrong with a VM, and what was left open
version_added: 0.1.0
author:
  - diskwise.vm contributors (@diskwise)
description:
  - Puts together what M(diskwise.vm.snapshot_info) knows of a VM that somebody should look at, which is its health, snapshots that cannot be used or have
    no configuration, and an open preview.
  - Of a preview that is a drill of the role C(restore_drill) it says for how long.
positional: mark
options:
  _input:
    description: The VM, as M(diskwise.vm.snapshot_info) returns it in RV(diskwise.vm.snapshot_info#module:vm).
    type: dict
    required: true
  mark:
    description: The name of the snapshot that marks a drill.
    type: str
    default: restore-drill
  now:
    description: The time, in seconds since 1970. By default, the time at which the filter is asked.
    type: float
"""

EXAMPLES = r"""
- name: Look at a VM
  diskwise.vm.snapshot_info:
    vm: app01
  register: found

- name: Say what somebody should look at
  ansible.builtin.debug:
    msg: "{{ found.vm | diskwise.vm.snapshot_findings | map(attribute='says') }}"
"""

RETURN = r"""
_value:
  description:
    - One dictionary for each finding, with C(vm) (its name), C(code) (a stable code, explained in C(docs/reasons.md)), C(subject), C(says), C(hint), and
      C(blocks) (whether no change can be made to the VM until it is cured).
  type: list
  elements: dict
"""


def snapshot_findings(vm: Mapping[str, Any], mark: str = "restore-drill", now: float | None = None) -> list[dict[str, Any]]:
    if not isinstance(vm, Mapping) or "health" not in vm:
        raise AnsibleFilterError("snapshot_findings wants a VM as snapshot_info returns it in vm")
    found = findings.findings(vm, mark, time.time() if now is None else float(now))
    return [
        {"vm": vm["name"], "code": problem.code, "subject": problem.subject, "says": problem.says, "hint": problem.hint, "blocks": problem.blocks}
        for problem in found
    ]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"snapshot_findings": snapshot_findings}
