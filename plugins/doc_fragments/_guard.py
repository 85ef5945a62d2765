# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group GUARD of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  snapshot:
    description:
      - Go on only if the open preview shows this snapshot, by name or id, as its short form does. Whether it shows the memory too does not matter.
      - It is mutually exclusive with O(composition).
    type: str
  composition:
    description:
      - Go on only if the open preview shows exactly this composition, written with the options of M(diskwise.vm.snapshot_preview).
      - It is mutually exclusive with O(snapshot).
    type: dict
    suboptions:
      snapshot:
        description: The short form, a snapshot whose configuration and disks are shown.
        type: str
      config:
        description: The snapshot whose configuration is shown.
        type: str
      memory:
        description: Whether the memory is shown.
        type: bool
        default: false
      disks:
        description: Where each disk comes from.
        type: list
        elements: dict
        suboptions:
          disk:
            description: The disk, as a string or a dictionary.
            type: raw
            required: true
          snapshot:
            description: The snapshot that the disk comes from.
            type: str
          exclude:
            description: Whether the disk is left out.
            type: bool
            default: false
  expect_preview:
    description:
      - Whether it is an error that no preview is open. Without it the task is then unchanged.
    type: bool
    default: false
"""
