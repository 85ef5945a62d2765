# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group BACKEND of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - Python 3.9 or later where the module runs
  - libvirt-python 6.0 or later where the module runs
options:
  uri:
    description:
      - The libvirt connection, local or remote, for example V(qemu:///system) or V(qemu+ssh://root@kvm1.example.com/system).
      - Without it, the environment variable E(LIBVIRT_DEFAULT_URI) is used, and without that V(qemu:///system).
      - It is mutually exclusive with O(auth).
    type: str
  auth:
    description:
      - The connection to an oVirt engine, with the same keys as in the collection C(ovirt.ovirt), so that its C(ovirt_auth) can be handed over.
      - B(There is no oVirt backend in this release.) What is given here is refused with the reason V(no_ovirt_backend).
      - The environment variables fill in keys of an O(auth) that is given. They do not choose the backend.
      - It is mutually exclusive with O(uri).
    type: dict
    suboptions:
      url:
        description: URL of the engine's API, by default from the environment variable E(OVIRT_URL).
        type: str
      hostname:
        description: Host name of the engine, by default from the environment variable E(OVIRT_HOSTNAME).
        type: str
      username:
        description: Name of the user, for example V(admin@internal), by default from the environment variable E(OVIRT_USERNAME).
        type: str
      password:
        description: Password of the user, by default from the environment variable E(OVIRT_PASSWORD).
        type: str
      token:
        description: A token to use in place of name and password, by default from the environment variable E(OVIRT_TOKEN).
        type: str
      ca_file:
        description: File with the certificates to trust, by default from the environment variable E(OVIRT_CAFILE).
        type: path
      insecure:
        description: Whether to leave the engine's certificate unchecked.
        type: bool
        default: false
      headers:
        description: HTTP headers to send with each request.
        type: dict
      timeout:
        description: Seconds to wait for an answer. V(0) waits as long as it takes.
        type: int
        default: 0
      compress:
        description: Whether to ask for compressed answers.
        type: bool
        default: true
      kerberos:
        description: Whether to use Kerberos in place of name and password.
        type: bool
        default: false
  backend:
    description:
      - What O(uri) or O(auth) connect to. V(auto) takes V(ovirt) when O(auth) is given and V(libvirt) in any other case.
      - An option that belongs to the other backend is refused with the reason V(backend_unclear).
    type: str
    choices: [auto, ovirt, libvirt]
    default: auto
"""
