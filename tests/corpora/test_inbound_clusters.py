"""Istio's tables of inbound clusters: from a sidecar to the application beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clew.compile.config_dump import config_dump
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.config.parse import parse_manifest, parse_mesh_config
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases

APP = Proxy(type=ProxyType.SIDECAR, name="app", namespace="default", ip="1.2.3.4")


def declared(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the case's objects as manifests; its Go services as ServiceEntries."""
    for each in case["configs"] or ():
        meta = each["Meta"]
        yield {
            "apiVersion": "networking.istio.io/v1",
            "kind": meta["GroupVersionKind"]["Kind"],
            "metadata": {"name": meta["Name"], "namespace": meta["Namespace"]},
            "spec": each["Spec"],
        }
    for service in case["services"] or ():
        targets = {
            each["Endpoint"]["ServicePortName"]: each["Endpoint"]["EndpointPort"]
            for each in case["instances"] or ()
            if each["Service"]["Hostname"] == service["Hostname"]
        }
        yield {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": service["Hostname"], "namespace": "default"},
            "spec": {
                "hosts": [service["Hostname"]],
                "addresses": [service["DefaultAddress"]],
                "resolution": "STATIC",
                "location": "MESH_INTERNAL",
                "ports": [
                    {"name": p["Name"], "number": p["Port"], "protocol": p["Protocol"]}
                    for p in service["Ports"]
                ],
                "endpoints": [{"address": "1.2.3.4", "ports": targets}],
            },
        }


def inbound_clusters(case: dict[str, Any]) -> bool:
    """Whether the inbound clusters have the expected names, addresses and services."""
    objects = [r for each in declared(case) if (r := parse_manifest(each).resource) is not None]
    mode = "LOCALHOST" if case["localhost_inbound"] else "PASSTHROUGH"
    mesh, _ = parse_mesh_config(f"inboundTrafficPolicy: {{mode: {mode}}}")
    snapshot = build_snapshot(objects, mesh)
    clusters = {
        each["name"]: each
        for each in config_dump(compile_proxy(build_scope(snapshot, APP), Memo()))["clusters"]
        if each["name"].startswith("inbound|")
    }
    addresses = {name: addresses_of(each) for name, each in clusters.items()}
    services = {
        name: sorted(s["host"] for s in each["metadata"]["filter_metadata"]["istio"]["services"])
        for name, each in clusters.items()
    }
    telemetry = case["expected_telemetry"]
    return addresses == case["expected_clusters"] and telemetry in (None, services)


def addresses_of(cluster: dict[str, Any]) -> list[str] | None:
    """The addresses of a static cluster; None: it goes where the client wanted."""
    if cluster["type"] != "STATIC":
        return None
    return [
        address["pipe"]["path"]
        if "pipe" in address
        else f"{address['socket_address']['address']}:{address['socket_address']['port_value']}"
        for locality in cluster["load_assignment"]["endpoints"]
        for each in locality["lb_endpoints"]
        for address in [each["endpoint"]["address"]]
    ]


def test_inbound_clusters_lead_to_the_application(score: Score) -> None:
    found = cases("routing-inbound-clusters")
    wrong = [case["name"] for case in found if not inbound_clusters(case)]
    score("routing-inbound-clusters", len(found), wrong, 1.0)
