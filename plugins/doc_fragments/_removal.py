# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group REMOVAL of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  allow_disk_removal:
    description:
      - Allows a commit that takes excluded disks off the VM.
      - On libvirt the files of such a disk are kept in any case, and RV(ignore:left_behind) lists them.
      - On an oVirt engine the disk is unplugged and stays with the VM. Only with the configuration of a snapshot is it deleted, with all that
        snapshots hold of it. Opening such a preview needs this permission as well.
    type: bool
    default: false
"""
