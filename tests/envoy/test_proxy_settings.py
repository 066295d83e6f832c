"""A gateway's settings, seen by the program behind it and by its clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.envoy.mesh import live_mesh
from tests.envoy.program import response, serving
from tests.envoy.rig import free_port, running_envoy

WORLD = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: shop}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: [shop.example.com]}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.internal]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: {backend}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http: [{{rewrite: {{authority: inside}}, route: [{{destination: {{host: shop.internal}}}}]}}]
---
"""
MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data: {{mesh: "{{defaultConfig: {settings}}}"}}
"""


@asynccontextmanager
async def gateway(folder: Path, **spec: Any) -> AsyncIterator[None]:
    labels = {"istio": "ingressgateway"}
    about: dict[str, Any] = {
        "type": "router",
        "name": "ingress-0",
        "labels": labels,
        "bind_address": "127.0.0.1",
    }
    async with running_envoy(folder, **about, **spec):
        yield


def mirror() -> AbstractAsyncContextManager[int]:
    """A server that answers with the head of the request, and says what it is."""
    return serving(lambda head: response(head, fields=("X-MiXed: 1", "Server: inner")))


async def seen(port: int) -> tuple[str, str]:
    """What a client gets: the response's head, and the request's as the program got it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nX-CaMeL: 1\r\n"
        b"X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\nConnection: close\r\n\r\n"
    )
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, request = answer.partition("\r\n\r\n")
    return head, request


async def eventually(port: int, wanted: str) -> tuple[str, str]:
    """The first exchange with this text in it."""
    async with asyncio.timeout(20):
        while True:
            try:
                head, request = await seen(port)
                if wanted in (head + request).lower():
                    return head, request
            except OSError:
                pass  # the listener is not there yet
            await asyncio.sleep(0.05)


@pytest.mark.proves(
    "GatewayTopology.numTrustedProxies",
    "ServerHeader.value",
    "AttemptCount.disabled",
    "XForwardedHost.enabled",
    "XForwardedPort.enabled",
    "EnvoyDebugHeaders.disabled",
    "RequestIdHeader.disabled",
    "ProxyHeaders.preserveHttp1HeaderCase",
)
def test_headers_are_as_the_settings_say_without_a_restart(tmp_path: Path) -> None:
    settings = (
        "{gatewayTopology: {numTrustedProxies: 1}, proxyHeaders: {server: {value: shop}, "
        "attemptCount: {disabled: true}, xForwardedHost: {enabled: true}, "
        "xForwardedPort: {enabled: true}, envoyDebugHeaders: {disabled: true}, "
        "requestId: {disabled: true}, preserveHttp1HeaderCase: true}}"
    )

    async def scenario() -> None:
        port = free_port()
        async with mirror() as backend:
            world = WORLD.format(port=port, backend=backend)
            async with live_mesh(tmp_path, world) as mesh, gateway(tmp_path):
                head, request = await eventually(port, "200 ok")
                for each in ("server: istio-envoy", "x-envoy-upstream-service-time", "x-mixed: 1"):
                    assert each in head
                for each in ("x-envoy-attempt-count: 1", "x-request-id", "x-camel: 1"):
                    assert each in request
                assert "x-envoy-external-address: 127.0.0.1" in request
                await mesh.apply(MESH.format(settings=settings))
                head, request = await eventually(port, "server: shop")
                assert "x-envoy" not in head
                assert "X-MiXed: 1" in head
                assert "X-CaMeL: 1" in request
                assert "x-envoy-attempt-count" not in request
                assert "x-request-id" not in request.lower()
                assert "x-forwarded-host: shop.example.com" in request.lower()
                assert f"x-forwarded-port: {port}" in request.lower()
                assert "x-envoy-external-address: 198.51.100.7" in request.lower()

    asyncio.run(scenario())


@pytest.mark.proves("EnvoyConfigObjectPatch.applyTo=BOOTSTRAP")
def test_a_proxy_has_its_own_settings_and_patches_from_its_start(tmp_path: Path) -> None:
    own = {"proxyHeaders": {"server": {"value": "mine"}}}

    async def scenario() -> None:
        port = free_port()
        async with mirror() as backend:
            world = WORLD.format(port=port, backend=backend)
            patches = ({"header_prefix": "x-our"},)
            async with (
                live_mesh(tmp_path, world),
                gateway(tmp_path, own_settings=own, bootstrap_patches=patches),
            ):
                head, _ = await eventually(port, "200 ok")
                assert "server: mine" in head
                assert "x-our-upstream-service-time" in head

    asyncio.run(scenario())
