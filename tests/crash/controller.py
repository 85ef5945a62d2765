# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module in a process of its own, as Ansible does, and lets something happen to it at one of its effects.

An effect is a call of any method of libvirt that is not known to only read, so that an effect which the collection learns
tomorrow is met by these tests, too. The processes are forked from a server that has imported everything: a run costs its libvirt calls.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable

import libvirt
import libvirt_qemu
from ansible.module_utils import basic

MODULES = "ansible_collections.diskwise.vm.plugins.modules."
VERBS = ("create", "info", "preview", "commit", "undo", "restore", "remove")
SECONDS = 120

CLASSES = (libvirt.virConnect, libvirt.virDomain, libvirt.virDomainSnapshot, libvirt.virStoragePool, libvirt.virStorageVol, libvirt.virSecret)
READING = frozenset(
    [
        "blockInfo",
        "blockJobInfo",
        "close",
        "connect",
        "c_pointer",
        "domain",
        "getCapabilities",
        "getConnect",
        "getDomain",
        "getHostname",
        "getLibVersion",
        "getName",
        "getParent",
        "getURI",
        "getVersion",
        "getXMLDesc",
        "hasCurrentSnapshot",
        "hasManagedSaveImage",
        "hasMetadata",
        "info",
        "infoFlags",
        "isActive",
        "isAlive",
        "isCurrent",
        "isPersistent",
        "key",
        "listAllCheckpoints",
        "listAllDomains",
        "listAllSecrets",
        "listAllSnapshots",
        "listAllStoragePools",
        "listAllVolumes",
        "lookupByName",
        "lookupByUUIDString",
        "metadata",
        "name",
        "path",
        "saveImageGetXMLDesc",
        "secretLookupByUsage",
        "snapshotCurrent",
        "snapshotLookupByName",
        "state",
        "storagePoolLookupByTargetPath",
        "storagePoolLookupByVolume",
        "storageVolLookupByPath",
        "usageID",
        "UUIDString",
        "XMLDesc",
        "refresh",
    ]  # only lets libvirtd look at a folder
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.crash.warm"])


def start_server() -> None:
    """Start the server of processes. It looks for what it imports where this process does, which it must be told."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


@dataclass(frozen=True)
class Trouble:
    """What happens at the effect of this number, counted from 1: ``act`` is called before it, after it, or while it is under way."""

    number: int
    when: str  # before, after, during
    act: Callable[[], None]
    delay: float = 0.0  # seconds into the call, for during

    def __str__(self) -> str:
        return f"{self.when} effect {self.number}" + (f" by {self.delay * 1000:.0f} ms" if self.delay else "")


@dataclass
class Run:
    """What became of a controller. ``result`` is what Ansible would have got; None when it was killed."""

    result: dict[str, Any] | None = None
    effects: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def killed(self) -> bool:
        return self.result is None and not self.error

    @property
    def failed(self) -> bool:
        return self.result is None or bool(self.result.get("failed"))

    @property
    def changed(self) -> bool:
        return bool(self.result and self.result["changed"])

    def ended_before(self, number: int) -> bool:
        """It was done with fewer effects: a block job that is ready at once needs a call less than one that has to be asked twice."""
        return self.outcome == "done" and len(self.effects) < number

    @property
    def outcome(self) -> str:
        """done, killed, or the reason of the failure."""
        if self.result is None:
            return self.error or "killed"
        return str(self.result.get("reason")) if self.failed else "done"

    def __str__(self) -> str:
        return self.outcome if self.result is None or not self.failed else f"{self.outcome}: {self.result['msg']}\n{self.result.get('exception', '')}"


class Controller:
    """A process that runs a module. It waits for ``go``, so that several can begin at once."""

    def __init__(self, uri: str, verb: str, options: Mapping[str, Any], trouble: Trouble | None = None) -> None:
        start_server()
        self._pipe, theirs = _context.Pipe()
        arguments = {"vm": "vm", "uri": uri, "timeout": 60, "poll_interval": 1, "_ansible_remote_tmp": "/tmp", "_ansible_selinux_special_fs": [], **options}
        self._process = _context.Process(target=_serve, args=(theirs, verb, arguments, trouble), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def wait_until_ready(self) -> None:
        self._pipe.recv()

    def go(self) -> Controller:
        self._pipe.send("go")
        return self

    def wait_until_stopped(self) -> None:
        end = time.monotonic() + SECONDS
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            if time.monotonic() > end:
                raise TimeoutError(f"process {self.pid} does not stand still")
            time.sleep(0.01)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> Run:
        """Wait for the end of the process."""
        run = Run()
        end = time.monotonic() + SECONDS
        with contextlib.suppress(EOFError):
            while True:
                if not self._pipe.poll(max(0.0, end - time.monotonic())):
                    self._process.kill()
                    run.error = f"hangs after {run.effects[-1:]}"
                    break
                kind, value = self._pipe.recv()
                if kind == "effect":
                    run.effects.append(value)
                elif kind == "result":
                    run.result = value
                elif kind == "error":
                    run.error = value
        self._process.join()
        if run.result is None and not run.error and self._process.exitcode != -signal.SIGKILL:
            run.error = f"ended with {self._process.exitcode}"
        self._process.close()
        return run


def play(uri: str, verb: str, options: Mapping[str, Any], trouble: Trouble | None = None) -> Run:
    """Run a module to its end, or to the end that the trouble makes of it."""
    controller = Controller(uri, verb, options, trouble)
    controller.wait_until_ready()
    return controller.go().end()


# What can happen, in the process of the controller -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kill:
    """SIGKILL: of the controller itself, or of another process."""

    pid: int | None = None

    def __call__(self) -> None:
        os.kill(self.pid or os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Stop:
    """The controller stands still until somebody resumes it."""

    def __call__(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


@dataclass(frozen=True)
class Foreign:
    """Somebody else does something, over a connection of their own."""

    uri: str
    does: Callable[[libvirt.virConnect], None]

    def __call__(self) -> None:
        conn = libvirt.open(self.uri)
        with contextlib.suppress(libvirt.libvirtError):  # what is refused to them does no harm
            self.does(conn)
        conn.close()


# The controller's side ---------------------------------------------------------------------------------------------------------------


def attempt(verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run a module in this process."""
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()  # where Ansible's own wrapper puts them
    basic._ANSIBLE_PROFILE = "legacy"
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            importlib.import_module(f"{MODULES}snapshot_{verb}").main()
    except SystemExit:
        return dict(json.loads(output.getvalue()))
    raise AssertionError(f"the module {verb} came back: {output.getvalue()}")


def _serve(pipe: Connection, verb: str, arguments: dict[str, Any], trouble: Trouble | None) -> None:
    _intercept(pipe, trouble)
    pipe.send("ready")
    pipe.recv()
    try:
        pipe.send(("result", attempt(verb, arguments)))
    except BaseException as error:
        pipe.send(("error", repr(error)))


_foreign = threading.local()


@contextlib.contextmanager
def foreign() -> Iterator[None]:
    """What is called within is done by somebody else: no effect of the controller."""
    _foreign.on = True
    try:
        yield
    finally:
        _foreign.on = False


def _intercept(pipe: Connection, trouble: Trouble | None) -> None:
    count = 0

    def wrap(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def effect(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            if getattr(_foreign, "on", False):
                return real(*arguments, **options)
            count += 1
            pipe.send(("effect", f"{getattr(owner, '__name__', owner)}.{name}"))
            if trouble is None or trouble.number != count:
                return real(*arguments, **options)
            if trouble.when == "before":
                _act(trouble)
            if trouble.when == "during":
                threading.Thread(target=_act_later, args=(trouble,), daemon=True).start()
            try:
                return real(*arguments, **options)
            finally:
                if trouble.when == "after":
                    _act(trouble)
                if trouble.when == "during":
                    time.sleep(trouble.delay)  # so that it happens, even if the call was faster

        setattr(owner, name, effect)

    for owner in CLASSES:
        for name in vars(owner):
            if not name.startswith("_") and name not in READING and callable(getattr(owner, name)):
                wrap(owner, name)
    wrap(libvirt_qemu, "qemuMonitorCommand")


def _act(trouble: Trouble) -> None:
    with foreign():
        trouble.act()


def _act_later(trouble: Trouble) -> None:
    time.sleep(trouble.delay)
    _act(trouble)
