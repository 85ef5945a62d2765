# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine says when it refuses (§16)."""

from __future__ import annotations

from dataclasses import dataclass


class Refusal(Exception):
    """A command was not allowed, or failed before its tasks began. REST makes a fault of it."""

    def __init__(self, status: int, *messages: str) -> None:
        super().__init__(f"{status} {', '.join(messages)}")
        self.status = status
        self.messages = messages

    @property
    def detail(self) -> str:
        return f"[{', '.join(self.messages)}]"


class Crashed(Refusal):
    """An exception inside a command: its text is the detail, without brackets (§2.4)."""

    @property
    def detail(self) -> str:
        return self.messages[0]


@dataclass(frozen=True)
class Verb:
    action: str
    type: str

    def cannot(self, text: str, status: int = 409) -> Refusal:
        return Refusal(status, f"Cannot {self.action} {self.type}. {text}")

    def because(self, words: str) -> Refusal:
        return Refusal(409, f"Cannot {self.action} {self.type} because the VM is in {words} status.")

    def disks_locked(self, names: str) -> Refusal:
        return Refusal(409, f"Cannot {self.action} {self.type}: The following disks are locked: {names}. Please try again in a few minutes.")

    def disks_illegal(self, names: str) -> Refusal:
        return self.cannot(f"The following attached disks are in ILLEGAL status: {names} - please remove them and try again.", 500)


CREATE = Verb("create", "Snapshot")
PREVIEW = Verb("preview", "Snapshot")
REVERT = Verb("revert to", "Snapshot")
REMOVE = Verb("remove", "Snapshot")
REMOVE_DISK_SNAPSHOT = Verb("remove", "Disk Snapshot")
RUN = Verb("run", "VM")
STOP = Verb("stop", "VM")
SHUTDOWN = Verb("shutdown", "VM")
RESET = Verb("reset", "VM")
SUSPEND = Verb("hibernate", "VM")
REBOOT = Verb("restart", "VM")
EDIT_VM = Verb("edit", "VM")
REMOVE_VM = Verb("remove", "VM")
ADD_VM = Verb("add", "VM")
ADD_TEMPLATE = Verb("add", "Template")
FREEZE = Verb("freeze", "VM")
THAW = Verb("thaw", "VM")
ADD_DISK = Verb("add", "Virtual Disk")
EDIT_DISK = Verb("edit", "Virtual Disk")
ATTACH_DISK = Verb("attach", "Virtual Disk")
DETACH_DISK = Verb("detach", "Virtual Disk")
REMOVE_DISK = Verb("remove", "Virtual Disk")
MOVE_DISK = Verb("move", "Virtual Disk")
COPY_DISK = Verb("copy", "Virtual Disk")
PLUG_DISK = Verb("hot plug", "Virtual Disk")
UNPLUG_DISK = Verb("hot unplug", "Virtual Disk")
BACK_UP = Verb("backup", "VM")

VM_NOT_FOUND = "VM is not found."
IN_PREVIEW = "VM is previewing a Snapshot."
DURING_SNAPSHOT = "The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again."
BUSY = "Related operation is currently in progress. Please try again later."
ONLY_REGULAR = "The operation is only allowed for regular snapshots."
NOT_DOWN = "At least one of the VMs is not down."
NO_SNAPSHOT = "VM's Snapshot does not exist."
NO_MAC = "Not enough MAC addresses left in MAC Address Pool."
STATELESS = "The VM is running as Stateless. Please try again when VM is not running as Stateless."
DOMAIN_UNKNOWN = "The relevant Storage Domain's status is Unknown."
UNAUTHORIZED = "User is not authorized to perform this action."
ACTIVE_SOURCE = "Cannot preview Active VM snapshot."
VM_LOCKED = "VM is locked. Please try again in a few minutes."
NOT_RUNNING = "VM is not running."
SAVING_OR_RESTORING = "VM is in saving/restoring state.\n-Please try again when the VM is either up or down."
NO_BOOT_DISK = (
    "Cannot run VM without at least one bootable disk.\nAlternatives:\n- Create a disk for this VM, and rerun the VM.\n"
    "- Change the boot sequence using the Edit VM command (Boot Option Sub-Tab).\n"
    "- Use the 'Run Once' command to select a different boot option and rerun the VM."
)


def being_taken(vm_name: str) -> str:
    return f"Snapshot is currently being created for VM {vm_name}."
