"""Istio's Bookinfo by the Gateway API: a gateway of its own, routes in and inside the mesh."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.corpora.corpus import cases
from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh

GATEWAY = "gateways.gateway.networking.k8s.io"
# Of Istio's `bookinfo-versions.yaml`, which its files of the Gateway API need.
VERSION = """\
apiVersion: v1
kind: Service
metadata: {name: reviews-v3}
spec:
  selector: {app: reviews, version: v3}
  ports: [{name: http, port: 9080}]
"""


def sample(name: str) -> str:
    return next(str(case["yaml"]) for case in cases("samples-bookinfo") if case["id"] == name)


def shown(mesh: Mesh, kind: str, name: str) -> dict[str, Any]:
    answer = mesh.clew("get", kind, name, "-o", "json")
    return dict(json.loads(answer.stdout)) if answer.returncode == 0 else {}


def published_port(mesh: Mesh) -> int:
    """Where the gateway's Service says that it is published; 0 as long as it does not."""
    service = shown(mesh, "service", "bookinfo-gateway-istio")
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    return int(ingress[0]["ports"][0]["port"]) if ingress else 0


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except OSError:
        return 0, ""


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status.get("conditions", ())}


@pytest.mark.parametrize("capture", [pytest.param("netns", marks=needs_root), "env"])
def test_bookinfo_of_the_gateway_api_routes_for_real(capture: str) -> None:
    files = sample("bk-bookinfo-gateway-gw")
    with running_mesh("gw", capture=capture) as mesh:
        applied = mesh.clew("apply", "-f", "-", text=files)
        assert applied.returncode == 0, applied.stderr
        eventually(lambda: published_port(mesh), what="the gateway's address")
        port = published_port(mesh)
        eventually(lambda: get(port, "/productpage")[0] == 200, what="the page at the gateway")
        assert get(port, "/api/v1/products/0/reviews")[0] == 200
        assert get(port, "/not-routed")[0] == 404

        status = shown(mesh, GATEWAY, "bookinfo-gateway")["status"]
        assert conditions(status)["Accepted"] == conditions(status)["Programmed"] == "True"
        assert status["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]
        assert status["listeners"][0]["attachedRoutes"] == 1
        route = shown(mesh, "httproute", "bookinfo")
        assert conditions(route["status"]["parents"][0])["ResolvedRefs"] == "True"
        assert route["metadata"]["generation"] == 1

        mesh_route = sample("bk-route-reviews-v3-gw")
        assert mesh.clew("apply", "-f", "-", text=f"{VERSION}---\n{mesh_route}").returncode == 0
        eventually(lambda: _only_red(port), what="reviews of v3 only")

        assert mesh.clew("delete", GATEWAY, "bookinfo-gateway").returncode == 0
        eventually(lambda: get(port, "/productpage")[0] == 0, what="the gateway's end")
        gone = "bookinfo-gateway-istio"
        eventually(lambda: not shown(mesh, "deployment", gone), what="its Deployment's end")


def _only_red(port: int) -> bool:
    """Whether ten answers in a row come from the version whose stars are red."""
    return all(
        '"color": "red"' in get(port, "/api/v1/products/0/reviews")[1].replace('":"', '": "')
        for _ in range(10)
    )
