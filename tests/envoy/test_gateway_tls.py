"""A gateway ends TLS with the certificate of a Secret, and takes a renewed one at once."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from cryptography import x509

from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import SECRET, Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.certificates import self_signed
from tests.envoy.program import backend
from tests.envoy.rig import envoy_rig, free_port
from tests.manifests import resources_of
from tests.tls_scan import scan

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


def test_a_gateway_shows_the_certificate_of_a_secret_and_a_renewed_one_at_once(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        port = free_port()
        async with backend("hello") as upstream:
            first, second = (published(port, upstream, serial) for serial in (1, 2))
            async with envoy_rig(tmp_path, first) as envoy:
                for serial, current in ((1, first), (2, second)):
                    envoy.directory.publish(current)
                    secret = current[SECRET]["kubernetes://web"]
                    await envoy.directory.acked(SECRET, secret.name, secret.version)
                    async with asyncio.timeout(20):
                        while not await envoy.stat("listener_manager.total_listeners_active"):
                            pass
                    shown, answer = await visit(port)
                    assert shown == serial
                    assert answer == b"hello"
                found = await asyncio.to_thread(scan, ("127.0.0.1", port), "web.example.com")
                assert found.versions == {"TLSv1.2"}
                assert not found.weak

    asyncio.run(scenario())


def test_no_request_is_lost_while_the_certificate_is_renewed(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        async with backend("hello") as upstream:
            first, second = (published(port, upstream, serial) for serial in (1, 2))
            async with envoy_rig(tmp_path, first) as envoy:
                secret = first[SECRET]["kubernetes://web"]
                await envoy.directory.acked(SECRET, secret.name, secret.version)
                async with asyncio.timeout(20):
                    while not await envoy.stat("listener_manager.total_listeners_active"):
                        pass
                    old = await connect(port)
                    assert await ask(old) == b"hello"
                    envoy.directory.publish(second)
                    shown = 1
                    while shown == 1:
                        assert await ask(old) == b"hello"
                        shown, answer = await visit(port)
                        assert answer == b"hello"
                # Who is connected stays so, under the certificate it was shown.
                assert await ask(old) == b"hello"
                assert (shown, serial_of(old)) == (2, 1)
                old[1].close()

    asyncio.run(scenario())
