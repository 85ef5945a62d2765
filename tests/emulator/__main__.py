# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the emulator: ``python -m tests.emulator --port 8443 --ca-out ca.pem``."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import signal
import sys
import threading
from pathlib import Path

from tests.emulator import small
from tests.emulator.model.engine import Engine
from tests.emulator.rest import certificate
from tests.emulator.rest.app import Application
from tests.emulator.rest.gate import Gate
from tests.emulator.rest.server import Server
from tests.emulator.rest.users import Users

USUAL_SPEED = 20.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.emulator", description="An oVirt engine without a data centre, for tests and trials.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--ca-out", type=Path, required=True, metavar="FILE", help="where to write the certificate of its authority")
    parser.add_argument("--empty", action="store_true", help="without the VM app01")
    parser.add_argument("--speed", type=float, default=USUAL_SPEED, metavar="X", help="so many times as fast as a real engine (%(default)g)")
    parser.add_argument("--exports", action="store_true", help="print shell exports for clients; without OVIRT_PASSWORD a password is made up")
    options = parser.parse_args()
    if options.speed <= 0:
        parser.error("--speed must be positive")
    return options


def main() -> int:
    options = arguments()
    password = os.environ.get("OVIRT_PASSWORD") or (secrets.token_urlsafe(12) if options.exports else "")
    if not password:
        print("Set OVIRT_PASSWORD: it is the password of admin@internal.", file=sys.stderr)
        return 2
    engine = Engine(options.speed)
    if not options.empty:
        small.fill(engine)
    gate = Gate(engine)
    certificates = certificate.make()
    try:
        server = Server(options.port, Application(gate, Users(password)), certificates.context)
    except OSError as error:
        print(f"Port {options.port} of 127.0.0.1: {error.strerror}", file=sys.stderr)
        return 1
    options.ca_out.parent.mkdir(parents=True, exist_ok=True)
    options.ca_out.write_text(certificates.ca)
    gate.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: threading.Thread(target=server.shutdown).start())
    announce(f"https://127.0.0.1:{server.port}/ovirt-engine/api", options, password)
    server.serve_forever(poll_interval=0.05)
    gate.close()
    return 0


def announce(url: str, options: argparse.Namespace, password: str) -> None:
    print(f"ready {url}", flush=True)
    if options.exports:
        values = {"URL": url, "USERNAME": "admin@internal", "PASSWORD": password, "CAFILE": str(options.ca_out.resolve())}
        for name, value in values.items():
            print(f"export OVIRT_{name}={shlex.quote(value)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
