# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirtd of its own, which neither sees nor disturbs the libvirt of the machine.

    python -m tests.lab.daemon FOLDER

prints the URI and stays in the foreground until SIGTERM; SIGUSR1 starts libvirtd again when it has died. Root gets the system driver
inside a private mount namespace (own /run, /etc/libvirt, /var/{lib,log,cache}/libvirt), anyone else the session driver with XDG
folders below FOLDER.

The process in the foreground is the keeper: libvirtd and every guest descend from it, and it is their reaper. libvirt's destroy waits
until the dead QEMU has been reaped, and the first process of a container may do that only once a second. The keeper ends everything
when it is told to end, or when the process that started it is gone. Standard library only: it must run without libvirt-python.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLONE_NEWNS = 0x00020000
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# The kernel takes 107 bytes for a unix socket. The longest one below the folder belongs to a session guest's agent channel:
# /c/libvirt/qemu/channel/target/domain-999-<20 characters>/org.qemu.guest_agent.0
LONGEST_FOLDER = {"system": 80, "session": 22}
PRIVATE = {"run": "/run", "etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt", "cache": "/var/cache/libvirt"}

QEMU_CONF = 'stdio_handler = "file"\n'  # else virtlogd is needed
QEMU_CONF_ROOT = 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nnamespaces = []\ncgroup_controllers = []\n'
LIBVIRTD_CONF = (
    'auth_unix_rw = "none"\nauth_unix_ro = "none"\nunix_sock_group = "root"\nmax_clients = 200\nmax_workers = 50\nprio_workers = 10\n'
    'max_client_requests = 50\nlog_outputs = "3:file:{log}"\n'
)


class DaemonError(Exception):
    """The private libvirtd is not what it should be. The message carries the end of its log."""


def mode() -> str:
    return "system" if os.geteuid() == 0 else "session"


class Daemon:
    """A private libvirtd with its state in `folder`; without a folder it takes one below /tmp, which stop() removes.

    stop() leaves no process, mount or socket behind, whatever state the guests are in. A folder that was given stays, with the logs.
    """

    def __init__(self, folder: str | os.PathLike | None = None) -> None:
        self._own = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="dw", dir="/tmp") if folder is None else folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)  # a QEMU of another user must reach its images
        if len(str(self.folder)) > LONGEST_FOLDER[mode()]:
            raise ValueError(f"{self.folder} is too long for unix sockets below it: at most {LONGEST_FOLDER[mode()]} characters")
        self.log = self.folder / "libvirtd.log"
        self._keeper: subprocess.Popen | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "run/libvirt/libvirt-sock"

    @property
    def uri(self) -> str:
        return f"qemu:///{mode()}?socket={self.socket}"

    @property
    def pid(self) -> int | None:
        """The process id of libvirtd itself; None while it does not run."""
        try:
            return int((self.folder / "libvirtd.pid").read_text())
        except FileNotFoundError:
            return None

    @property
    def keeper(self) -> int | None:
        """The process id of the keeper, the parent of all guests."""
        return self._keeper.pid if self._keeper else None

    def start(self) -> Daemon:
        if self._keeper:
            raise DaemonError("already started")
        with (self.folder / "keeper.log").open("ab") as errors:
            self._keeper = subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), str(self.folder), "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the tests; they stop the daemon in their own order
            )
        self._wait_until_up()
        return self

    def stop(self) -> None:
        """End the guests, libvirtd and the keeper."""
        keeper, self._keeper = self._keeper, None
        if keeper:
            keeper.terminate()
            if keeper.wait(60) != 0:
                raise DaemonError(f"the keeper ended with {keeper.returncode}{self._tail()}")
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL libvirtd. Its guests go on, and open connections break."""
        pid = self.pid
        if pid is None:
            raise DaemonError("libvirtd does not run")
        os.kill(pid, signal.SIGKILL)
        self._wait(lambda: self.pid != pid, "libvirtd does not die")

    def restart(self) -> None:
        """Start libvirtd after kill(), or end it in the orderly way and start it again. Guests go on."""
        if not self._keeper:
            raise DaemonError("not started")
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            self._wait(lambda: self.pid != pid, "libvirtd does not end")
        os.kill(self._keeper.pid, signal.SIGUSR1)
        self._wait_until_up()

    def replace(self) -> None:
        """End libvirtd with its guests, whatever state they are in, and start another one in the same folder. What is defined stays."""
        keeper, self._keeper = self._keeper, None
        if keeper:
            keeper.terminate()
            keeper.wait(60)
        self.start()

    def _wait_until_up(self) -> None:
        self._wait(lambda: self.pid is not None and answers(self.socket), "libvirtd does not start")

    def _wait(self, condition, complaint: str, timeout: float = 30) -> None:
        end = time.monotonic() + timeout
        while not condition():
            if self._keeper.poll() is not None:
                self._keeper = None
                raise DaemonError(f"{complaint}: the keeper has ended{self._tail()}")
            if time.monotonic() > end:
                tail = self._tail()
                self._keeper.terminate()
                self._keeper.wait(60)
                self._keeper = None
                raise DaemonError(f"{complaint} within {timeout} s{tail}")
            time.sleep(0.01)

    def _tail(self) -> str:
        text = ""
        for log in (self.folder / "keeper.log", self.log):
            if log.exists():
                text += f"\n--- {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        return text

    def __enter__(self) -> Daemon:
        return self.start()

    def __exit__(self, *_exception) -> None:
        self.stop()


def answers(path: Path) -> bool:
    """Does somebody accept connections there? A killed daemon leaves its socket file, so its existence proves nothing."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True


