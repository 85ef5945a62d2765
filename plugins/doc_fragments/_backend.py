# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option group BACKEND of module_utils/_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - Python 3.9 or later where the module runs
  - libvirt-python 6.0 or later where the module runs, for libvirt
  - ovirt-engine-sdk-python 4.4 or later where the module runs, for an oVirt engine
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
      - What is not given is taken from the environment variables named below, then from the section C([ovirt]) of the file that
        E(OVIRT_INI_PATH) names (C(ovirt_url), C(ovirt_username), C(ovirt_password), C(ovirt_ca_file)). AWX hands over its credential in this way.
      - The engine's certificate is verified. A O(auth.token) that is given is not logged out, and a login that the module makes itself is.
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
      - What to connect to. V(auto) takes V(ovirt) when O(auth) is given, and V(libvirt) when O(uri) is.
      - When neither is given, it takes V(ovirt) if E(OVIRT_URL), E(OVIRT_HOSTNAME) or E(OVIRT_INI_PATH) is set, and else V(libvirt).
      - An option that belongs to the other backend is refused with the reason V(backend_unclear), as is an environment that names both.
    type: str
    choices: [auto, ovirt, libvirt]
    default: auto
"""
