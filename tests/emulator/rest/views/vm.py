# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM, as it is and as a stored configuration shows it, with its NICs, CD-ROM and applications."""

from __future__ import annotations

from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import BLANK, Configuration, Nic, Settings, Snapshot, Vm, VmStatus
from tests.emulator.rest.formats import Date, Tree
from tests.emulator.rest.views.links import API, CPU_PROFILE, HOST, LARGE_ICON, QUOTA, SMALL_ICON, actions, links, reference

ACTIONS = (
    *("ticket", "autopincpuandnumanodes", "reordermacaddresses", "thawfilesystems", "undosnapshot", "screenshot", "cancelmigration", "commitsnapshot"),
    *("clone", "freezefilesystems", "logon", "maintenance", "previewsnapshot", "migrate", "reboot", "shutdown", "start", "stop", "suspend", "reset"),
    *("export", "detach"),
)
LINKS = (
    *("diskattachments", "cdroms", "mediateddevices", "nics", "numanodes", "katelloerrata", "permissions", "tags", "affinitylabels", "snapshots"),
    *("applications", "hostdevices", "reporteddevices", "sessions", "checkpoints", "watchdogs", "graphicsconsoles", "backups", "statistics"),
)
GUEST_SHOWN = (VmStatus.UP, VmStatus.PAUSED)
RUNNING = (*GUEST_SHOWN, VmStatus.POWERING_UP, VmStatus.POWERING_DOWN, VmStatus.REBOOT_IN_PROGRESS, VmStatus.SAVING_STATE)


def address(vm_id: str) -> str:
    return f"{API}/vms/{vm_id}"


def agent_answers(vm: Vm) -> bool:
    return vm.agent and vm.status in GUEST_SHOWN


def vm_tree(parts: Parts, vm: Vm) -> Tree:
    base = address(vm.id)
    running = vm.status in RUNNING
    tree: Tree = {"href": base, "id": vm.id, "actions": actions(base, *ACTIONS), **_named(vm.settings), "link": links(base, *LINKS)}
    tree.update(_settings(vm.settings, Date(vm.created)))
    if running:
        tree["display"] = {"address": "127.0.0.1", **tree["display"], "port": 5900, "type": "vnc"}
    else:
        tree["display"] = {**tree["display"], "type": "vnc"}
    if agent_answers(vm):
        tree.update(_guest(vm))
    tree["large_icon"], tree["small_icon"] = reference("icons", LARGE_ICON), reference("icons", SMALL_ICON)
    tree["cluster"] = reference("clusters", parts.cluster_id)
    tree["cpu_profile"] = reference("cpuprofiles", CPU_PROFILE)
    tree["quota"] = {"id": QUOTA}
    tree["next_run_configuration_exists"] = False
    if running:
        tree["run_once"] = False
        tree["start_time"] = Date(vm.started) if vm.started else None
        tree["host"] = reference("hosts", HOST)
    tree["status"] = vm.status.value
    tree["stop_time"] = Date(vm.stopped) if vm.stopped else None
    tree["original_template"] = tree["template"] = reference("templates", BLANK)
    return tree


def bare_vm_tree(vm: Vm) -> Tree:
    """With its links only, as in the answer of a start."""
    base = address(vm.id)
    return {"href": base, "id": vm.id, "actions": actions(base, *ACTIONS), "link": links(base, *LINKS)}


