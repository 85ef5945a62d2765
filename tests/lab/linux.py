# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Linux guest: Debian's cloud kernel, busybox and the QEMU guest agent in an initramfs, with three ext4 disks.

For what the tape guest cannot do: agent, freezing of file systems, journals. Built from packages which are downloaded with apt-get but
not installed, without root; the same packages give the same bytes. It boots in 3 to 6 seconds under TCG, so tests take `Saved.restore`: a
guest that was booted once, saved, and is restored in about half a second for each test.
"""

from __future__ import annotations

import base64
import fcntl
import gzip
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import libvirt
import libvirt_qemu

from tests.lab import content, guest
from tests.lab import vm as vms

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".build" / "guest"
DISKS = ("os", "data", "logs")
COMMAND_LINE = "console=ttyS0 quiet panic=-1 cryptomgr.notests nokaslr"
MEMORY = 96  # MiB; 88 boots as well, 72 does not
CONTROL = "diskwise.lab"
READY = r"linux ready boot=(\w+)((?: \w+=\d+)*)\n"
OFF = r"linux off .*\n"

KERNEL = "linux-image-cloud-amd64"
PACKAGES = ("busybox-static", "qemu-guest-agent")  # and the libraries which the agent needs
MODULES = "virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console button evdev"
APPLETS = (
    "sh mount umount cat cut dd echo grep insmod mkdir printf sed sleep usleep sync touch poweroff reboot ls ps dmesg kill head tail od stat df free "
    "rm mv cp ln seq test [ true false date uname md5sum sha256sum hexdump find wc tr sort cmp blockdev env id"
)
LIBRARY_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64")

MKE2FS = "mke2fs -q -F -t ext4 -b 4096 -N 256 -m 0 -J size=4 -O ^resize_inode,^huge_file"
SECTOR = 512
TAPE_SECTORS = 128
TAPE_OFFSET = 4296704  # where mke2fs puts /tape with these options; disk() checks it


class GuestError(Exception):
    """The guest or its agent did not do what was asked."""


# Building ---------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Build:
    """The files of a built guest. The disk images are templates: copy them."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.img"

    def disk(self, name: str) -> Path:
        return self.folder / f"{name}.qcow2"


