# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback plugin for Ansible that writes how long each task took, as a line of JSON, into the file that DISKWISE_CLOCK names."""

from __future__ import annotations

import json
import os
import time

from ansible.executor.task_result import TaskResult
from ansible.playbook.task import Task
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: clock
type: aggregate
short_description: Write how long each task took
description:
  - Writes the name of each task, and the seconds from its start to its result, into a file.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "clock"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        self._started = time.perf_counter()

    def v2_runner_on_ok(self, result: TaskResult) -> None:
        took = time.perf_counter() - self._started
        with open(os.environ["DISKWISE_CLOCK"], "a", encoding="utf-8") as file:
            file.write(json.dumps([result._task.get_name(), took]) + "\n")
