"""Plain TCP: repeats each line that it is sent, after its prefix; ``one hello``.

The port is $PORT (9000 if unset). Each version has its own prefix, so that a client can tell
which one a connection reached.
"""

from __future__ import annotations

import os
import signal
import socketserver
import sys

PORT = 9000


def serve(prefix: str) -> None:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(prefix.encode() + b" " + line)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 128

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server(("", int(os.environ.get("PORT", PORT))), Handler) as server:
        server.serve_forever()
