#!/usr/bin/python
# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: snapshot_info
short_description: Look at the disks, snapshots and previews of VMs
version_added: 0.1.0
description:
  - Says for each VM which disks and snapshots there are, which snapshot holds which disk, how the images are chained, what an open preview shows, and
    whether anything is wrong.
  - It never changes anything. Also what an interrupted run left behind is only reported.
author:
  - diskwise.vm contributors (@diskwise)
extends_documentation_fragment:
  - diskwise.vm._attributes
  - diskwise.vm._vm
  - diskwise.vm._backend
  - diskwise.vm._wait
  - diskwise.vm._profile
options:
  vm:
    description:
      - Names or UUIDs of the VMs. One string is fine.
      - Exactly one of O(vm) and O(disk) is needed.
    required: false
  disk:
    description:
      - A disk whose VM is not known, by the path of its image or by its serial number. All VMs that have it are reported.
      - The image may also be one that a snapshot holds.
      - Exactly one of O(vm) and O(disk) is needed.
    type: str
attributes:
  diff_mode:
    support: N/A
    details:
      - Nothing is changed.
seealso:
  - module: diskwise.vm.snapshot_create
  - module: diskwise.vm.snapshot_preview
"""

EXAMPLES = r"""
- name: Look at a VM
  diskwise.vm.snapshot_info:
    vm: app01
  register: found

- name: Say which snapshot holds which disk
  ansible.builtin.debug:
    msg: "{{ found.vm.matrix.splitlines() }}"

- name: See that nothing stands in the way of a change
  ansible.builtin.assert:
    that:
      - found.vm.health | selectattr('blocks') | length == 0
      - found.vm.preview is none

- name: See what a profile of your own would take, and what those that are always there
  diskwise.vm.snapshot_info:
    vm: app01
    profiles:
      database:
        disks:
          - data
          - logs
        quiesce: required
  register: known

- name: Say which disks each takes, and which not, and why
  ansible.builtin.debug:
    var: known.vm.profiles

- name: Look at several VMs
  diskwise.vm.snapshot_info:
    vm:
      - app01
      - app02
  register: fleet

- name: Say which of them are in a preview
  ansible.builtin.debug:
    msg: "{{ fleet.results | map(attribute='vm') | selectattr('preview') | map(attribute='name') }}"

- name: Find the VM of a disk
  diskwise.vm.snapshot_info:
    disk: pg-data
