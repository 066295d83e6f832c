"""Requests stay in the client's zone, once Envoy knows how many clients each zone has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clew.model.mesh_proxy_config import MeshProxyConfig
from tests.envoy.mesh import live_mesh
from tests.envoy.program import backend
from tests.envoy.rig import free_port
from tests.envoy.test_tls_origination import proxy, through

MESH = """
apiVersion: v1
kind: Service
metadata: {{name: client}}
spec: {{clusterIP: 240.0.0.2, selector: {{app: client}}, ports: [{{name: http, port: {listens}}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: client-0, labels: {{app: client, topology.istio.io/locality: r.a}}}}
spec: {{containers: [{{name: app}}]}}
status: {{podIP: 127.0.0.2, conditions: [{{type: Ready, status: "True"}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: client-1, labels: {{app: client, topology.istio.io/locality: r.b}}}}
spec: {{containers: [{{name: app}}]}}
status: {{podIP: 127.0.0.3, conditions: [{{type: Ready, status: "True"}}]}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: web}}
spec:
  hosts: [web.example.com]
  addresses: [240.0.0.9]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
  - {{address: 127.0.0.1, ports: {{http: {near}}}, locality: r/a}}
  - {{address: 127.0.0.1, ports: {{http: {far}}}, locality: r/b}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web}}
spec:
  host: web.example.com
  trafficPolicy:
    loadBalancer: {{simple: ROUND_ROBIN, zoneAwareLbSetting: {{minClusterSize: 1}}}}
"""


@pytest.mark.proves("ZoneAwareLoadBalancerSetting.minClusterSize")
@pytest.mark.parametrize(("knows", "reached"), [("true", {"near"}), ("false", {"near", "far"})])
def test_requests_stay_in_their_zone_if_the_proxy_is_to_know_its_own_service(
    tmp_path: Path, knows: str, reached: set[str]
) -> None:
    async def scenario() -> None:
        port = free_port()
        settings = MeshProxyConfig(proxy_metadata={"ISTIO_META_ENABLE_SELF_DISCOVERY": knows})
        async with backend("near") as near, backend("far") as far:
            text = MESH.format(listens=free_port(), near=near, far=far)
            place: dict[str, Any] = {
                "ip": "127.0.0.2",
                "locality": "r/a",
                "labels": {"app": "client"},
            }
            async with (
                live_mesh(tmp_path, text),
                proxy(tmp_path, "client-0", http_proxy_port=port, settings=settings, **place),
                httpx2.AsyncClient(proxy=f"http://127.0.0.1:{port}") as client,
            ):
                await through(port, wanted=200)
                answers = [await client.get("http://web.example.com/") for _ in range(20)]
                assert {each.text for each in answers} == reached

    asyncio.run(scenario())
