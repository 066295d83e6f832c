"""A gateway that tells of its traffic: what is written, and what programs and collectors see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from clew.agent.exposition import istio_page
from clew.model.metrics import CLUSTER, Own, Peer
from tests.envoy.mesh import answer, eventually_answers, ingress, live_mesh
from tests.envoy.program import response, serving
from tests.envoy.rig import free_port

HOST = "shop.example.com"
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
  hosts: [shop.internal, collector.internal]
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
  http:
  - name: to-the-shop
    match: [{{uri: {{prefix: /shop}}}}]
    route: [{{destination: {{host: shop.internal}}}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    extensionProviders:
    - {{name: otel, opentelemetry: {{service: collector.internal, port: 80,
        http: {{path: /spans}}}}}}
    - {{name: zipkin, zipkin: {{service: collector.internal, port: 80,
        traceContextOption: USE_B3_WITH_W3C_PROPAGATION}}}}
    - {{name: file, envoyFileAccessLog: {{path: access.log,
        logFormat: {{text: "%RESPONSE_CODE% %REQ(:PATH)% %ROUTE_NAME%"}}}}}}
---
"""


def telemetry(spec: str) -> str:
    return f"""
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: told}}
spec: {{{spec}}}
"""


@asynccontextmanager
async def remembering() -> AsyncIterator[tuple[int, list[str]]]:
    """A server that remembers the heads of all requests."""
    heads: list[str] = []

    def answer(head: bytes) -> bytes:
        heads.append(head.decode().lower())
        return response(b"ok")

    async with serving(answer) as port:
        yield port, heads


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


async def page_of(folder: Path) -> str:
    transport = httpx2.AsyncHTTPTransport(uds=str(folder / "admin.sock"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://envoy") as client:
        return (await client.get("/stats/prometheus")).text


def test_only_what_the_filter_wants_is_logged_and_everything_is_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        spec = (
            "accessLogging: [{providers: [{name: file}], filter:"
            " {expression: 'response.code == 404'}}],"
            "metrics: [{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides:"
            " {route: {value: xds.route_name}, long: {value: 'request.url_path.size() > 5'},"
            " source_app: {operation: REMOVE}}}]}]"
        )
        async with (
            remembering() as (backend, _),
            live_mesh(tmp_path, WORLD.format(port=port, backend=backend) + telemetry(spec)),
            ingress(tmp_path),
        ):
            assert (await eventually_answers(port, HOST, "/shop"))[0] == 200
            assert (await answer(port, HOST, "/nowhere"))[0] == 404
            log = tmp_path / "access.log"
            own = Own(Peer("gw", "default", "gw", "latest", CLUSTER, "gw", ""), "spiffe://a/b")
            lines: list[str] = []

            async def counted() -> None:
                while len(lines) < 2:
                    page = istio_page(await page_of(tmp_path), own)
                    lines[:] = [x for x in page.splitlines() if x.startswith("istio_requests_t")]

            async with asyncio.timeout(30):
                await counted()
            found, missing = sorted(lines, key=lambda line: "404" in line)
            assert 'route="to-the-shop"' in found
            assert 'long="false"' in found
            assert 'destination_service="shop.internal"' in found
            assert 'destination_service_namespace="default"' in found
            assert 'source_workload="gw"' in found
            assert "source_app" not in found
            assert 'response_flags="NR"' in missing
            assert 'long="true"' in missing
            assert 'route="unknown"' in missing
            await until(log.read_text)  # Envoy writes what it has every ten seconds
            assert set(log.read_text().splitlines()) == {"404 /nowhere -"}

    asyncio.run(scenario())


def test_spans_are_sent_and_contexts_passed_on_as_w3c_has_them(tmp_path: Path) -> None:
    heads = asyncio.run(traced(tmp_path, "otel", "/spans"))
    assert any("traceparent: 00-" in head for head in heads)
    assert not any("x-b3-traceid" in head for head in heads)


def test_zipkins_contexts_are_both_b3_and_w3c(tmp_path: Path) -> None:
    heads = asyncio.run(traced(tmp_path, "zipkin", "/api/v2/spans"))
    assert any("traceparent: 00-" in head and "x-b3-traceid: " in head for head in heads)


async def traced(folder: Path, provider: str, path: str) -> list[str]:
    """The heads of requests that a program gets once spans have gone to the provider's path."""
    port = free_port()
    spec = f"tracing: [{{providers: [{{name: {provider}}}], randomSamplingPercentage: 100}}]"
    async with (
        remembering() as (backend, heads),
        live_mesh(folder, WORLD.format(port=port, backend=backend) + telemetry(spec)),
        ingress(folder),
    ):
        assert (await eventually_answers(port, HOST, "/shop"))[0] == 200
        async with asyncio.timeout(30):
            while not any(head.startswith(f"post {path} ") for head in heads):
                await answer(port, HOST, "/shop")
        return [head for head in heads if head.startswith("get /shop")]