def build(folder: str | os.PathLike = CACHE) -> Build:
    """The guest, from the cache in `folder` or built there. Needs apt-get and its package lists for the first time only."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    result = Build(folder)
    key = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in ("linux.py", "linux_init.sh", "linux_shutdown.sh"))).hexdigest()
    mark = folder / "built"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != key:
            mark.unlink(missing_ok=True)
            debs = _download(folder / "debs")
            with tempfile.TemporaryDirectory(dir=folder) as tree:
                _unpack(debs, Path(tree))
                shutil.copyfile(_only(Path(tree).glob("boot/vmlinuz-*"), "kernel"), result.kernel)
                result.initrd.write_bytes(gzip.compress(_initramfs(Path(tree)), 9, mtime=0))
            for name in DISKS:
                disk(result.disk(name), name)
            mark.write_text(key)
    return result


def disk(path: str | os.PathLike, name: str, size: str = "64M", files: Mapping[str, bytes] | None = None) -> Path:
    """A qcow2 image with an ext4 file system that holds /tape, at its fixed place, and these files."""
    path = Path(path)
    with tempfile.TemporaryDirectory() as work:
        root, raw = Path(work, "root"), Path(work, "raw")
        root.mkdir()
        record = f"TAPE {name} {0:012d} boot=none"
        # all of its blocks are there from the start, so that writing in place never moves them
        (root / "tape").write_bytes(f"{record:511}\n".encode() + f"{'free':511}\n".encode() * (TAPE_SECTORS - 1))
        for entry in (root / "tape", root):
            os.utime(entry, (0, 0))
        identity = f"{int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], 'big'):08x}-0000-4000-8000-000000000000"
        _run(
            *MKE2FS.split(),
            *("-E", f"lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,hash_seed={identity}", "-U", identity, "-L", name, "-d", root, raw, size),
            E2FSPROGS_FAKE_TIME="1",
        )
        found = raw.read_bytes().find(record.encode())
        if found != TAPE_OFFSET:
            raise GuestError(f"this mke2fs puts /tape at {found}, not at {TAPE_OFFSET}")
        edits = ["set_inode_field /tape ctime @1"]  # mke2fs takes that one from the file, where nobody can choose it
        for number, (file, data) in enumerate((files or {}).items()):  # added now, so that /tape has its place
            source = Path(work, str(number))
            source.write_bytes(data)
            edits += [f"mkdir /{folder}" for folder in reversed(Path(file).parents[:-1])]
            edits += [f"write {source} /{file}", *(f"set_inode_field /{file} {field} @1" for field in ("atime", "ctime", "mtime"))]
        Path(work, "edits").write_text("\n".join(edits))
        _run("debugfs", "-w", "-f", Path(work, "edits"), raw, E2FSPROGS_FAKE_TIME="1")
        _run("qemu-img", "convert", "-O", "qcow2", raw, path)
    return path


def _download(debs: Path) -> list[Path]:
    """The packages; those that are in the folder already are not asked for again."""
    debs.mkdir(exist_ok=True)
    listing = debs / "list"
    if not listing.exists():
        names = [_only((d for d in _depends(KERNEL) if d.startswith("linux-image-")), f"dependency of {KERNEL}")]
        names += PACKAGES
        for name in names:  # grows meanwhile
            if name not in (names[0], "busybox-static"):
                names += [d for d in _depends(name) if d.startswith(("lib", "zlib1g")) and not d.endswith("-perl") and d not in names]
        missing = [name for name in names if not list(debs.glob(f"{name}_*.deb"))]
        if missing:
            _run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *missing, cwd=debs)
        listing.write_text("\n".join(names))
    return [_only(debs.glob(f"{name}_*.deb"), name) for name in listing.read_text().split()]


def _depends(package: str) -> list[str]:
    found = re.findall(r"^ *\|?(?:Pre)?Depends: ([a-z0-9.+-]+)", _run("apt-cache", "depends", package), re.MULTILINE)
    if not found:
        raise GuestError(f"apt knows no dependencies of {package}: this needs Debian, and apt-get update")
    return found


def _unpack(debs: list[Path], tree: Path) -> None:
    """Only what is needed leaves the packages: the kernel's one is 100 MB unpacked."""
    for deb in debs:
        wanted = []
        if deb.name.startswith("linux-image"):
            wanted = ["--wildcards", "./boot/vmlinuz-*", *(f"*/{module}.ko*".replace("_", "[_-]") for module in MODULES.split())]
        archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
        taken = subprocess.run(["tar", "-x", "-C", str(tree), *wanted], stdin=archive.stdout, stderr=subprocess.PIPE, text=True, check=False)
        archive.stdout.close()
        archive.wait()
        # a module may be built into the kernel, and then no file matches; tar calls this an error
        if taken.returncode and "Not found" not in taken.stderr:
            raise GuestError(f"{deb}: {taken.stderr}")


def _initramfs(tree: Path) -> bytes:
    archive = Archive()
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    for name in ("proc", "sys", "run", "tmp", "etc"):
        archive.folder(name)
    archive.file("init", (HERE / "linux_init.sh").read_bytes())
    archive.file("sbin/shutdown", (HERE / "linux_shutdown.sh").read_bytes())
    archive.file("bin/busybox", _only([*tree.glob("bin/busybox"), *tree.glob("usr/bin/busybox")][:1], "busybox").read_bytes())
    for applet in APPLETS.split():
        archive.link(f"bin/{applet}", "busybox")
    archive.file("etc/passwd", b"root::0:0::/:/bin/sh\n", 0o644)
    archive.file("etc/group", b"root:x:0:\n", 0o644)
    agent = tree / "usr/sbin/qemu-ga"
    archive.file("bin/qemu-ga", agent.read_bytes())
    for name, path in sorted(_libraries(tree, agent, {}).items()):
        archive.file(f"lib64/{name}" if name.startswith("ld-linux") else f"lib/{name}", path.read_bytes())
    modules = {}
    for path in sorted(tree.rglob("*.ko*")):
        data = path.read_bytes()
        modules[path.name.split(".")[0].replace("-", "_")] = lzma.decompress(data) if path.suffix == ".xz" else data
    order: list[str] = []

    def add(module: str) -> None:
        if module in modules and module not in order:
            depends = re.search(rb"\0depends=([^\0]*)\0", modules[module]).group(1).decode()
            for other in filter(None, depends.split(",")):
                add(other.replace("-", "_"))
            order.append(module)
            archive.file(f"modules/{module}.ko", modules[module], 0o644)

    for module in MODULES.split():
        add(module)
    archive.file("modules/order", "\n".join(order).encode() + b"\n", 0o644)
    return archive.close()


