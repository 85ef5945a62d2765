# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback plugin for Ansible that writes each task's result as a line of JSON into the file that DISKWISE_RECORD names."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: aggregate
short_description: Write results to a file
description:
  - Writes each task's result as a line of JSON into a file.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def _record(self, result, failed=False) -> None:
        # Whether it failed is no longer in the result by the time that a newer ansible-core hands it on.
        entry = {"action": result._task.resolved_action or result._task.action, "result": {**result._result, "failed": failed}}
        with open(os.environ["DISKWISE_RECORD"], "a", encoding="utf-8") as file:
            file.write(json.dumps(entry, default=str) + "\n")

    def v2_runner_on_ok(self, result) -> None:
        self._record(result)

    def v2_runner_on_failed(self, result, ignore_errors=False) -> None:
        self._record(result, failed=True)
