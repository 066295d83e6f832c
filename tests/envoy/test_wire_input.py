"""What clients can send to a gateway, byte by byte, and what reaches the workloads of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.envoy.mesh import ingress, live_mesh
from tests.envoy.raw import RawServer, eventually_open, exchange
from tests.envoy.rig import free_port, running_envoy
from tests.envoy.worlds import GATEWAY

MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data: {{mesh: '{settings}'}}
"""
SIDECAR = """
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  clusterIP: 240.0.0.10
  selector: {{app: web}}
  ports: [{{name: http, port: {port}}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: a-0, labels: {{app: web, security.istio.io/tlsMode: istio}}}}
spec: {{serviceAccountName: default, containers: [{{name: web}}]}}
status: {{podIP: 127.0.0.1, conditions: [{{type: Ready, status: "True"}}]}}
"""


@asynccontextmanager
async def gateway(folder: Path, settings: str = "") -> AsyncIterator[tuple[int, RawServer]]:
    """The port of a gateway, and the server behind it."""
    port = free_port()
    async with RawServer().running() as server:
        text = GATEWAY.format(port=port, backend=server.port)
        if settings:
            text += "---" + MESH.format(settings=settings)
        async with live_mesh(folder, text), ingress(folder):
            await eventually_open(port)
            server.heads.clear()
            yield port, server


def request(path: bytes = b"/", *headers: bytes) -> bytes:
    lines = (b"GET %b HTTP/1.1" % path, b"host: web.example.com", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def forwarded(folder: Path, *headers: bytes, settings: str = "") -> list[str]:
    """The headers that reach the server, of a request with these."""

    async def scenario() -> list[str]:
        async with gateway(folder, settings) as (port, server):
            await exchange(port, request(b"/", *headers))
            [head] = server.heads
            return head.decode().split("\r\n")[1:]

    return asyncio.run(scenario())


PATHS = {
    "NONE": ["/a/../b", "/a//b", "/a%2fb", "/a%5cb", "/a%2f..%2fb", "/%61"],
    "BASE": ["/b", "/a//b", "/a%2fb", "/a%5cb", "/a%2f..%2fb", "/a"],
    "MERGE_SLASHES": ["/b", "/a/b", "/a%2fb", "/a%5cb", "/a%2f..%2fb", "/a"],
    "DECODE_AND_MERGE_SLASHES": ["/b", "/a/b", "/a/b", "/a/b", "/b", "/a"],
}


@pytest.mark.parametrize("kind", PATHS)
def test_paths_reach_the_workload_as_the_mesh_normalizes_them(kind: str, tmp_path: Path) -> None:
    """Policies see what the workload gets: they are behind the same normalization."""

    async def scenario() -> list[str]:
        settings = f"{{pathNormalization: {{normalization: {kind}}}}}"
        async with gateway(tmp_path, settings) as (port, server):
            for path in PATHS["NONE"]:
                await exchange(port, request(path.encode()))
            return [head.split()[1].decode() for head in server.heads]

    assert asyncio.run(scenario()) == PATHS[kind]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\nx", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\n x: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\n: y\r\n\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GE(T / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (request(b"/", b"x: " + b"a" * 70_000), 431),
        (request(b"/" + b"a" * 70_000), 431),
        (request(b"/", *(b"x-%d: y" % number for number in range(150))), 431),
    ],
)
def test_requests_that_servers_may_read_differently_are_refused(
    raw: bytes, status: int, edge: tuple[int, RawServer], loop: asyncio.AbstractEventLoop
) -> None:
    port, server = edge
    server.heads.clear()
    answer = loop.run_until_complete(exchange(port, raw))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert server.heads == []


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", b"host: a,b"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n", b"x: ab"),
        (b"GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n", b"host: b"),
    ],
)
def test_what_is_not_refused_can_be_read_in_one_way_only(
    raw: bytes, said: bytes, edge: tuple[int, RawServer], loop: asyncio.AbstractEventLoop
) -> None:
    port, server = edge
    server.heads.clear()
    loop.run_until_complete(exchange(port, raw))
    [head] = server.heads
    lines = head.split(b"\r\n")
    assert said in lines
    assert b"\r" not in head.replace(b"\r\n", b"")
    assert sum(line.startswith(b"host:") for line in lines) == 1


@pytest.fixture(scope="module")
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@pytest.fixture(scope="module")
def edge(
    loop: asyncio.AbstractEventLoop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, RawServer]]:
    """A gateway for all requests that are refused: they change nothing."""
    world = gateway(tmp_path_factory.mktemp("edge"))
    yield loop.run_until_complete(world.__aenter__())
    loop.run_until_complete(world.__aexit__(None, None, None))
    loop.close()


