"""UDPRoutes for real: datagrams through a gateway's Envoy to endpoints, and the answers back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.envoy.rig import envoy_rig
from tests.manifests import resources_of

ROUTER = Proxy(
    type=ProxyType.ROUTER,
    name="a-0",
    namespace="default",
    ip="127.0.0.1",
    bind_address="127.0.0.1",
    labels=(("gateway.networking.k8s.io/gateway-name", "names"),),
)
WORLD = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: names, namespace: default}}
spec:
  gatewayClassName: istio
  listeners: [{{name: dns, port: 53, protocol: UDP}}]
---
apiVersion: v1
kind: Service
metadata: {{name: names-istio, namespace: default}}
spec:
  selector: {{gateway.networking.k8s.io/gateway-name: names}}
  ports: [{{name: dns, port: 53, targetPort: {port}, protocol: UDP}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {{name: names, namespace: default}}
spec:
  parentRefs: [{{name: names}}]
  rules:
  - backendRefs:
    - {{group: networking.istio.io, kind: Hostname, name: new.example.com, port: 53, weight: 3}}
    - {{group: networking.istio.io, kind: Hostname, name: old.example.com, port: 53, weight: 1}}
"""
SERVER = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}.example.com]
  resolution: STATIC
  ports: [{{number: 53, name: dns, protocol: UDP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{dns: {port}}}}}]
"""
SENDERS, QUESTIONS = 60, 3


class Server(asyncio.DatagramProtocol):
    """Answers each datagram with its own name and the datagram."""

    def __init__(self, name: str) -> None:
        self.name = name

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # of UDP
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(f"{self.name} {data.decode()}".encode(), addr)


class Sender(asyncio.DatagramProtocol):
    """One client; ``answers`` come in as they come."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[str] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answers.put_nowait(data.decode())


@asynccontextmanager
async def server(name: str) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Server(name), local_addr=("127.0.0.1", 0)
    )
    try:
        yield int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


async def ask(port: int, question: str) -> set[str]:
    """From one port, ask several times; return who answered. What is lost is sent again."""
    loop = asyncio.get_running_loop()
    transport, sender = await loop.create_datagram_endpoint(Sender, remote_addr=("127.0.0.1", port))
    seen = set()
    try:
        for number in range(QUESTIONS):
            answer = ""
            while not answer.endswith(f" {question} {number}"):
                transport.sendto(f"{question} {number}".encode())
                try:
                    async with asyncio.timeout(0.5):
                        answer = await sender.answers.get()
                except TimeoutError:
                    continue
            seen.add(answer.split()[0])
    finally:
        transport.close()
    return seen


async def free_udp_port() -> int:
    async with server("nobody") as port:
        return port


def published(port: int, **servers: int) -> Published:
    text = WORLD.format(port=port)
    text += "".join(SERVER.format(name=name, port=at) for name, at in servers.items())
    return compile_proxy(build_scope(build_snapshot(resources_of(text)), ROUTER), Memo())


@pytest.mark.proves(
    "UDPRouteSpec.parentRefs",
    "UDPRouteSpec.rules",
    "UDPRouteRule.backendRefs",
    "BackendRef.weight",
)
def test_datagrams_are_shared_out_and_each_client_keeps_its_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = await free_udp_port()
        async with (
            server("new") as new,
            server("old") as old,
            envoy_rig(tmp_path, published(port, new=new, old=old)),
            asyncio.timeout(30),
        ):
            await ask(port, "ready?")
            asked = [ask(port, f"question-{n}") for n in range(SENDERS)]
            answered = await asyncio.gather(*asked)
        assert all(len(servers) == 1 for servers in answered)
        shares = Counter(name for servers in answered for name in servers)
        assert shares["new"] > shares["old"] > 0

    asyncio.run(scenario())
