#!/usr/bin/python
# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: snapshot_restore
short_description: Bring disks of a VM back to snapshots
version_added: 0.1.0
description:
  - Rolls back the disks that are named, in one task, and leaves all others as they are, for example the OS without the data or the data without the OS.
  - It is a preview and its commit in one, with the options of M(diskwise.vm.snapshot_preview) and the losses of M(diskwise.vm.snapshot_commit).
  - When it dies in the middle, running it again finishes the work.
  - Nothing is done when the last commit made exactly this and nothing was written since. As soon as the VM ran, a further run restores it again.
    O(request_id) prevents this.
  - The VM must be down, see O(if_running), and is not started.
author:
  - diskwise.vm contributors (@diskwise)
extends_documentation_fragment:
  - diskwise.vm._attributes
  - diskwise.vm._vm
  - diskwise.vm._backend
  - diskwise.vm._wait
  - diskwise.vm._fingerprint
  - diskwise.vm._composition
  - diskwise.vm._running
  - diskwise.vm._previewing
  - diskwise.vm._removal
options:
  request_id:
    description:
      - An id of this restore, of your choice. A restore that was done on this VM under the same id is not done again, whatever happened since.
      - On libvirt, the last 50 ids of a VM are remembered.
    type: str
    default: ""
attributes:
  idempotent:
    support: partial
    details:
      - It is, as long as nothing is written to the restored disks. With O(request_id) it always is.
seealso:
  - module: diskwise.vm.snapshot_preview
  - module: diskwise.vm.snapshot_commit
  - module: diskwise.vm.snapshot_create
"""

EXAMPLES = r"""
- name: Roll back the OS disk and its configuration, and keep the data
  diskwise.vm.snapshot_restore:
    vm: app01
    config: before-upgrade
    disks:
      - disk:
          bootable: true
        snapshot: before-upgrade
    if_running: shutdown

- name: Bring back all that a snapshot holds, once for each ticket
  diskwise.vm.snapshot_restore:
    vm:
      - app01
      - app02
    snapshot: nightly-07
    if_running: poweroff
    request_id: CHG-4711

- name: Roll back the data and keep the OS
  diskwise.vm.snapshot_restore:
    vm: db01
    disks:
      - disk: pg-data
        snapshot: running
    if_running: shutdown
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
composition:
  description: What the preview shows, the configuration and one source for each disk.
  returned: success, for one VM
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
config_changes:
  description:
    - What the configuration of the snapshot changes of the VM besides its disks. It is empty when that is the same, or not known.
  returned: success, for one VM
  type: list
  elements: dict
  contains:
    what:
      description: V(vcpus), V(memory) in bytes, or V(nics), the MAC addresses.
      returned: always
      type: str
    now:
      description: As it is now.
      returned: always
      type: raw
    then:
      description: As it is in the snapshot.
      returned: always
      type: raw
matrix:
  description:
    - The same as a table in plain text, with a line for each snapshot and a column for each disk. It ends with the line of what results.
    - C(x) marks what a snapshot holds, and C([x]) what is taken.
  returned: success, for one VM
  type: str
snapshot:
  description: The snapshot that O(snapshot) names. Only its name is returned when nothing of it is left.
  returned: success, for one VM, when O(snapshot) is given
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
  description: What the restore destroyed.
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

from ansible_collections.diskwise.vm.plugins.module_utils._engine import preview
from ansible_collections.diskwise.vm.plugins.module_utils._engine.compose import wish
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import Decide
from ansible_collections.diskwise.vm.plugins.module_utils._module import Params, run
from ansible_collections.diskwise.vm.plugins.module_utils._options import BACKEND, COMPOSITION, FINGERPRINT, PREVIEWING, REMOVAL, RUNNING, VM, WAIT, Options

OPTIONS = Options({"request_id": {"type": "str", "default": ""}})


def request(params: Params) -> Decide:
    wanted = preview.RestoreRequest(wish(params), params["if_running"], params["if_previewing"], params["allow_disk_removal"], params["request_id"])
    return lambda vm: preview.decide_restore(vm, wanted)


def main() -> None:
    run(BACKEND + VM + WAIT + FINGERPRINT + COMPOSITION + RUNNING + PREVIEWING + REMOVAL + OPTIONS, request)


if __name__ == "__main__":
    main()