def _libraries(tree: Path, binary: Path, found: dict[str, Path]) -> dict[str, Path]:
    """The shared libraries of a program, and theirs. Their names are plain strings in it; no binutils needed."""
    for name in re.findall(rb"\0((?:lib|ld-linux)[\w+.-]+\.so\.\d+)(?=\0)", binary.read_bytes()):
        name = name.decode()
        if name not in found:
            path = next((tree / place / name for place in LIBRARY_FOLDERS if (tree / place / name).exists()), None)
            if path:  # other strings look like names of libraries, too; what is really missing shows at boot
                found[name] = path
                _libraries(tree, path, found)
    return found


class Archive:
    """A cpio archive of the kind the kernel takes ("newc"). No dates, owners or inode numbers from outside: the same input, the same bytes."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._inode = 0
        self._folders: set[str] = set()

    def folder(self, name: str) -> None:
        parts = name.split("/")
        for end in range(1, len(parts) + 1):
            path = "/".join(parts[:end])
            if path and path not in self._folders:
                self._folders.add(path)
                self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int = 0o755) -> None:
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name: str, to: str) -> None:
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFLNK | 0o777, to.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def close(self) -> bytes:
        self._entry("TRAILER!!!", 0)
        return self._out.getvalue()

    def _entry(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        text = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device of the file system (2), device of the node (2), length of the name, checksum
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(text), 0)
        for part in (b"070701" + b"".join(b"%08X" % field for field in fields) + text, data):
            self._out.write(part + bytes(-len(part) % 4))


# Running ----------------------------------------------------------------------------------------------------------------------------


class LinuxVm(vms.Vm):
    """A VM that runs the Linux guest."""

    def start(self, paused: bool = False, timeout: float = 120) -> None:
        """Boot, and wait until its disks are mounted and the agent answers."""
        start = guest.size(self.serial)
        self.dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)
        if not paused:
            guest.wait_for(self.serial, READY, timeout, start)
            wait_agent(self.dom, timeout)

    def counters(self) -> list[int]:
        images = self.images()
        return [counter(images[d.target]) for d in self.disks if d.target in images]

    def run(self, script: str, timeout: float = 30) -> str:
        return run(self.dom, script, timeout)


def make(
    conn: libvirt.virConnect, folder: str | os.PathLike, name: str, built: Build, disks: Mapping[str, str | os.PathLike] | None = None, **options
) -> LinuxVm:
    """Define a VM with the Linux guest. disks: image to copy by name; default the built ones. options: as of vm.make."""
    images = disks or {disk: built.disk(disk) for disk in DISKS}
    channel = ET.Element("channel", type="unix")
    ET.SubElement(channel, "target", type="virtio", name=CONTROL)
    extra = options.pop("extra_devices", ())
    return vms.make(
        conn,
        folder,
        name,
        [vms.Disk(disk, template=image, bootable=False) for disk, image in images.items()],
        kind=LinuxVm,
        boot=None,
        agent=options.pop("agent", True),
        memory=options.pop("memory", MEMORY),
        kernel=(built.kernel, built.initrd, COMMAND_LINE),
        extra_devices=[channel, *([extra] if isinstance(extra, str) and extra else extra)],
        **options,
    )


def boot(conn: libvirt.virConnect, folder: str | os.PathLike, name: str, built: Build, **options) -> LinuxVm:
    """make() and start()."""
    vm = make(conn, folder, name, built, **options)
    vm.start()
    return vm


@dataclass(frozen=True)
class Saved:
    """A guest that was booted and then saved, disks and memory."""

    vm: LinuxVm
    memory: Path
    running: str
    defined: str

    def restore(self, conn: libvirt.virConnect, folder: str | os.PathLike) -> LinuxVm:
        """The guest goes on, with copies of its disks in `folder`. Its name and UUID are always the same: one at a time per daemon."""
        folder = Path(folder)
        vm = LinuxVm(conn, folder, self.vm.name)
        for disk in self.vm.disks:
            path = folder / Path(disk.path).name
            subprocess.run(["cp", "--reflink=auto", "--sparse=always", str(disk.path), str(path)], check=True)
            vm.disks.append(replace(disk, path=path))
        vm.xml = self._moved(self.defined, vm)
        conn.defineXML(vm.xml)
        conn.restoreFlags(str(self.memory), self._moved(self.running, vm), libvirt.VIR_DOMAIN_SAVE_RUNNING)
        wait_agent(vm.dom)
        return vm

    def _moved(self, xml: str, vm: LinuxVm) -> str:
        root = ET.fromstring(xml)
        vms.repoint(root, {disk.target: disk.path for disk in vm.disks})
        for port in [*root.iterfind("devices/serial/source"), *root.iterfind("devices/console/source")]:
            port.set("path", str(vm.serial))
        return ET.tostring(root, encoding="unicode")


def save(conn: libvirt.virConnect, folder: str | os.PathLike, built: Build, name: str = "linux") -> Saved:
    """Boot once and save: the start of any number of restores."""
    vm = boot(conn, folder, name, built)
    memory = Path(folder) / f"{name}.mem"
    defined = vm.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    vm.dom.save(str(memory))
    running = conn.saveImageGetXMLDesc(str(memory), 0)
    vm.undefine()
    return Saved(vm, memory, running, defined)


def agent(dom: libvirt.virDomain, command: str, timeout: int = 10, **arguments):
    """One command of the guest agent."""
    request = {"execute": command, **({"arguments": arguments} if arguments else {})}
    return json.loads(libvirt_qemu.qemuAgentCommand(dom, json.dumps(request), timeout, 0))["return"]


def wait_agent(dom: libvirt.virDomain, timeout: float = 60) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            agent(dom, "guest-ping", 2)
            return
        except libvirt.libvirtError as error:
            if time.monotonic() > end:
                raise TimeoutError(f"the agent of {dom.name()} does not answer: {error}") from error
            time.sleep(0.02)


def run(dom: libvirt.virDomain, script: str, timeout: float = 30) -> str:
    """Run a shell script in the guest; returns what it prints. The agent refuses it while file systems are frozen."""
    pid = agent(dom, "guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})["pid"]
    end = time.monotonic() + timeout
    while not (status := agent(dom, "guest-exec-status", pid=pid))["exited"]:
        if time.monotonic() > end:
            raise TimeoutError(f"{script!r} still runs after {timeout} s")
        time.sleep(0.01)
    output = base64.b64decode(status.get("out-data", "")).decode()
    if status.get("exitcode") != 0:
        errors = base64.b64decode(status.get("err-data", "")).decode()
        raise GuestError(f"{script!r}: exit code {status.get('exitcode')}, signal {status.get('signal')}: {output}{errors}")
    return output


def frozen(dom: libvirt.virDomain) -> bool:
    return agent(dom, "guest-fsfreeze-status") == "frozen"


def hang_agent(dom: libvirt.virDomain) -> None:
    """Stop the agent's process: it takes commands, and answers none before wake_agent()."""
    _control(dom, "hang")


