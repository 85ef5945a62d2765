# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTPS server: a thread per connection, connections that are kept, TLS handshakes that do not hold up others."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: with Nagle's algorithm the second waits 40 ms for the client's acknowledgement.
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """The log of requests is in log.py."""


class Server(ThreadedWSGIServer):
    daemon_threads = True
    request_queue_size = 256
    multithread = True

    def __init__(self, port: int, application: Any, context: ssl.SSLContext) -> None:
        super().__init__("127.0.0.1", port, application, Handler)
        self.ssl_context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: the handshake must not keep the server from accepting others."""
        if self.ssl_context is None:
            raise LookupError("no certificate")
        try:
            with self.ssl_context.wrap_socket(request, server_side=True) as secured:
                Handler(secured, client_address, self)
        except (OSError, ssl.SSLError):
            return

    def shutdown_request(self, request: Any) -> None:
        if isinstance(request, socket.socket) and request.fileno() != -1:
            super().shutdown_request(request)
