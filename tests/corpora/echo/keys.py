"""The issuer's server: it answers with the keys of tokens, after the delay that it is asked for.

python -m tests.corpora.echo.keys FILE PORT
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


def handler(keys: bytes) -> type[BaseHTTPRequestHandler]:
    class Keys(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            delay = parse_qs(urlsplit(self.path).query).get("delay", ["0ms"])[0]
            time.sleep(float(delay.removesuffix("ms")) / 1000)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(keys)))
            self.end_headers()
            self.wfile.write(keys)

    return Keys


if __name__ == "__main__":
    file, port = sys.argv[1:]
    ThreadingHTTPServer(("", int(port)), handler(Path(file).read_bytes())).serve_forever()
