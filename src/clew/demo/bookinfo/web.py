"""Just enough HTTP for the four services: a threaded server, and calls to the next service."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 9080
# Istio's Bookinfo passes these on, so that one request stays one trace and one user.
PROPAGATED = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "b3",
    "end-user",
    "user-agent",
    "cookie",
    "authorization",
)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Respond = Callable[[Request], Response]


def as_json(value: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(status, json.dumps(value).encode())


NOT_FOUND = as_json({"error": "not found"}, HTTPStatus.NOT_FOUND)
HEALTHY = as_json({"status": "healthy"})


def propagated(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in PROPAGATED if name in headers}


def call(url: str, headers: Mapping[str, str], timeout: float) -> tuple[int, bytes]:
    """GET ``url``; status 503 stands for a service that cannot be reached in time."""
    try:
        request = urllib.request.Request(url, headers=dict(headers))
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError as error:
        return HTTPStatus.SERVICE_UNAVAILABLE, str(error).encode()


def serve(respond: Respond) -> None:
    """Answer on $PORT (9080 if unset) until SIGTERM."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = respond(Request(self.command, self.path, headers, self.rfile.read(length)))
            self.send_response(reply.status)
            self.send_header("content-type", reply.content_type)
            self.send_header("content-length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            sys.stdout.write(f"{self.command} {self.path} {args[1]}\n")
            sys.stdout.flush()

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    server = Server(("", int(os.environ.get("PORT", PORT))), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()
