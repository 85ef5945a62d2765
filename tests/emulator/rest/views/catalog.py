# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there besides VMs and disks: root, data center, cluster, storage domains, the blank template."""

from __future__ import annotations

from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import BLANK, Domain, VmStatus
from tests.emulator.rest.formats import Date, Tree
from tests.emulator.rest.views.links import API, HOST, MAC_POOL, actions, links, reference

SEARCHED = (
    *("clusters", "datacenters", "events", "hosts", "networks", "storagedomains", "templates", "instancetypes", "users", "groups"),
    *("vmpools", "vms", "disks"),
)
LISTED = (
    *("roles", "tags", "bookmarks", "icons", "domains", "jobs", "storageconnections", "vnicprofiles", "diskprofiles", "cpuprofiles"),
    *("schedulingpolicyunits", "schedulingpolicies", "permissions", "macpools", "networkfilters", "operatingsystems", "externalhostproviders"),
    *("openstackimageproviders", "openstackvolumeproviders", "openstacknetworkproviders", "katelloerrata", "affinitylabels", "clusterlevels"),
    *("imagetransfers", "externalvmimports", "externaltemplateimports"),
)


def root_tree(parts: Parts, user_id: str) -> Tree:
    link: list[Tree] = []
    for name in SEARCHED:
        searched = f"{name};from={{event_id}}" if name == "events" else name
        link += [{"href": f"{API}/{name}", "rel": name}, {"href": f"{API}/{searched}?search={{query}}", "rel": f"{name}/search"}]
    link += links(API, *LISTED)
    vms = parts.tables.vms.values()
    user = reference("users", user_id)
    return {
        "link": link,
        "engine_backup": {},
        "product_info": {
            "instance_id": "b3c1299c-e70d-11f1-9942-02fc00000001",
            "version": {"build": 8, "full_version": "4.5.8-1.el9", "major": 4, "minor": 5, "revision": 0},
        },
        "special_objects": {"blank_template": reference("templates", BLANK), "root_tag": reference("tags", BLANK)},
        "summary": {
            "hosts": {"active": 1, "total": 1},
            "storage_domains": {"active": len(parts.tables.domains), "total": len(parts.tables.domains)},
            "users": {"active": 1, "total": 1},
            "vms": {"active": sum(vm.status is VmStatus.UP for vm in vms), "total": len(vms)},
        },
        "time": Date(parts.stamp()),
        "authenticated_user": user,
        "effective_user": user,
    }


def data_center_tree(parts: Parts) -> Tree:
    base = f"{API}/datacenters/{parts.data_center_id}"
    version = {"major": 4, "minor": 8}
    return {
        "href": base,
        "id": parts.data_center_id,
        "actions": actions(base, "setmaster", "cleanfinishedtasks"),
        "name": "Default",
        "description": "The default Data Center",
        "link": links(base, "quotas", "qoss", "iscsibonds", "clusters", "networks", "storagedomains", "permissions"),
        "local": False,
        "quota_mode": "disabled",
        "status": "up",
        "storage_format": "v5",
        "supported_versions": {"version": [version]},
        "version": version,
        "mac_pool": reference("macpools", MAC_POOL),
    }


def cluster_tree(parts: Parts) -> Tree:
    base = f"{API}/clusters/{parts.cluster_id}"
    return {
        "href": base,
        "id": parts.cluster_id,
        "actions": actions(base, "upgrade", "resetemulatedmachine", "syncallnetworks", "refreshglusterhealstatus"),
        "name": "Default",
        "description": "The default server cluster",
        "comment": "",
        "link": links(base, "cpuprofiles", "networkfilters", "networks", "permissions", "affinitygroups"),
        "ballooning_enabled": True,
        "bios_type": "q35_ovmf",
        "cpu": {"architecture": "x86_64", "type": "Intel Nehalem Family"},
        "firewall_type": "firewalld",
        "gluster_service": False,
        "ksm": {"enabled": True, "merge_across_nodes": True},
        "memory_policy": {"over_commit": {"percent": 100}, "transparent_hugepages": {"enabled": True}},
        "switch_type": "legacy",
        "threads_as_cores": False,
        "trusted_service": False,
        "version": {"major": 4, "minor": 8},
        "virt_service": True,
        "data_center": reference("datacenters", parts.data_center_id),
        "mac_pool": reference("macpools", MAC_POOL),
    }


def domain_tree(parts: Parts, domain: Domain) -> Tree:
    base = f"{API}/storagedomains/{domain.id}"
    committed = sum(disk.size for disk in parts.tables.disks.values() if disk.domain_id == domain.id)
    return {
        "href": base,
        "id": domain.id,
        "actions": actions(base, "isattached", "updateovfstore", "refreshluns", "reduceluns"),
        "name": domain.name,
        "description": "",
        "comment": "",
        "link": links(base, "diskprofiles", "disks", "storageconnections", "permissions", "templates", "vms", "disksnapshots"),
        "available": 429496729600,
        "backup": False,
        "block_size": 512,
        "committed": committed,
        "critical_space_action_blocker": 5,
        "discard_after_delete": False,
        "external_status": "ok",
        "master": domain.master,
        "storage": {"address": "host1", "path": f"/exports/{domain.name}", "type": "nfs"},
        "storage_format": "v5",
        "supports_discard": False,
        "supports_discard_zeroes_data": False,
        "type": "data",
        "used": 107374182400,
        "warning_low_space_indicator": 10,
        "wipe_after_delete": False,
        "data_centers": {"data_center": [reference("datacenters", parts.data_center_id)]},
    }


def template_tree(parts: Parts) -> Tree:
    base = f"{API}/templates/{BLANK}"
    return {
        "href": base,
        "id": BLANK,
        "name": "Blank",
        "description": "Blank template",
        "comment": "",
        "link": links(base, "diskattachments", "cdroms", "nics", "permissions", "tags"),
        "status": "ok",
        "type": "server",
        "version": {"version_name": "base version", "version_number": 1},
    }


def host_tree(parts: Parts) -> Tree:
    return {
        **reference("hosts", HOST),
        "name": "host1",
        "address": "host1",
        "status": "up",
        "type": "ovirt_node",
        "cluster": reference("clusters", parts.cluster_id),
    }
