# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group PREVIEWING of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  if_previewing:
    description:
      - What to do when a preview of another composition is open.
      - V(fail) refuses, and says what is shown and what was asked for.
      - V(undo) undoes the open preview first. What was written in it is gone.
    type: str
    choices: [fail, undo]
    default: fail
"""
