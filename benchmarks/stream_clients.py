"""``python -m benchmarks.stream_clients PLAN``: many proxies on one control plane.

Prints a JSON line when all are ready. Then, for each number of proxies read from the input,
prints a line at once and, when so many have heard something, another one: when the last byte had
arrived (on the clock of ``time.monotonic``, which all processes share).
"""

from __future__ import annotations

import selectors
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.delta_client import SERVER_NAME, DeltaClient


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Proxies of one namespace: ``proxy-0`` and so on."""

    namespace: str
    count: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``certificates``: a folder with root.pem, and <name>.<namespace>.pem (key and chain) of each
    proxy; "" means no TLS.
    """

    socket: str
    certificates: str
    routes: tuple[str, ...]
    groups: tuple[Group, ...]


def main(plan: Plan) -> None:
    selector = selectors.DefaultSelector()
    clients = list(_connect(plan))
    for client in clients:
        selector.register(client, selectors.EVENT_READ)
    waiting = set(clients)
    while waiting:
        waiting -= {client for client in _receive(selector) if client.ready}
    print(msgspec.json.encode({"ready": len(clients)}).decode(), flush=True)
    for line in sys.stdin:
        for client in clients:
            client.heard = 0
        print("armed", flush=True)
        print(_last_of(int(line), clients, selector), flush=True)


def _last_of(expected: int, clients: list[DeltaClient], selector: selectors.BaseSelector) -> float:
    heard: set[int] = set()
    while len(heard) < expected:
        heard |= {client.fileno() for client in _receive(selector) if client.heard}
    return max(client.arrived for client in clients if client.heard)


def _receive(selector: selectors.BaseSelector) -> Iterator[DeltaClient]:
    for key, _ in selector.select():
        client = key.fileobj
        assert isinstance(client, DeltaClient)
        client.receive()
        while client.pending():
            client.receive()
        yield client


def _connect(plan: Plan) -> Iterator[DeltaClient]:
    for group in plan.groups:
        for number in range(group.count):
            name = f"proxy-{number}.{group.namespace}"
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(plan.socket)
            if plan.certificates:
                context = _context(Path(plan.certificates), name)
                connection = context.wrap_socket(connection, server_hostname=SERVER_NAME)
            yield DeltaClient(connection, f"sidecar~10.200.0.1~{name}~cluster.local", plan.routes)


def _context(certificates: Path, proxy: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates / "root.pem"))
    context.load_cert_chain(certificates / f"{proxy}.pem")
    context.set_alpn_protocols(["h2"])
    return context


if __name__ == "__main__":
    main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
