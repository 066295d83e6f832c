"""Plain requests leave the mesh with TLS, begun by a sidecar or by an egress gateway."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clew.agent.system_roots import link_system_roots
from tests.envoy.mesh import live_mesh
from tests.envoy.program import echo
from tests.envoy.rig import free_port, running_envoy
from tests.envoy.tls_gateway import certificate

OUTSIDE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside}}
spec:
  hosts: [web.example.com]
  addresses: [240.0.0.9]
  resolution: STATIC
  ports:
  - {{number: 80, name: http, protocol: HTTP}}
  - {{number: 443, name: https, protocol: HTTP}}
  endpoints: [{{address: 127.0.0.1, ports: {{http: {outside}, https: {outside}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: outside}}
spec:
  host: web.example.com
  trafficPolicy:
    portLevelSettings:
    - port: {{number: {port}}}
      tls:
        mode: SIMPLE
        sni: web.example.com
        caCertificates: {roots}
        subjectAltNames: [web.example.com]
---
"""
EGRESS = """
apiVersion: v1
kind: Service
metadata: {{name: egress}}
spec:
  clusterIP: 240.0.0.10
  selector: {{istio: egressgateway}}
  ports: [{{name: https, port: 443, targetPort: {listens}}}]
---
apiVersion: v1
kind: Pod
metadata:
  name: egress-0
  labels: {{istio: egressgateway, security.istio.io/tlsMode: istio}}
spec: {{serviceAccountName: default, containers: [{{name: proxy}}]}}
status: {{podIP: 127.0.0.1, conditions: [{{type: Ready, status: "True"}}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: egress}}
spec:
  selector: {{istio: egressgateway}}
  servers:
  - port: {{number: 443, name: https, protocol: HTTPS}}
    hosts: [web.example.com]
    tls: {{mode: ISTIO_MUTUAL}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: egress}}
spec:
  host: egress.default.svc.cluster.local
  subsets:
  - name: outside
    trafficPolicy:
      portLevelSettings:
      - {{port: {{number: 443}}, tls: {{mode: ISTIO_MUTUAL, sni: web.example.com}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: outside}}
spec:
  hosts: [web.example.com]
  gateways: [mesh, egress]
  http:
  - match: [{{gateways: [mesh], port: 80}}]
    route:
    - destination:
        host: egress.default.svc.cluster.local
        subset: outside
        port: {{number: 443}}
  - match: [{{gateways: [egress], port: 443}}]
    route: [{{destination: {{host: web.example.com, port: {{number: 443}}}}}}]
    headers: {{request: {{set: {{went-through: egress}}}}}}
"""


