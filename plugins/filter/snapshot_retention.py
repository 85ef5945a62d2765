# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.diskwise.vm.plugins.module_utils._engine import profiles as known_profiles
from ansible_collections.diskwise.vm.plugins.module_utils._engine import retain
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError

DOCUMENTATION = r"""
name: snapshot_retention
short_description: Say which snapshots of a VM may go, and why
version_added: 0.1.0
author:
  - diskwise.vm contributors (@diskwise)
description:
  - Goes through the snapshots of a VM and says for each whether it stays or may go, with the reason.
  - A snapshot may go only when this collection took it, a rule speaks of it, and it is neither among the newest nor as young as this rule wants them to be.
    Foreign snapshots, those that no rule speaks of, and those of unknown age stay. While a preview is open, all of them stay.
  - Nothing is removed by this filter.
positional: rules
options:
  _input:
    description: The VM, as M(diskwise.vm.snapshot_info) returns it in RV(diskwise.vm.snapshot_info#module:vm).
    type: dict
    required: true
  rules:
    description:
      - The rules, each a dictionary of C(match) (a pattern of names), C(last) (how many of the newest stay) and C(days) (for how long one stays).
        With neither C(last) nor C(days), all that match stay.
      - The first rule that matches decides.
    type: list
    elements: dict
    default: []
  profiles:
    description: Profiles as in M(diskwise.vm.snapshot_create). What they retain makes further rules, which come after O(rules).
    type: dict
    default: {}
  now:
    description: The time from which ages count, in seconds since 1970. By default, the time at which the filter is asked.
    type: float
"""

EXAMPLES = r"""
- name: Look at a VM
  diskwise.vm.snapshot_info:
    vm: app01
  register: found

- name: Say which of its snapshots may go
  ansible.builtin.debug:
    msg: "{{ found.vm | diskwise.vm.snapshot_retention([{'match': 'nightly-*', 'last': 3, 'days': 7}]) | rejectattr('keep') }}"
"""

RETURN = r"""
_value:
  description: One dictionary for each snapshot, the oldest first, with C(vm) and C(vm_id) of the VM, C(id) and C(name) of the
    snapshot, C(keep) (a boolean), and C(why).
  type: list
  elements: dict
"""


def snapshot_retention(
    vm: Mapping[str, Any], rules: Sequence[Mapping[str, Any]] = (), profiles: Mapping[str, Any] | None = None, now: float | None = None
) -> list[dict[str, Any]]:
    if not isinstance(vm, Mapping) or "snapshots" not in vm:
        raise AnsibleFilterError("snapshot_retention wants a VM as snapshot_info returns it in vm")
    try:
        asked = [retain.rule(written) for written in rules]
        asked += [profile.retain for profile in known_profiles.known(profiles).values() if profile.retain]
    except VmError as error:
        raise AnsibleFilterError(f"{error.message} ({error.hint})") from error
    when = time.time() if now is None else float(now)
    verdicts = retain.verdicts(vm["snapshots"], asked, when, vm.get("preview") is not None)
    return [{"vm": vm.get("name"), "vm_id": vm.get("id"), **verdict.as_dict()} for verdict in verdicts]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"snapshot_retention": snapshot_retention}
