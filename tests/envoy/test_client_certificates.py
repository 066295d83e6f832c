"""A server that asks for certificates is shown that of the Gateway, by a real Envoy."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import suppress
from pathlib import Path

import httpx2

from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.envoy.program import echo
from tests.envoy.rig import envoy_rig, free_port
from tests.envoy.tls_gateway import certificate
from tests.manifests import resources_of

ROUTER = Proxy(
    type=ProxyType.ROUTER,
    name="a-0",
    namespace="default",
    ip="127.0.0.1",
    bind_address="127.0.0.1",
    labels=(("gateway", "web"),),
)
GROUP = "gateway.networking.k8s.io"
WORLD = """
apiVersion: {group}/v1
kind: Gateway
metadata: {{name: web, namespace: default}}
spec:
  gatewayClassName: istio
  tls: {{backend: {{clientCertificateRef: {{name: own}}}}}}
  listeners: [{{name: http, port: 80, protocol: HTTP}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web-istio, namespace: default}}
spec: {{selector: {{gateway: web}}, ports: [{{name: http, port: 80, targetPort: {port}}}]}}
---
apiVersion: {group}/v1
kind: HTTPRoute
metadata: {{name: web, namespace: default}}
spec:
  parentRefs: [{{name: web}}]
  rules:
  - backendRefs:
    - {{group: networking.istio.io, kind: Hostname, name: web.example.com, port: 443}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside, namespace: default}}
spec:
  hosts: [web.example.com]
  resolution: STATIC
  ports: [{{number: 443, name: https, protocol: HTTPS}}]
  endpoints: [{{address: 127.0.0.1, ports: {{https: {outside}}}}}]
---
apiVersion: {group}/v1
kind: BackendTLSPolicy
metadata: {{name: outside, namespace: default}}
spec:
  targetRefs: [{{group: networking.istio.io, kind: ServiceEntry, name: outside}}]
  validation:
    hostname: web.example.com
    caCertificateRefs: [{{group: "", kind: ConfigMap, name: roots}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: roots, namespace: default}}
data: {{ca.crt: {server}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: own, namespace: default}}
type: kubernetes.io/tls
stringData: {{tls.crt: {chain}, tls.key: {key}}}
"""


def context(folder: Path, own: str, of_clients: str) -> ssl.SSLContext:
    """A server with this certificate and key that takes clients with the other one only."""
    (folder / "server.pem").write_text(own)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(folder / "server.pem")
    found.verify_mode = ssl.CERT_REQUIRED
    found.load_verify_locations(cadata=of_clients)
    return found


async def until_served(port: int) -> None:
    async with asyncio.timeout(30), httpx2.AsyncClient() as client:
        while True:
            with suppress(httpx2.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


def test_a_server_is_shown_the_gateways_certificate(tmp_path: Path) -> None:
    async def scenario() -> None:
        server, server_key = (text.replace("\\n", "\n") for text in certificate(1))
        chain, key = (text.replace("\\n", "\n") for text in certificate(2))
        port = free_port()
        async with echo(context(tmp_path, server + server_key, chain)) as outside:
            shown = {"server": server, "chain": chain, "key": key}
            written = {name: json.dumps(text) for name, text in shown.items()}
            text = WORLD.format(group=GROUP, port=port, outside=outside, **written)
            scope = build_scope(build_snapshot(resources_of(text)), ROUTER)
            async with envoy_rig(tmp_path, compile_proxy(scope, Memo())):
                await until_served(port)

    asyncio.run(scenario())