def wake_agent(dom: libvirt.virDomain) -> None:
    """Let the agent go on; it works off what has piled up."""
    _control(dom, "wake")


def end_agent(dom: libvirt.virDomain) -> None:
    """Kill the agent: from now on it is not connected."""
    _control(dom, "end")


def _control(dom: libvirt.virDomain, word: str) -> None:
    stream = dom.connect().newStream()
    dom.openChannel(CONTROL, stream)
    stream.send(f"{word}\n".encode())
    answer = b""
    while not answer.endswith(b"\n"):
        part = stream.recv(64)
        if not part:
            raise GuestError(f"the guest closed the channel at {word!r}")
        answer += part
    stream.finish()
    if answer.split() != [b"done", word.encode()]:
        raise GuestError(f"{word!r}: the guest answers {answer!r}")


# Looking at disks from outside ------------------------------------------------------------------------------------------------------


def counter(image: str | os.PathLike) -> int:
    """The last round on this disk."""
    record = content.peek(image, TAPE_OFFSET, SECTOR).decode("ascii", "replace")
    match = re.match(r"TAPE \w+ (\d{12}) ", record)
    if not match:
        raise GuestError(f"{image} has no record: {record[:40]!r}")
    return int(match.group(1))


def recovering(image: str | os.PathLike) -> bool:
    """Must ext4 replay its journal? Only a frozen or a cleanly unmounted file system needs no recovery."""
    superblock = content.peek(image, 1024, 1024)
    if superblock[0x38:0x3A] != b"\x53\xef":
        raise GuestError(f"{image} has no ext4 file system at its start")
    return bool(superblock[0x60] & 0x4)


def defects(image: str | os.PathLike) -> str:
    """What e2fsck has to say against the file system; empty when it is sound. It must not need recovery."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        raw.write_bytes(content.read(image))
        done = subprocess.run(["e2fsck", "-fn", str(raw)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout


def _only(paths, what: str):
    found = sorted(paths)
    if len(found) != 1:
        raise GuestError(f"{what}: one wanted, found {[str(path) for path in found]}")
    return found[0]


def _run(*arguments: str | os.PathLike, cwd: Path | None = None, **environment: str) -> str:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    done = subprocess.run(
        [str(a) for a in arguments], cwd=cwd, env={**os.environ, "PATH": path, "LC_ALL": "C", **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GuestError(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout
