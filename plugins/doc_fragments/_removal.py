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
    type: bool
    default: false
"""
