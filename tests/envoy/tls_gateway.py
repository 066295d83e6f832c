"""A gateway that ends TLS with the certificate of a Secret, and its visitors."""

from __future__ import annotations

import asyncio
import ssl

from cryptography import x509

from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.certificates import self_signed
from tests.manifests import resources_of

ROUTER = Proxy(
    type=ProxyType.ROUTER,
    name="ingress",
    namespace="default",
    ip="127.0.0.1",
    bind_address="127.0.0.1",
    labels=(("istio", "ingressgateway"),),
)
MESH = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: web, namespace: default}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: {port}, name: https, protocol: HTTPS}}
    tls: {{mode: SIMPLE, credentialName: web}}
    hosts: [web.example.com]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: default}}
spec:
  hosts: [web.example.com]
  gateways: [web]
  http: [{{route: [{{destination: {{host: upstream.example.com}}}}]}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: upstream, namespace: default}}
spec:
  hosts: [upstream.example.com]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {upstream}}}}}]
---
apiVersion: v1
kind: Secret
metadata: {{name: web, namespace: default}}
type: kubernetes.io/tls
stringData:
  tls.crt: "{certificate}"
  tls.key: "{key}"
"""


def certificate(serial: int) -> tuple[str, str]:
    """A self-signed certificate of web.example.com and its key, PEM on one YAML line."""
    chain, key = self_signed("web.example.com", "web.example.com", serial=serial)
    return chain.replace("\n", "\\n"), key.replace("\n", "\\n")


def published(port: int, upstream: int, serial: int) -> Published:
    chain, key = certificate(serial)
    text = MESH.format(port=port, upstream=upstream, certificate=chain, key=key)
    return compile_proxy(build_scope(build_snapshot(resources_of(text)), ROUTER), Memo())


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(port: int) -> Connection:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="web.example.com"
    )


def serial_of(connection: Connection) -> int:
    shown = connection[1].get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown).serial_number


async def ask(connection: Connection) -> bytes:
    """The body of an answer; the connection stays."""
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nhost: web.example.com\r\n\r\n")
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


async def visit(port: int) -> tuple[int, bytes]:
    """The serial number of the certificate that the gateway shows, and what it answers."""
    connection = await connect(port)
    answer = await ask(connection)
    connection[1].close()
    return serial_of(connection), answer
