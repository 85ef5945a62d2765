# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where playbooks are tested: VMs whose disks hold a word each, and the playbooks of this checkout."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.diskwise.vm.plugins.module_utils._backends.registry import connect
from ansible_collections.diskwise.vm.plugins.module_utils._engine import render
from ansible_collections.diskwise.vm.plugins.module_utils._engine.converge import converge
from ansible_collections.diskwise.vm.plugins.module_utils._engine.errors import VmError
from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Vm
from tests.docs.playing import BIN, COLLECTION, environment
from tests.roles.ground import Ground
from tests.tools.stage import CHECKOUT

GRACE_SECONDS = 60


@dataclass(frozen=True)
class Played:
    """A playbook's run. ``results`` holds (module, result) of each task, in order."""

    status: int
    said: str
    results: tuple[tuple[str, Mapping[str, Any]], ...]

    @property
    def changed(self) -> bool:
        return any(int(count) for count in re.findall(r"changed=(\d+)", self.said))

    def of(self, module: str) -> list[Mapping[str, Any]]:
        return [result for name, result in self.results if name == module]


@dataclass
class Stand:
    """A hypervisor with VMs, and a folder for files of tasks."""

    ground: Ground
    folder: Path

    @property
    def connection(self) -> dict[str, Any]:
        """The connection as the playbooks take it."""
        return {f"diskwise_{name}": value for name, value in self.ground.access.items()}

    # VMs -----------------------------------------------------------------------------------------------------------------------------

    def make(self, name: str, **words: str) -> None:
        self.ground.make(name, **words)

    def write(self, name: str, **words: str) -> None:
        for disk, word in words.items():
            self.ground.write(name, disk, word)

    def words(self, name: str) -> dict[str, str]:
        return self.ground.words(name)

    def start(self, name: str) -> None:
        self.ground.start(name)

    def stop(self, name: str) -> None:
        self.ground.stop(name)

    def runs(self, name: str) -> bool:
        return self.ground.runs(name)

    def memory(self, name: str, mebibytes: int | None = None) -> int:
        return self.ground.memory(name, mebibytes)

    def snapshots(self, name: str) -> list[str]:
        return sorted(snapshot["name"] for snapshot in self.view(name)["snapshots"])

    def shows(self, name: str) -> dict[str, str] | None:
        """Which disk the open preview takes from which snapshot."""
        preview = self.view(name)["preview"]
        return preview and dict(preview["disks"])

    def view(self, name: str) -> dict[str, Any]:
        """The VM as the engine reads it, in names."""
        hypervisor = connect({"timeout": 60, "poll_interval": 1, **self.ground.access}, users=False)
        try:
            (backend,) = hypervisor.find([name])
            assert not isinstance(backend, VmError), backend
            return render.view(backend.read())
        finally:
            hypervisor.close()

    def take(self, name: str, snapshot: str, disks: Sequence[str] | None = None) -> None:
        """A snapshot by this collection, outside of the playbooks."""
        self.module("snapshot_create", vm=name, snapshot=snapshot, **({} if disks is None else {"disks": list(disks)}))

    # Playing -------------------------------------------------------------------------------------------------------------------------

    def tasks(self, name: str, *tasks: Mapping[str, Any]) -> str:
        """A file of tasks."""
        path = self.folder / f"{name}.yml"
        path.write_text(json.dumps(tasks))
        return str(path)

    def change(self, vm: str, **words: str) -> dict[str, Any]:
        """A task that writes to disks of a VM which is down, and changes nothing when they hold these words."""
        wanted = [f"{disk}={word}" for disk, word in words.items()]
        return {
            "name": "Change the disks",
            "ansible.builtin.command": {"argv": [*self.meanwhile, "write", vm, *wanted], "chdir": str(CHECKOUT)},
            "register": "written",
            "changed_when": "'changed' in written.stdout",
        }

    def stopping(self, vm: str) -> dict[str, Any]:
        """A task that pulls the plug of a VM."""
        return {"name": "Pull the plug", "ansible.builtin.command": {"argv": [*self.meanwhile, "stop", vm], "chdir": str(CHECKOUT)}, "changed_when": True}

    @property
    def meanwhile(self) -> list[str]:
        """The program that stands for what happens to a VM meanwhile."""
        return [sys.executable, "-m", "tests.roles.ground", json.dumps(self.ground.access)]

    def play(self, playbook: str, *arguments: str, whole: bool = False, **variables: Any) -> Played:
        """Play it; ``whole`` with the summary at its end, which takes time."""
        process = self.begin(playbook, *(() if whole else ("--skip-tags", "summary")), *arguments, **variables)
        said = process.communicate(timeout=300)[0]
        return self._played(process.returncode, said)

    def begin(self, playbook: str, *arguments: str, **variables: Any) -> subprocess.Popen[str]:
        """Start to play, in a process group of its own."""
        given, record = self.folder / "variables.json", self.folder / "results.jsonl"
        given.write_text(json.dumps({**self.connection, **variables}))
        record.write_text("")
        file = playbook if playbook.startswith("/") else str(CHECKOUT / "playbooks" / f"{playbook}.yml")
        return subprocess.Popen(
            [str(BIN / "ansible-playbook"), "--extra-vars", f"@{given}", *arguments, file],
            cwd=self.folder,
            env=environment(
                ANSIBLE_CALLBACK_PLUGINS=str(CHECKOUT / "tests" / "docs" / "callback"),
                ANSIBLE_CALLBACKS_ENABLED="record",
                DISKWISE_RECORD=str(record),
                PYTHONPATH=f"{CHECKOUT}:{CHECKOUT}/.build/link",
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def kill_when(self, reached: Path, playbook: str, **variables: Any) -> None:
        """Play until a file appears, and then pull the plug of the control node: SIGKILL to all its processes."""
        process = self.begin(playbook, **variables)
        end = time.monotonic() + GRACE_SECONDS
        while not reached.exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end, f"{reached} does not appear"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        reached.unlink()

    def hanging(self, reached: Path) -> str:
        """A file of tasks that get as far as making a file, and then take very long."""
        return self.tasks(
            "hanging",
            {"name": "Say that it came so far", "ansible.builtin.copy": {"content": "x", "dest": str(reached), "mode": "0600"}},
            {"name": "Take very long", "ansible.builtin.command": {"argv": ["sleep", "600"]}, "changed_when": True},
        )

    def module(self, name: str, **options: Any) -> Vm:
        """What one task would do, without a play around it; the VM afterwards."""
        found = import_module(f"ansible_collections.diskwise.vm.plugins.modules.{name}")
        with mock.patch.object(found, "run") as run:
            found.main()
        declared, request = run.call_args.args
        checked = ArgumentSpecValidator(declared.spec).validate({**self.ground.access, **options})
        assert not checked.error_messages, checked.error_messages
        params = checked.validated_parameters
        hypervisor = connect(params, users=True)
        try:
            (backend,) = hypervisor.find(params["vm"])
            assert not isinstance(backend, VmError), backend
            return converge(backend, request(params), False).after
        finally:
            hypervisor.close()

    def _played(self, status: int, said: str) -> Played:
        results = [json.loads(line) for line in (self.folder / "results.jsonl").read_text().splitlines()]
        return Played(status, said, tuple((result["action"].removeprefix(f"{COLLECTION}."), result["result"]) for result in results))