@asynccontextmanager
async def tls_server(folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """A server of web.example.com that answers with the head of the request, and its roots."""
    chain, key = (text.replace("\\n", "\n") for text in certificate(1))
    roots, own = folder / "roots.pem", folder / "server.pem"
    roots.write_text(chain)
    own.write_text(chain + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)

    async with echo(context) as port:
        yield port, roots


@asynccontextmanager
async def proxy(
    mesh: Path, name: str, trusted: Path | None = None, **spec: Any
) -> AsyncIterator[None]:
    """An Envoy of the mesh in ``mesh``, in a directory of its own; its host trusts ``trusted``."""
    folder = mesh / name
    folder.mkdir()
    link_system_roots(folder, {"SSL_CERT_FILE": str(trusted)} if trusted is not None else {})
    (folder / "ca").symlink_to(mesh / "ca")
    xds = f"unix:{mesh}/xds.sock"
    async with running_envoy(folder, name=name, xds=xds, bind_address="127.0.0.1", **spec):
        yield


async def through(sidecar: int, *, wanted: int, url: str = "http://web.example.com/") -> str:
    """What is answered to a plain request through a sidecar, once its status is ``wanted``."""
    async with (
        asyncio.timeout(30),
        httpx2.AsyncClient(proxy=f"http://127.0.0.1:{sidecar}") as client,
    ):
        while True:
            with suppress(httpx2.TransportError):
                response = await client.get(url)
                if response.status_code == wanted:
                    return response.text
            await asyncio.sleep(0.05)


@pytest.mark.proves(
    "ClientTLSSettings.mode=SIMPLE",
    "ClientTLSSettings.caCertificates",
    "ClientTLSSettings.subjectAltNames",
)
def test_a_sidecar_sends_requests_with_tls_to_a_server_that_it_verifies(tmp_path: Path) -> None:
    async def scenario() -> None:
        sidecar = free_port()
        async with tls_server(tmp_path) as (outside, roots):
            text = OUTSIDE.format(outside=outside, port=80, roots=roots)
            async with (
                live_mesh(tmp_path, text) as mesh,
                proxy(tmp_path, "client-0", ip="127.0.0.2", http_proxy_port=sidecar),
            ):
                head = await through(sidecar, wanted=200)
                assert "host: web.example.com" in head
                other = text.replace("AltNames: [web.", "AltNames: [other.")
                await mesh.apply(other)
                assert "connection failure" in await through(sidecar, wanted=503)

    asyncio.run(scenario())


def test_a_server_outside_is_verified_by_what_the_host_trusts(tmp_path: Path) -> None:
    """Nothing is declared but SIMPLE: a server that the host does not trust gets no request."""

    async def scenario() -> None:
        sidecar = free_port()
        async with tls_server(tmp_path) as (outside, roots):
            text = OUTSIDE.format(outside=outside, port=80, roots="system")
            async with live_mesh(tmp_path, text):
                async with proxy(tmp_path, "client-0", ip="127.0.0.2", http_proxy_port=sidecar):
                    assert "connection failure" in await through(sidecar, wanted=503)
                trusting = proxy(
                    tmp_path, "client-1", ip="127.0.0.2", http_proxy_port=sidecar, trusted=roots
                )
                async with trusting:
                    assert "host: web.example.com" in await through(sidecar, wanted=200)

    asyncio.run(scenario())


@pytest.mark.proves("MeshOutboundTrafficPolicy.tls")
def test_requests_for_unknown_hosts_leave_with_the_tls_of_the_mesh(tmp_path: Path) -> None:
    policy = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    outboundTrafficPolicy:
      mode: ALLOW_ANY_DYNAMIC_DNS
      tls:
        {{mode: SIMPLE, sni: web.example.com, caCertificates: {roots}, subjectAltNames: [{name}]}}
"""

    async def scenario() -> None:
        sidecar = free_port()
        async with tls_server(tmp_path) as (outside, roots):
            url = f"http://localhost:{outside}/"
            async with (
                live_mesh(tmp_path, policy.format(roots=roots, name="web.example.com")) as mesh,
                proxy(tmp_path, "client-0", ip="127.0.0.2", http_proxy_port=sidecar),
            ):
                assert f"host: localhost:{outside}" in await through(sidecar, wanted=200, url=url)
                await mesh.apply(policy.format(roots=roots, name="other.example.com"))
                assert "connection failure" in await through(sidecar, wanted=503, url=url)

    asyncio.run(scenario())


def test_an_egress_gateway_sends_on_with_tls_what_sidecars_send_to_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        sidecar, listens = free_port(), free_port()
        labels = {"istio": "egressgateway"}
        async with tls_server(tmp_path) as (outside, roots):
            text = OUTSIDE.format(outside=outside, port=443, roots=roots)
            async with (
                live_mesh(tmp_path, text + EGRESS.format(listens=listens)),
                proxy(tmp_path, "egress-0", type="router", ip="127.0.0.1", labels=labels),
                proxy(tmp_path, "client-0", ip="127.0.0.2", http_proxy_port=sidecar),
            ):
                head = await through(sidecar, wanted=200)
                assert "host: web.example.com" in head
                assert "went-through: egress" in head

    asyncio.run(scenario())