# The keeper's side ------------------------------------------------------------------------------------------------------------------


def keep(folder: Path, parent: int | None) -> int:
    """The keeper's life. Returns its exit status."""
    wakeup, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)  # only its byte in the pipe counts
    watched = [wakeup]
    if parent is not None:
        # Not PR_SET_PDEATHSIG: that one fires when the parent's *thread* ends, which in a test process may be any worker thread.
        try:
            watched.append(os.pidfd_open(parent))
        except ProcessLookupError:
            return 1
        if os.getppid() != parent:
            return 1
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    environment = prepare(folder)
    pidfile = folder / "libvirtd.pid"
    libvirtd = spawn(environment, pidfile)
    announced, ending = False, False
    while not ending:
        ready = select.select(watched, [], [], None if announced else 0.01)[0]
        signals = os.read(wakeup, 4096) if wakeup in ready else b""
        ending = (len(watched) > 1 and watched[1] in ready) or signal.SIGTERM in signals or signal.SIGINT in signals
        if reap(libvirtd):
            pidfile.unlink()
            libvirtd = None
            if not announced:
                sys.stderr.write("libvirtd ended before it was up\n")
                break
        if signal.SIGUSR1 in signals and libvirtd is None and not ending:
            libvirtd = spawn(environment, pidfile)
        if not announced and answers(folder / "run/libvirt/libvirt-sock"):
            announced = True
            print(f"qemu:///{mode()}?socket={folder}/run/libvirt/libvirt-sock", flush=True)
    end_all(libvirtd)
    for leftover in (pidfile, folder / "run/libvirt/libvirt-sock"):
        leftover.unlink(missing_ok=True)
    return 0 if announced else 1


def prepare(folder: Path) -> dict[str, str]:
    """The private world: configuration, folders and, for root, mounts. Returns the environment of libvirtd."""
    environment = dict(os.environ, LC_ALL="C")
    environment["PATH"] = environment.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    if not shutil.which("libvirtd", path=environment["PATH"]):
        sys.exit("libvirtd is not installed (Debian: libvirt-daemon-system)")
    root = mode() == "system"
    for name in PRIVATE if root else ("run", "c", "cache", "data"):
        (folder / name).mkdir(mode=0o711 if root else 0o700, exist_ok=True)
    config = folder / ("etc" if root else "c/libvirt")
    config.mkdir(exist_ok=True)
    (config / "qemu.conf").write_text(QEMU_CONF + (QEMU_CONF_ROOT if root else ""))
    libvirtd_conf = LIBVIRTD_CONF.format(log=folder / "libvirtd.log")
    (config / "libvirtd.conf").write_text(libvirtd_conf if root else libvirtd_conf.replace('unix_sock_group = "root"\n', ""))
    if root:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0:
            error = ctypes.get_errno()
            sys.exit(f"no private mount namespace: {os.strerror(error)} (root in a container needs CAP_SYS_ADMIN; another user needs nothing)")
        mount("--make-rprivate", "/")
        for name, place in PRIVATE.items():
            os.makedirs(place, exist_ok=True)  # the packages of the daemon alone do not bring them all
            mount("--bind", str(folder / name), place)
        for place in ("/etc/libvirt/qemu/networks", "/etc/libvirt/storage", "/run/lock"):  # the last for consoles and channels opened by clients
            os.makedirs(place, exist_ok=True)
    else:
        for name, variable in (("run", "RUNTIME_DIR"), ("c", "CONFIG_HOME"), ("cache", "CACHE_HOME"), ("data", "DATA_HOME")):
            environment[f"XDG_{variable}"] = str(folder / name)
    return environment


def spawn(environment: dict[str, str], pidfile: Path) -> int:
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() == keeper:
                os.chdir("/")
                os.execvpe("libvirtd", ["libvirtd"], environment)
        finally:
            os._exit(127)
    new = pidfile.with_suffix(".new")
    new.write_text(str(pid))
    new.rename(pidfile)
    return pid


def reap(libvirtd: int | None) -> bool:
    """Collect all dead descendants. Was libvirtd among them?"""
    found = False
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            found = found or pid == libvirtd
    return found


def end_all(libvirtd: int | None) -> None:
    """libvirtd first, so that it starts nothing new; what it leaves becomes our child, so the loop sees every process."""
    if libvirtd is not None:
        os.kill(libvirtd, signal.SIGTERM)
        end = time.monotonic() + 5
        while not reap(libvirtd):
            if time.monotonic() > end:
                os.kill(libvirtd, signal.SIGKILL)
            time.sleep(0.01)
    while True:
        reap(None)
        left = children(os.getpid())
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def children(parent: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):  # a process may end meanwhile
                # pid (name) state parent ...; the name may hold anything, so count from its end
                if int(Path(f"/proc/{entry}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()[1]) == parent:
                    found.append(int(entry))
    return found


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a private libvirtd in the foreground; prints its URI. SIGTERM ends it and its guests.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parent", type=int, help="end when this process, our parent, ends")
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    if len(str(folder)) > LONGEST_FOLDER[mode()]:
        parser.error(f"{folder} is too long for unix sockets below it: at most {LONGEST_FOLDER[mode()]} characters")
    return keep(folder, options.parent)


if __name__ == "__main__":
    sys.exit(main())
