"""A gateway speaks HTTP/3 where its Service has the port for UDP; another Envoy is the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from clew.agent.envoy_process import envoy_binary
from clew.compile.connection_pool import HTTP_OPTIONS
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.envoy.program import backend
from tests.envoy.rig import address, envoy_rig, free_port
from tests.envoy.tls_gateway import MESH, ROUTER, certificate
from tests.manifests import resources_of

SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {{name: ingress, namespace: default}}
spec:
  clusterIP: 10.0.0.1
  selector: {{istio: ingressgateway}}
  ports: [{{name: https, port: {port}}}, {{name: http3, port: {port}, protocol: UDP}}]
"""
_API = "type.googleapis.com/envoy.extensions"


def client(port: int, gateway: int) -> dict[str, Any]:
    """An Envoy that hands requests to ``port`` on by HTTP/3."""
    manager = {
        "@type": f"{_API}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "client",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "gateway"}}],
                }
            ]
        },
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{_API}.filters.http.router.v3.Router"}}
        ],
    }
    lenient = {"trust_chain_verification": "ACCEPT_UNTRUSTED"}
    tls = {"sni": "web.example.com", "common_tls_context": {"validation_context": lenient}}
    quic = {
        "@type": f"{_API}.transport_sockets.quic.v3.QuicUpstreamTransport",
        "upstream_tls_context": tls,
    }
    version = {
        "@type": f"{_API}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http3_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": address(gateway)}}
    cluster = {
        "name": "gateway",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "gateway",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
        "transport_socket": {"name": "envoy.transport_sockets.quic", "typed_config": quic},
        "typed_extension_protocol_options": {HTTP_OPTIONS: version},
    }
    listener = {
        "address": address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@asynccontextmanager
async def http3_client(folder: Path, gateway: int) -> AsyncIterator[int]:
    """Yields the port of an Envoy that speaks HTTP/3 to ``gateway``."""
    port = free_port()
    config = json.dumps(client(port, gateway))
    with (folder / "client.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(envoy_binary()), "--config-yaml", config, "--concurrency", "1"),
            *("--disable-hot-restart", "--log-level", "warning"),
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield port
    finally:
        process.kill()
        await process.wait()


async def until_answered(port: int) -> httpx2.Response:
    """The first answer that is not the client's own for want of a connection."""
    async with asyncio.timeout(20), httpx2.AsyncClient() as browser:
        while True:
            try:
                found = await browser.get(
                    f"http://127.0.0.1:{port}/", headers={"host": "web.example.com"}
                )
            except httpx2.TransportError:
                continue
            if found.status_code != 503:
                return found


def test_a_gateway_invites_to_http3_and_speaks_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        async with backend("hello") as upstream:
            chain, key = certificate(1)
            text = (MESH + SERVICE).format(port=port, upstream=upstream, certificate=chain, key=key)
            scope = build_scope(build_snapshot(resources_of(text)), ROUTER)
            async with (
                envoy_rig(tmp_path, compile_proxy(scope, Memo())) as envoy,
                http3_client(tmp_path, port) as near,
            ):
                found = await until_answered(near)
                assert (found.status_code, found.text) == (200, "hello")
                assert found.headers["alt-svc"] == f'h3=":{port}"; ma=86400'
                assert await envoy.stat("http.outbound_0.0.0.0_.*downstream_rq_http3_total") == 1

    asyncio.run(scenario())