"""

RETURN = r"""
vm:
  description: Everything about the VM.
  returned: success, for one VM
  type: dict
  contains:
    name:
      description: Name of the VM.
      returned: always
      type: str
    id:
      description: UUID of the VM.
      returned: always
      type: str
    power:
      description: V(down), V(up), V(paused), or V(suspended) when its memory is saved to disk.
      returned: always
      type: str
    disks:
      description: Its disks, as they are outside any preview.
      returned: always
      type: list
      elements: dict
      contains:
        id:
          description: Id of the disk.
          returned: always
          type: str
        name:
          description: Name of the disk.
          returned: always
          type: str
        target:
          description: Its device name in the configuration, for example V(vda).
          returned: always
          type: str
        serial:
          description: Its serial number, if it has one.
          returned: always
          type: str
        storage:
          description: Where its image is stored.
          returned: always
          type: str
        bootable:
          description: Whether the VM boots from it.
          returned: always
          type: bool
        size:
          description: Its size in bytes as the guest sees it. It is null when that is unknown.
          returned: always
          type: int
        fixed:
          description: Why it cannot take part in snapshots. It is empty for a disk that can.
          returned: always
          type: str
        plugged:
          description: Whether the guest sees it. On an oVirt engine a disk can belong to a VM and be unplugged.
          returned: always
          type: bool
        read_only:
          description: Whether the guest can only read it, as far as the disk takes part in snapshots all the same.
          returned: always
          type: bool
        image:
          description: The image that takes what is written. It is null for a disk that cannot take part.
          returned: always
          type: str
    snapshots:
      description: Its snapshots, the oldest first.
      returned: always
      type: list
      elements: dict
      contains:
        name:
          description: Name of the snapshot.
          returned: always
          type: str
        description:
          description: Its description.
          returned: always
          type: str
        memory:
          description: Whether it holds the memory.
          returned: always
          type: bool
        disks:
          description: Names of the disks that it holds.
          returned: always
          type: list
          elements: str
        id:
          description: Its id.
          returned: always
          type: str
        created:
          description: When it was taken, in seconds since 1970. It is null when that is unknown.
          returned: always
          type: int
        quiesced:
          description: Whether the guest was frozen meanwhile. It is null when that is unknown.
          returned: always
          type: bool
        config:
          description: Whether its configuration can be used.
          returned: always
          type: bool
        hardware:
          description:
            - What its configuration gives the VM besides disks, with the keys C(vcpus), C(memory) in bytes, and C(nics), the MAC addresses.
            - It is null where it is not known.
          returned: always
          type: dict
        memory_size:
          description: How many bytes its memory takes up. It is null where that is not known.
          returned: always
          type: int
        status:
          description: V(ok), or why it cannot be used in a preview.
          returned: always
          type: str
        own:
          description: Whether this collection took it.
          returned: always
          type: bool
        parent:
          description: Name of the snapshot that it was taken after, or null.
          returned: always
          type: str
        images:
          description:
            - The image of each disk that it holds, by the name of the disk, with the keys C(id), C(snapshot), C(size) in bytes, C(missing), and C(used_by).
          returned: always
          type: dict
    chains:
      description:
        - The images of each disk, by the name of the disk, the base first, each with the keys C(id), C(snapshot) (the snapshot that holds it),
          C(size) in bytes, C(missing), and C(used_by) (what else is built on it).
      returned: always
      type: dict
    preview:
      description: What the open preview shows. It is null when none is open.
      returned: always
      type: dict
    composition:
      description: What the VM consists of, also without a preview. Then everything is V(current).
      returned: always
      type: dict
      contains:
        config:
          description: Name of the snapshot whose configuration is shown, or V(current).
          returned: always
          type: str
        memory:
          description: Whether its memory is shown.
          returned: always
          type: bool
        disks:
          description: For each disk the name of a snapshot, V(current) or V(excluded).
          returned: always
          type: dict
    matrix:
      description:
        - A table in plain text, with a line for each snapshot and a column for each disk. It ends with the line of what is shown.
        - C(x) marks what a snapshot holds, and C([x]) what is taken.
      returned: always
      type: str
    tree:
      description: The snapshots in plain text, each below the one that it was taken after.
      returned: always
      type: str
    health:
      description: What is wrong with the VM. The codes are explained in C(docs/reasons.md).
      returned: always
      type: list
      elements: dict
      contains:
        code:
          description: A stable code.
          returned: always
          type: str
        subject:
          description: What it is about.
          returned: always
          type: str
        says:
          description: The finding in a sentence.
          returned: always
          type: str
        hint:
          description: What to do about it.
          returned: always
          type: str
        blocks:
          description: Whether no change can be made to the VM until it is cured.
          returned: always
          type: bool
    agent:
      description: Whether the guest agent answers. It is null when the VM does not run.
      returned: always
      type: bool
    hardware:
      description: What the VM has besides disks, in the form of RV(vm.snapshots[].hardware).
      returned: always
      type: dict
    unfinished:
      description: What an interrupted run left to do. It is empty when there is nothing. The next change of the VM does it first.
      returned: always
      type: str
    requests:
      description: The values of C(request_id) that were carried out, see M(diskwise.vm.snapshot_restore).
      returned: always
      type: list
      elements: str
    profiles:
      description:
        - What each profile would take of the VM, by the name of the profile, with the keys C(takes) and C(leaves) (lists of C(disk), C(id) and
          C(why)), C(memory), C(quiesce), and C(refused).
        - C(refused) is null, or says with C(reason), C(msg) and C(hint) why a snapshot by this profile could not be taken now.
      returned: always
      type: dict
    fingerprint:
      description: A short text that changes when disks, snapshots, chains or the preview change, and not with sizes or power.
      returned: always
      type: str
    report:
      description:
        - All this once more with the ids of everything, in a compact form of its own, for the filters P(diskwise.vm.snapshot_composer#filter)
          and P(diskwise.vm.snapshot_matrix#filter). Its key C(schema) says which form that is. Other uses are at their own risk.
      returned: always
      type: dict
diff:
  description: Always empty, because nothing is ever changed.
  returned: success, for several VMs
  type: list
  elements: dict
results:
  description:
    - One result for each VM, with the keys described here and C(name), the VM as it was asked for.
    - A result with C(failed) is of a VM that failed, and one with C(skipped) of a VM that was not touched, see O(on_vm_error).
  returned: always, unless the hypervisor cannot be reached
  type: list
  elements: dict
msg:
  description: What went wrong.
  returned: failure
  type: str
reason:
  description: A stable code for what went wrong. All of them are explained in C(docs/reasons.md). With several VMs, the code of the first that failed.
  returned: failure
  type: str
hint:
  description: What to do, or what exists. With several VMs, the hint for the first that failed.
  returned: failure
  type: str
done:
  description: Always empty, because nothing is ever changed.
  returned: failure, for one VM
  type: list
  elements: dict
left:
  description: Always empty, because nothing is ever changed.
  returned: failure, for one VM
  type: list
  elements: dict
state_after:
  description: Always null, because nothing is ever changed.
  returned: failure, for one VM
  type: dict
"""

from ansible_collections.diskwise.vm.plugins.module_utils._engine import profiles
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Vm
from ansible_collections.diskwise.vm.plugins.module_utils._module import Params, Result, show
from ansible_collections.diskwise.vm.plugins.module_utils._options import BACKEND, PROFILE, VM, WAIT, Options

OPTIONS = Options(
    {"vm": {"type": "list", "elements": "str"}, "disk": {"type": "str"}},
    {"required_one_of": [("vm", "disk")], "mutually_exclusive": [("vm", "disk")]},
)


def more(vm: Vm, params: Params) -> Result:
    return {"profiles": profiles.overview(vm, params["profiles"])}


def main() -> None:
    show(BACKEND + VM + WAIT + PROFILE + OPTIONS, more)


if __name__ == "__main__":
    main()