def stored_vm_tree(parts: Parts, snapshot: Snapshot, stored: Configuration) -> Tree:
    """Read from OVF: no links, and times in whole seconds."""
    vm = parts.tables.vms.get(snapshot.vm_id)
    created = (vm.created if vm else snapshot.date) // 1000 * 1000
    tree: Tree = {"id": snapshot.vm_id, **_named(stored.settings), **_settings(stored.settings, Date(created))}
    tree["large_icon"], tree["small_icon"] = {"id": LARGE_ICON}, {"id": SMALL_ICON}
    tree["cluster"], tree["cpu_profile"], tree["quota"] = {"id": parts.cluster_id}, {"id": CPU_PROFILE}, {"id": QUOTA}
    tree["next_run_configuration_exists"] = False
    tree["status"] = "down"
    tree["stop_time"] = Date((vm.stopped or vm.created) // 1000 * 1000) if vm else None
    tree["original_template"] = tree["template"] = {"id": BLANK}
    return tree


def _named(settings: Settings) -> Tree:
    return {"name": settings.name, "description": settings.description, "comment": settings.comment}


def _settings(settings: Settings, created: Date) -> Tree:
    lease = {"storage_domain": reference("storagedomains", settings.lease_domain)} if settings.lease_domain else None
    return {
        "auto_pinning_policy": "disabled",
        "bios": {"boot_menu": {"enabled": False}, "type": "q35_ovmf"},
        "cpu": {"architecture": "x86_64", "topology": {"cores": settings.cores, "sockets": settings.sockets, "threads": settings.threads}},
        "cpu_pinning_policy": "none",
        "cpu_shares": 0,
        "creation_time": created,
        "delete_protected": settings.delete_protected,
        "display": {
            "allow_override": False,
            "copy_paste_enabled": True,
            "disconnect_action": "LOCK_SCREEN",
            "disconnect_action_delay": 0,
            "file_transfer_enabled": True,
            "monitors": 1,
            "smartcard_enabled": False,
            "video_type": "vga",
        },
        "high_availability": {"enabled": settings.high_availability, "priority": 0},
        "initialization": {"host_name": settings.initialization} if settings.initialization else None,
        "io": {"threads": 1},
        "large_icon": None,
        "lease": lease,
        "memory": settings.memory,
        "memory_policy": {"ballooning": True, "guaranteed": settings.memory_guaranteed, "max": settings.memory_max},
        "migration": {"auto_converge": "inherit", "compressed": "inherit", "encrypted": "inherit", "parallel_migrations_policy": "inherit"},
        "migration_downtime": -1,
        "multi_queues_enabled": True,
        "origin": "ovirt",
        "os": {"boot": {"devices": {"device": list(settings.boot_devices)}}, "type": settings.os_type},
        "placement_policy": {"affinity": "migratable"},
        "small_icon": None,
        "sso": {"methods": {"method": [{"id": "guest_agent"}]}},
        "start_paused": False,
        "stateless": settings.stateless,
        "storage_error_resume_behaviour": "auto_resume",
        "time_zone": {"name": "Etc/GMT"},
        "type": "server",
        "usb": {"enabled": False},
        "virtio_scsi_multi_queues_enabled": False,
    }


def _guest(vm: Vm) -> Tree:
    """Only an agent in the guest knows these (§11)."""
    return {
        "fqdn": f"{vm.name}.example.com",
        "guest_operating_system": {
            "architecture": "x86_64",
            "codename": "",
            "distribution": "Enterprise Linux",
            "family": "Linux",
            "kernel": {"version": {"build": 0, "full_version": "5.14.0-503.el9.x86_64", "major": 5, "minor": 14, "revision": 0}},
            "version": {"full_version": "9", "major": 9},
        },
        "guest_time_zone": {"name": "UTC", "utc_offset": "+00:00"},
    }


def nic_tree(vm_id: str, nic: Nic, *, stored: bool = False) -> Tree:
    base = f"{address(vm_id)}/nics/{nic.id}"
    tree: Tree = {"id": nic.id} if stored else {"href": base, "id": nic.id, "actions": actions(base, "activate", "deactivate")}
    tree["name"] = nic.name
    if not stored:
        tree["link"] = links(base, "reporteddevices", "networkfilterparameters", "statistics")
    tree["vm"] = {"id": vm_id} if stored else reference("vms", vm_id)
    tree.update(interface=nic.interface, linked=nic.linked, mac={"address": nic.mac}, plugged=nic.plugged, synced=True)
    return tree


def nics_tree(vm: Vm) -> Tree:
    return collection("nic", [nic_tree(vm.id, nic) for nic in vm.nics])


def cdroms_tree(vm_id: str) -> Tree:
    """Every VM has one drive, here always an empty one. Its id is the same everywhere."""
    return {"cdrom": [{"href": f"{address(vm_id)}/cdroms/{BLANK}", "id": BLANK, "vm": reference("vms", vm_id)}]}


def applications_tree(vm: Vm) -> Tree:
    if not agent_answers(vm):
        return {}
    base = f"{address(vm.id)}/applications"
    names = {"71756d75-2d67-7565-7374-2d6167656e74": "qemu-guest-agent-9.0.0", "6b65726e-656c-2d35-2e31-342e302d3530": "kernel-5.14.0-503.el9"}
    return {"application": [{"href": f"{base}/{key}", "id": key, "name": name, "vm": reference("vms", vm.id)} for key, name in names.items()]}


def collection(name: str, trees: list[Tree]) -> Tree:
    return {name: trees} if trees else {}
