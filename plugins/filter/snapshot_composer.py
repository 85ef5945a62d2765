# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter snapshot_composer: fills the data of VMs into the page that is built from ui/."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.diskwise.vm.plugins.module_utils._engine.model import Vm
from ansible_collections.diskwise.vm.plugins.module_utils._report import read

PAGE = Path(__file__).parents[2] / "roles" / "snapshot_report" / "files" / "composer.html"
PLACE = "@@REPORT@@"
# What could end the element that holds the data, or what Ansible could take for a template. All three only ever stand in strings.
DANGEROUS = re.compile(r"[<>&]|\{(?=[{%#])")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def snapshot_composer(
    vm: Any,
    uri: str = "",
    auth: str = "",
    hosts: str = "localhost",
    collected: str = "",
) -> str:
    """The page for one VM, or for a list of VMs the page that links to theirs."""
    if auth and not VARIABLE.fullmatch(auth):
        raise AnsibleFilterError(f"snapshot_composer: auth is the name of a variable, and {auth!r} is none")
    if uri and auth:
        raise AnsibleFilterError("snapshot_composer: give either uri or auth")
    settings = {"uri": uri, "auth": auth, "hosts": hosts, "collected": collected}
    given = {name: str(value) for name, value in settings.items() if value}
    if isinstance(vm, Mapping):
        _read(vm)
        data: dict[str, Any] = {"report": vm["report"], "settings": {**given, "profiles": _profiles(vm.get("profiles") or {})}}
    elif isinstance(vm, (list, tuple)):
        data = {"fleet": [_entry(_read(one)) for one in vm], "settings": given}
    else:
        raise AnsibleFilterError("snapshot_composer: it takes the vm value of snapshot_info, or a list of those")
    return PAGE.read_text(encoding="ascii").replace(PLACE, _data(data))


def _read(vm: Any) -> Vm:
    try:
        return read(vm["report"])
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"snapshot_composer: this is not the vm value of diskwise.vm.snapshot_info of this release: {error}") from error


def _profiles(profiles: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The profiles that can be used on the VM now, with the ids of what they take."""
    return {
        name: {"disks": [disk["id"] for disk in profile["takes"]], "memory": bool(profile["memory"]), "quiesce": profile["quiesce"]}
        for name, profile in profiles.items()
        if not profile.get("refused")
    }


def _entry(vm: Vm) -> dict[str, Any]:
    """A VM's line in the page of many."""
    sizes = [image.size for image in vm.images.values()]
    chains = [vm.chain(image) for image in vm.leaf.values()]
    shown = sorted({vm.snapshot_name(source) for source in vm.preview.shows.sources.values()}) if vm.preview else []
    return {
        "name": vm.name,
        "id": vm.id,
        "file": page_name(vm.id),
        "power": vm.power,
        "disks": sum(not disk.removable for disk in vm.disks),
        "snapshots": len(vm.snapshots),
        "deepest": max(map(len, chains), default=0),
        "size": None if None in sizes else sum(size or 0 for size in sizes),
        "preview": ", ".join(shown) or ("open" if vm.preview else ""),
        "problems": len(vm.problems) + bool(vm.unfinished),
    }


def page_name(vm_id: str) -> str:
    """The file name of a VM's page: the role writes it, the page of many links to it."""
    return re.sub(r"[^A-Za-z0-9-]", "_", vm_id) + ".html"


def _data(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return DANGEROUS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"snapshot_composer": snapshot_composer}
