# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that modules share, as values that carry their rules with them. Their documentation: plugins/doc_fragments, under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import env_fallback


@dataclass(frozen=True)
class Options:
    """An argument spec and its rules; groups are added up to a module's whole."""

    spec: Mapping[str, Any]
    rules: Mapping[str, list[Any]] = field(default_factory=dict)

    def __add__(self, other: Options) -> Options:
        rules = {name: self.rules.get(name, []) + other.rules.get(name, []) for name in {*self.rules, *other.rules}}
        return Options({**self.spec, **other.spec}, rules)


AUTH = {
    "url": {"type": "str", "fallback": (env_fallback, ["OVIRT_URL"])},
    "hostname": {"type": "str", "fallback": (env_fallback, ["OVIRT_HOSTNAME"])},
    "username": {"type": "str", "fallback": (env_fallback, ["OVIRT_USERNAME"])},
    "password": {"type": "str", "no_log": True, "fallback": (env_fallback, ["OVIRT_PASSWORD"])},
    "token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["OVIRT_TOKEN"])},
    "ca_file": {"type": "path", "fallback": (env_fallback, ["OVIRT_CAFILE"])},
    "insecure": {"type": "bool", "default": False},
    "headers": {"type": "dict", "no_log": True},
    "timeout": {"type": "int", "default": 0},
    "compress": {"type": "bool", "default": True},
    "kerberos": {"type": "bool", "default": False},
}

BACKEND = Options(
    {
        "auth": {"type": "dict", "options": AUTH},
        "uri": {"type": "str"},
        "backend": {"type": "str", "choices": ["auto", "ovirt", "libvirt"], "default": "auto"},
    },
    {"mutually_exclusive": [("auth", "uri")]},
)
VM = Options(
    {
        "vm": {"type": "list", "elements": "str", "required": True},
        "on_vm_error": {"type": "str", "choices": ["finish", "stop"], "default": "finish"},
    }
)
WAIT = Options(
    {
        "wait": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 1800},
        "poll_interval": {"type": "int", "default": 3},
    }
)
FINGERPRINT = Options({"expect_fingerprint": {"type": "str"}})
"""The state that a request was made for."""

RUNNING = Options({"if_running": {"type": "str", "choices": ["fail", "shutdown", "poweroff"], "default": "fail"}})
REMOVAL = Options({"allow_disk_removal": {"type": "bool", "default": False}})
COMPOSITION = Options(
    {
        "snapshot": {"type": "str"},
        "config": {"type": "str"},
        "memory": {"type": "bool", "default": False},
        "disks": {
            "type": "list",
            "elements": "dict",
            "options": {
                "disk": {"type": "raw", "required": True},
                "snapshot": {"type": "str"},
                "exclude": {"type": "bool", "default": False},
            },
        },
        "allow_partial_memory": {"type": "bool", "default": False},
    }
)
PROFILE = Options({"profiles": {"type": "dict", "default": {}}})
"""The user's own profiles, beside those that are shipped."""
PREVIEWING = Options({"if_previewing": {"type": "str", "choices": ["fail", "undo"], "default": "fail"}})
GUARD = Options(
    {
        "snapshot": {"type": "str"},
        "composition": {"type": "dict", "options": {name: COMPOSITION.spec[name] for name in ("snapshot", "config", "memory", "disks")}},
        "expect_preview": {"type": "bool", "default": False},
    },
    {"mutually_exclusive": [("snapshot", "composition")]},
)
"""The preview that is meant: anything else that is open is refused."""
