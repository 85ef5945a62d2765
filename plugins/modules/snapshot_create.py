#!/usr/bin/python
# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: snapshot_create
short_description: Take a snapshot of a VM and of some of its disks
version_added: 0.1.0
description:
  - Keeps a way back for the disks that are named, while the others go on as they are and take up no further space.
  - The snapshot holds the configuration of the VM, these disks, and the memory if that is wanted. The VM may run.
  - Nothing is done when there is a snapshot of that name with the same disks, with or without memory as asked. The description is not compared.
  - Disks that cannot take part, such as CD drives and read-only or shareable disks, are skipped and listed in RV(skipped_disks).
author:
  - diskwise.vm contributors (@diskwise)
extends_documentation_fragment:
  - diskwise.vm._attributes
  - diskwise.vm._vm
  - diskwise.vm._backend
  - diskwise.vm._wait
  - diskwise.vm._fingerprint
  - diskwise.vm._profile
options:
  snapshot:
    description:
      - The name of the snapshot.
      - It takes at most 240 bytes in UTF-8 and has no slash, no dot at its beginning, no space at either end, and no control characters.
      - The names V(current) and V(excluded) are taken. They have a meaning in a composition.
    type: str
    required: true
  description:
    description: A description of the snapshot, in one line. Control characters are refused.
    type: str
    default: ""
  profile:
    description:
      - A name for what the snapshot takes, one of O(profiles) or of those that are always there.
      - V(config) takes the configuration alone, V(config_os) the disk that the VM boots from, V(data) all other disks, V(full) every disk, and
        V(full_memory) every disk and the memory.
      - O(disks), O(memory) and O(quiesce) replace what the profile says. O(exclude) leaves out still more.
      - M(diskwise.vm.snapshot_info) shows what each profile takes of a VM.
    type: str
  disks:
    description:
      - The disks that take part. Without it these are all that can, or those of O(profile), and an empty list takes the configuration alone.
      - A string is the id, the name or the target (V(vda)) of a disk.
      - A dictionary of C(id), C(name), C(target), C(serial), C(storage), C(bootable) or C(all) selects every disk that matches all of its keys.
        C(name) and C(storage) may hold wildcards.
      - A selector that matches no disk is an error.
    type: list
    elements: raw
  exclude:
    description:
      - The disks that do not take part, selected as in O(disks), besides those that O(profile) excludes. What is excluded may be in any state.
    type: list
    elements: raw
    default: []
  memory:
    description:
      - Whether to save the memory too. The VM must run, and goes on running.
      - Without it, O(profile) decides, and without that the memory is not saved.
    type: bool
  quiesce:
    description:
      - Whether the guest writes out and freezes its file systems for a moment, so that what is on the disks is complete. This needs the QEMU guest agent.
      - V(preferred) does so when the agent answers, and says in RV(warnings) when the guest was not frozen.
      - V(required) fails when the guest cannot be frozen. It cannot be combined with O(memory).
      - Nothing needs to be frozen while the VM is down, or when its memory is saved.
      - Without it, O(profile) decides, and without that it is V(preferred).
    type: str
    choices: [required, preferred, never]
  on_conflict:
    description:
      - What to do when there is a snapshot of that name with other disks, or that differs in memory.
      - V(fail) refuses, V(keep) leaves it as it is and warns, and V(replace) removes it and takes a new one.
    type: str
    choices: [fail, keep, replace]
    default: fail
  on_disk_error:
    description:
      - What to do about a disk that was named and cannot take part, or one whose image is not there.
      - V(fail) refuses, and V(exclude) leaves it out and lists it in RV(skipped_disks).
    type: str
    choices: [fail, exclude]
    default: fail
  allow_partial_memory:
    description:
      - Allows O(memory) although some disk does not take part.
      - When such memory is resumed, the guest goes on with caches that do not belong to that disk, which can corrupt what is on it.
    type: bool
    default: false
  together:
    description:
      - Takes the snapshots of all VMs of O(vm) at one moment, as near as the hypervisor can, and none of them when one cannot be prepared.
      - Everything that takes time is done before. Then each VM waits for the others. RV(skew) tells within how many seconds all were taken.
      - Where some of the VMs have the snapshot already and others do not, the task fails, since these would be of another moment.
      - A VM that fails when it is taken is reported, and the snapshots of the others stay. The role P(diskwise.vm.snapshot_group#role) takes them back.
      - It cannot be combined with V(replace) in O(on_conflict). O(on_vm_error) means nothing here.
    type: bool
    default: false
seealso:
  - module: diskwise.vm.snapshot_preview
  - module: diskwise.vm.snapshot_restore
  - module: diskwise.vm.snapshot_remove
"""

EXAMPLES = r"""
- name: Keep the state of the OS disk before an upgrade
  diskwise.vm.snapshot_create:
    vm: app01
    snapshot: before-upgrade
    disks:
      - bootable: true

- name: Keep the configuration and the OS disk, by the name that stands for them
  diskwise.vm.snapshot_create:
    vm: app01
    snapshot: single-click
    profile: config_os

- name: Take what your own profile says, and leave out the logs as well
  diskwise.vm.snapshot_create:
    vm: app02
    snapshot: before-import
    profile: database
    profiles:
      database:
        disks:
          - name: data*
          - logs
        quiesce: preferred
    exclude:
      - logs

- name: Take all disks but the logs of two VMs
  diskwise.vm.snapshot_create:
    vm:
      - app01
      - app02
    snapshot: nightly-07
    description: Taken by the nightly play
    exclude:
      - logs

- name: Take all disks together with the memory
  diskwise.vm.snapshot_create:
    vm: db01
    snapshot: running
    memory: true

- name: Take the VMs of an application at one moment
  diskwise.vm.snapshot_create:
    vm:
      - app01
      - app02
    snapshot: release-8
    together: true

- name: Keep the configuration alone
  diskwise.vm.snapshot_create:
    vm: db01
    snapshot: before-resize
    disks: []

- name: Move a snapshot on that should always hold the data disk, whatever it holds now
  diskwise.vm.snapshot_create:
    vm: app01
    snapshot: before-upgrade
    disks:
      - bootable: true
      - data
    on_conflict: replace
"""

RETURN = r"""
vm:
  description: The VM as it is after the task, in names. In check mode, as it would be.
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
      description: Names of its disks, as they are outside any preview.
      returned: always
      type: list
      elements: str
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
    preview:
      description: What the open preview shows, in the form of RV(ignore:composition). It is null when none is open.
      returned: always
      type: dict
    unfinished:
      description: What an interrupted run left to do. It is empty when there is nothing.
      returned: always
      type: str
    requests:
      description: The values of C(request_id) that were carried out, see M(diskwise.vm.snapshot_restore).
      returned: always
      type: list
      elements: str
snapshot:
  description: The snapshot. In check mode, as it would be.
  returned: success, for one VM
  type: dict
  contains:
    name:
      description: Name of the snapshot.
      returned: always
      type: str
    description:
      description: Its description.
      returned: when the snapshot exists
      type: str
    memory:
      description: Whether it holds the memory.
      returned: when the snapshot exists
      type: bool
    disks:
      description: Names of the disks that it holds.
      returned: when the snapshot exists
      type: list
      elements: str
    id:
      description: Its id.
      returned: when the snapshot exists
      type: str
    created:
      description: When it was taken, in seconds since 1970. It is null when that is unknown.
      returned: when the snapshot exists
      type: int
    quiesced:
      description: Whether the guest was frozen meanwhile. It is null when that is unknown.
      returned: when the snapshot exists
      type: bool
    config:
      description: Whether its configuration can be used.
      returned: when the snapshot exists
      type: bool
    hardware:
      description:
        - What its configuration gives the VM besides disks, with the keys C(vcpus), C(memory) in bytes, and C(nics), the MAC addresses.
        - It is null where it is not known.
      returned: when the snapshot exists
      type: dict
    memory_size:
      description: How many bytes its memory takes up. It is null where that is not known.
      returned: when the snapshot exists
      type: int
    status:
      description: V(ok), or why it cannot be used in a preview.
      returned: when the snapshot exists
      type: str
    own:
      description: Whether this collection took it.
      returned: when the snapshot exists
      type: bool
    parent:
      description: Name of the snapshot that it was taken after, or null.
      returned: when the snapshot exists
      type: str
    images:
      description:
        - The image of each disk that it holds, by the name of the disk, with the keys C(id), C(snapshot), C(size) in bytes, C(missing), and C(used_by).
      returned: when the snapshot exists
      type: dict
plan:
  description: The steps that were taken, in order. In check mode, those that would be.
  returned: success, for one VM
  type: list
  elements: dict
  contains:
    verb:
      description: What the step does, one word.
      returned: always
      type: str
    subject:
      description: What it is done to.
      returned: always
      type: str
    says:
      description: The step in a sentence.
      returned: always
      type: str
    args:
      description: All that is needed to carry it out.
      returned: always
      type: dict
diff:
  description: The VM before and after, in the form of RV(vm). With several VMs, a list of those.
  returned: success
  type: dict
  contains:
    before_header:
      description: Name of the VM.
      returned: always
      type: str
    after_header:
      description: Name of the VM.
      returned: always
      type: str
    before:
      description: The VM as it was found.
      returned: always
      type: dict
    after:
      description: The VM afterwards.
      returned: always
      type: dict
loss:
  description: What goes because a snapshot of that name is replaced.
  returned: success, for one VM
  type: dict
  contains:
    images:
      description: How many images go.
      returned: always
      type: int
    bytes:
      description: The space they take. It is null when a part of it is unknown.
      returned: always
      type: int
    disks:
      description: Names of the disks that the VM loses.
      returned: always
      type: list
      elements: str
    left_behind:
      description: Images that stay as files and no longer belong to the VM.
      returned: always
      type: list
      elements: str
    snapshots_removed:
      description: Names of the snapshots of which nothing is left.
      returned: always
      type: list
      elements: str
    snapshots_reduced:
      description: Snapshots that lose disks, by name, each with the names of these disks.
      returned: always
      type: dict
    without_config:
      description: Names of the snapshots that lose their configuration.
      returned: always
      type: list
      elements: str
    backup_impact:
      description: Whether the next backup must be a full one.
      returned: always
      type: bool
    says:
      description: The losses in sentences.
      returned: always
      type: list
      elements: str
warnings:
  description: What is worth knowing and was not a reason to fail.
  returned: success
  type: list
  elements: str
skipped_disks:
  description: Disks that take no part, each with the reason.
  returned: success, for one VM
  type: list
  elements: dict
  contains:
    disk:
      description: Name of the disk.
      returned: always
      type: str
    why:
      description: Why it takes no part.
      returned: always
      type: str
left_behind:
  description: The same as RV(loss.left_behind).
  returned: success, for one VM
  type: list
  elements: str
skew:
  description:
    - With O(together), how many seconds lie between the beginning of the first and the end of the last snapshot. All of them were taken in this time.
    - On an oVirt engine it holds the time in which the engine is asked whether it is done. It is null when nothing was taken.
  returned: with O(together)
  type: float
results:
  description:
    - One result for each VM, in the order of O(vm), with the keys described here and C(name), the VM as it was asked for.
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
  description: The steps that were taken before the failure, in the form of RV(plan).
  returned: failure, for one VM
  type: list
  elements: dict
left:
  description: The steps of the plan that were not taken, in the form of RV(plan).
  returned: failure, for one VM
  type: list
  elements: dict
state_after:
  description: The VM as it was found after the failure, in the form of RV(vm). It is null when nothing was done, or when the VM could not be read.
  returned: failure, for one VM
  type: dict
"""

from ansible_collections.diskwise.vm.plugins.module_utils._engine import create, profiles
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import Refused
from ansible_collections.diskwise.vm.plugins.module_utils._module import Params, run
from ansible_collections.diskwise.vm.plugins.module_utils._options import BACKEND, FINGERPRINT, PROFILE, VM, WAIT, Options

OPTIONS = Options(
    {
        "snapshot": {"type": "str", "required": True},
        "description": {"type": "str", "default": ""},
        "disks": {"type": "list", "elements": "raw"},
        "exclude": {"type": "list", "elements": "raw", "default": []},
        "profile": {"type": "str"},
        "memory": {"type": "bool"},
        "quiesce": {"type": "str", "choices": ["required", "preferred", "never"]},
        "on_conflict": {"type": "str", "choices": ["fail", "keep", "replace"], "default": "fail"},
        "on_disk_error": {"type": "str", "choices": ["fail", "exclude"], "default": "fail"},
        "allow_partial_memory": {"type": "bool", "default": False},
        "together": {"type": "bool", "default": False},
    }
)
FIELDS = ("description", "on_conflict", "on_disk_error", "allow_partial_memory")


def request(params: Params) -> Decide:
    if params["together"] and params["on_conflict"] == "replace":
        raise Refused("together does not go with on_conflict: replace", "bad_option", "remove the old snapshots first, in a task of its own")
    given = {field: params[field] for field in FIELDS}
    return lambda vm: create.decide(vm, create.Request(params["snapshot"], **given, **profiles.chosen(params)))


def main() -> None:
    run(BACKEND + VM + WAIT + FINGERPRINT + PROFILE + OPTIONS, request)


if __name__ == "__main__":
    main()
