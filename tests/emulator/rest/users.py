# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in and do what (§2.1, §2.6)."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass, field

WEEK = 7 * 24 * 3600
LEAST = frozenset({"login", "manipulate_vm_snapshots"})
"""The permits of the least role for snapshots."""


@dataclass
class User:
    name: str
    """With its profile: ``admin@internal``."""
    password: str
    admin: bool = False
    permits: dict[str | None, frozenset[str]] = field(default_factory=dict)
    """By VM; the key None is for all VMs."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def principal(self) -> str:
        """As events and messages call the user."""
        return f"{self.name}-authz"

    @property
    def may_log_in(self) -> bool:
        return self.admin or any("login" in permits for permits in self.permits.values())

    def may(self, permit: str, vm_id: str | None) -> bool:
        return self.admin or permit in self.permits.get(vm_id, frozenset()) | self.permits.get(None, frozenset())

    def sees(self, vm_id: str) -> bool:
        return self.admin or None in self.permits or vm_id in self.permits


class Denied(Exception):
    """The text of a 401."""


class Users:
    def __init__(self, admin_password: str) -> None:
        self.admin = User("admin@internal", admin_password, admin=True)
        self._tokens: dict[str, User] = {}
        self.clear()

    def clear(self) -> None:
        """Only the administrator is left; logins stay."""
        self._users = {self.admin.name: self.admin}
        self._tokens = {token: user for token, user in self._tokens.items() if user is self.admin}

    def add(self, user: User) -> User:
        self._users[user.name] = user
        return user

    def check(self, name: str, password: str) -> User:
        if "@" not in name or name.rpartition("@")[2] != "internal":
            raise Denied(f"access_denied: Cannot authenticate user '{name}': No valid profile found in credentials..")
        user = self._users.get(name)
        if user is None or not secrets.compare_digest(user.password, password):
            text = "Unable to log in. Verify your login information or contact the system administrator.."
            raise Denied(f"access_denied: Cannot authenticate user '{name}': {text}")
        return user

    def log_in(self, name: str, password: str) -> tuple[str, int]:
        """A token and when it expires, in epoch milliseconds."""
        user = self.check(name, password)
        token = secrets.token_urlsafe(64)
        self._tokens[token] = user
        return token, int((time.time() + WEEK) * 1000)

    def of_token(self, token: str) -> User:
        try:
            return self._tokens[token]
        except KeyError:
            raise Denied("invalid_grant: The provided authorization grant for the auth code has expired.") from None

    def revoke(self, token: str) -> None:
        self._tokens.pop(token, None)

    def expire(self) -> None:
        self._tokens.clear()
