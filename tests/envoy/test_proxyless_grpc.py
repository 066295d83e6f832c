"""gRPC's own xDS client, as an application without a proxy has it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from clew.compile.memo import Memo
from clew.compile.proxyless_grpc import compile_proxyless_grpc
from clew.config.parse import parse_documents
from clew.model.proxy import Proxy
from clew.model.service import NOWHERE
from clew.model.xds import ENDPOINTS, ROUTE, Published
from clew.server.ads import AdsServer
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.server.directory import Directory
from tests.server.serving import serving

TARGET = "echo.default.svc.cluster.local:7070"
NODE = "sidecar~127.0.0.1~client-0.default~default.svc.cluster.local"
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo, namespace: default}
spec:
  host: echo.default.svc.cluster.local
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""
WORKLOAD = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: echo, namespace: default}}
spec:
  hosts: [{host}]
  ports: [{{name: grpc, number: 7070, protocol: GRPC}}]
  resolution: STATIC
  endpoints:
  - {{address: 127.0.0.1, ports: {{grpc: {one}}}, labels: {{version: v1}}}}
  - {{address: 127.0.0.1, ports: {{grpc: {two}}}, labels: {{version: v2}}}}
"""
WEIGHTS = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: echo, namespace: default}}
spec:
  hosts: [echo.default.svc.cluster.local]
  http:
  - route:
    - destination: {{host: echo.default.svc.cluster.local, subset: v1}}
      weight: {one}
    - destination: {{host: echo.default.svc.cluster.local, subset: v2}}
      weight: {two}
"""


def compiled(ports: tuple[int, int], weights: tuple[int, int]) -> Published:
    """What a mesh with these two versions of echo publishes to a proxyless client."""
    host = TARGET.partition(":")[0]
    text = (
        RULE
        + WORKLOAD.format(host=host, one=ports[0], two=ports[1])
        + WEIGHTS.format(one=weights[0], two=weights[1])
    )
    documents = parse_documents(text)
    assert not [d.diagnostics for d in documents if d.diagnostics]
    snapshot = build_snapshot([d.resource for d in documents if d.resource is not None])
    proxy = Proxy.from_node(NODE, {"GENERATOR": "grpc"}, NOWHERE)
    return compile_proxyless_grpc(build_scope(snapshot, proxy).outbound, Memo())


@asynccontextmanager
async def echo(says: str) -> AsyncIterator[int]:
    async def say(_request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return says.encode()

    server = grpc.aio.server()
    methods = {"Say": grpc.unary_unary_rpc_method_handler(say)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(grace=None)


@asynccontextmanager
async def control_plane(directory: Directory) -> AsyncIterator[int]:
    ads = AdsServer(directory, lambda _proxy, _identity: "")
    async with serving("127.0.0.1:0", ads.methods()) as port:
        yield port


@asynccontextmanager
async def client(xds_port: int, target: str = TARGET) -> AsyncIterator[Process]:
    node: dict[str, Any] = {"id": NODE, "metadata": {"GENERATOR": "grpc"}}
    server = {
        "server_uri": f"127.0.0.1:{xds_port}",
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3"],
    }
    bootstrap = json.dumps({"xds_servers": [server], "node": node})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("grpc_client.py")), f"xds:///{target}"),
        env={**os.environ, "GRPC_XDS_BOOTSTRAP_CONFIG": bootstrap},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def calls(process: Process, count: int) -> dict[str, int]:
    """Have the client make so many calls; return how often it heard what."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{count}\n".encode())
    async with asyncio.timeout(30):
        return dict(json.loads(await process.stdout.readline()))


def test_weights_and_endpoints_shift_live() -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(echo("one"))
            two = await stack.enter_async_context(echo("two"))
            directory = Directory(compiled((one, two), (95, 5)))
            port = await stack.enter_async_context(control_plane(directory))
            process = await stack.enter_async_context(client(port))
            heard = await calls(process, 400)
            assert 2 <= heard["two"] <= 45

            after = compiled((one, two), (50, 50))
            directory.publish(after)
            name = f"outbound|7070||{TARGET.partition(':')[0]}"
            await directory.acked(ROUTE, name, after[ROUTE][name].version)
            heard = await calls(process, 400)
            assert 140 <= heard["two"] <= 260

            after = compiled((two, two), (50, 50))
            directory.publish(after)
            name = f"outbound|7070|v1|{TARGET.partition(':')[0]}"
            await directory.acked(ENDPOINTS, name, after[ENDPOINTS][name].version)
            async with asyncio.timeout(10):
                while await calls(process, 20) != {"two": 20}:
                    pass

    asyncio.run(scenario())