def test_nobody_outside_speaks_for_a_proxy_or_shows_a_certificate(tmp_path: Path) -> None:
    said = forwarded(
        tmp_path,
        b"x-envoy-peer-metadata: forged",
        b"x-envoy-original-dst-host: 10.0.0.1:80",
        b"x-envoy-retry-on: 5xx",
        b"X-Envoy-External-Address: 6.6.6.6",
        b"x-forwarded-client-cert: URI=spiffe://cluster.local/ns/default/sa/admin",
        b"x-forwarded-proto: https",
    )
    assert "x-forwarded-proto: http" in said
    assert "x-envoy-external-address: 127.0.0.1" in said
    names = {line.partition(":")[0] for line in said if line.startswith("x-envoy-")}
    assert names == {"x-envoy-external-address", "x-envoy-attempt-count"}
    assert not any(line.startswith("x-forwarded-client-cert") for line in said)


@pytest.mark.parametrize(("trusted", "client"), [(0, "127.0.0.1"), (1, "9.9.9.9"), (2, "8.8.8.8")])
def test_the_clients_address_is_what_trusted_proxies_say(
    trusted: int, client: str, tmp_path: Path
) -> None:
    settings = f"{{defaultConfig: {{gatewayTopology: {{numTrustedProxies: {trusted}}}}}}}"
    said = forwarded(tmp_path, b"x-forwarded-for: 7.7.7.7, 8.8.8.8, 9.9.9.9", settings=settings)
    assert f"x-envoy-external-address: {client}" in said


def test_the_proxy_protocol_is_read_only_where_it_is_expected(tmp_path: Path) -> None:
    header = b"PROXY TCP4 6.6.6.6 127.0.0.1 1234 80\r\n"

    async def scenario(folder: Path, settings: str) -> tuple[bytes, list[bytes]]:
        port = free_port()
        async with RawServer().running() as server:
            text = GATEWAY.format(port=port, backend=server.port)
            text += "---" + MESH.format(settings=settings)
            async with live_mesh(folder, text), ingress(folder):
                answer = await _once_routed(port, header + request())
                return answer, server.heads

    expected = "{defaultConfig: {gatewayTopology: {proxyProtocol: {}}}}"
    (tmp_path / "a").mkdir()
    answer, heads = asyncio.run(scenario(tmp_path / "a", expected))
    assert b" 200 " in answer[:20]
    assert b"x-envoy-external-address: 6.6.6.6" in heads[0]
    (tmp_path / "b").mkdir()
    answer, heads = asyncio.run(scenario(tmp_path / "b", "{}"))
    assert b" 400 " in answer[:20]
    assert heads == []


async def _once_routed(port: int, raw: bytes) -> bytes:
    """What is answered once the listener and its routes are there."""
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError):
                answer = await exchange(port, raw)
                if answer and b" 404 " not in answer[:20]:
                    return answer
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("ALLOW", ["x_forwarded_for: 6.6.6.6"]),
        ("DROP_HEADER", []),
        ("REJECT_REQUEST", None),
    ],
)
def test_headers_with_underscores_are_treated_as_settings_say(
    action: str, said: list[str] | None, tmp_path: Path
) -> None:
    """To servers that make variables of them, they are the headers with dashes."""
    name = f"HEADERS_WITH_UNDERSCORES_{action}"
    settings = (
        f"{{defaultConfig: {{connectionSettings: {{httpHeadersWithUnderscoresAction: {name}}}}}}}"
    )

    async def scenario() -> tuple[bytes, list[bytes]]:
        async with gateway(tmp_path, settings) as (port, server):
            answer = await exchange(port, request(b"/", b"x_forwarded_for: 6.6.6.6"))
            return answer, server.heads

    answer, heads = asyncio.run(scenario())
    if said is None:
        assert b" 400 " in answer[:20]
        assert heads == []
    else:
        lines = heads[0].decode().split("\r\n")
        assert [line for line in lines if "_" in line.partition(":")[0]] == said


def test_a_sidecar_believes_no_certificate_that_is_only_told_of(tmp_path: Path) -> None:
    """Plaintext is allowed to it, and so anybody may connect."""

    async def scenario() -> bytes:
        async with RawServer().running() as server:
            port = free_port()
            ports = {str(port): server.port}
            async with (
                live_mesh(tmp_path, SIDECAR.format(port=port)),
                running_envoy(tmp_path, labels={"app": "web"}, app_ports=ports),
            ):
                await eventually_open(port)
                server.heads.clear()
                forged = b"x-forwarded-client-cert: URI=spiffe://cluster.local/ns/a/sa/admin"
                await exchange(port, request(b"/", forged))
                return server.heads[0]

    assert b"x-forwarded-client-cert" not in asyncio.run(scenario())
