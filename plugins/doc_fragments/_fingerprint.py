# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group FINGERPRINT of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  expect_fingerprint:
    description:
      - The C(fingerprint) that M(diskwise.vm.snapshot_info) gave when this was decided.
      - If disks, snapshots or the preview of the VM are others by now, nothing is done, with the reason V(fingerprint_differs).
      - A task that finds everything as wanted already stays unchanged whatever the fingerprint is, so running it again goes on working.
    type: str
"""
