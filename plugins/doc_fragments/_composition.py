# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group COMPOSITION of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  snapshot:
    description:
      - The short form, a snapshot by name or id. Its configuration and every disk that it holds are taken.
      - O(config) and O(disks) override it.
    type: str
  config:
    description:
      - The snapshot, by name or id, whose configuration of the VM (CPUs, memory, devices) is taken.
      - V(current), or leaving it out without O(snapshot), keeps the configuration as it is.
    type: str
  memory:
    description:
      - Whether to take the saved memory too, so that the guest goes on where it was when the snapshot was taken.
      - It is always the memory of the snapshot that O(config) or O(snapshot) names.
    type: bool
    default: false
  disks:
    description:
      - Where each disk comes from. B(A disk that is not named stays exactly as it is), unless O(snapshot) holds it.
    type: list
    elements: dict
    suboptions:
      disk:
        description:
          - The disk, as a string that is its id, its name or its target (V(vda)).
          - A dictionary of C(id), C(name), C(target), C(serial), C(storage), C(bootable) or C(all) selects the disk that matches all of its keys.
            C(name) and C(storage) may hold wildcards.
          - It must mean exactly one disk.
        type: raw
        required: true
      snapshot:
        description:
          - The snapshot, by name or id, that holds the wanted state of the disk.
          - V(current) keeps the disk as it is, which is useful to take a disk out of the short form O(snapshot).
        type: str
      exclude:
        description:
          - Leaves the disk out of the VM. It is detached, and its files are kept. A disk that is not attached any more is fine.
          - Exactly one of O(disks[].snapshot) and O(disks[].exclude) is needed.
        type: bool
        default: false
  allow_partial_memory:
    description:
      - Allows memory together with disks that are not of the moment of that memory.
      - The guest then goes on with caches that do not belong to such a disk, which can corrupt what is on it.
    type: bool
    default: false
"""
