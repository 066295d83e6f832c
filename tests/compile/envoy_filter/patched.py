"""A mesh whose proxies EnvoyFilters patch, and what they get by it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from clew.compile.config_dump import config_dump
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.compile.meshes import SERVICE
from tests.manifests import resources_of

Dump = dict[str, list[dict[str, Any]]]
TYPE = "type.googleapis.com/envoy.extensions.filters"
BUFFER = {"@type": f"{TYPE}.http.buffer.v3.Buffer", "max_request_bytes": 5}
LIMIT = {"@type": f"{TYPE}.network.connection_limit.v3.ConnectionLimit", "stat_prefix": "x"}
PROXY_PROTOCOL = {"@type": f"{TYPE}.listener.proxy_protocol.v3.ProxyProtocol"}
HCM = "envoy.filters.network.http_connection_manager"
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews, shop.example.com]
  gateways: [mesh, gateway]
  http:
    - {name: moved, match: [{uri: {prefix: /old}}], redirect: {uri: /new}}
    - {name: fixed, match: [{uri: {prefix: /ok}}], directResponse: {status: 200}}
    - {name: main, route: [{destination: {host: reviews, subset: v1, port: {number: 80}}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: default}
spec:
  selector: {app: app}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
    - port: {number: 443, name: web, protocol: HTTPS}
      hosts: [shop.example.com]
      tls: {mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem}
"""
SIDECAR = Proxy(
    type=ProxyType.SIDECAR,
    name="app",
    namespace="default",
    ip="10.0.0.1",
    labels=(("app", "app"),),
    version="1.31.0",
    metadata=(("CLUSTER_ID", "Kubernetes"),),
)
ROUTER = replace(SIDECAR, type=ProxyType.ROUTER, ip="10.0.0.9")
FAULT, CORS, ROUTER_FILTER = (f"envoy.filters.http.{n}" for n in ("fault", "cors", "router"))


def patch(kind: str, operation: str, value: Any = None, **match: Any) -> dict[str, Any]:
    filter_class = match.pop("filter_class", None)
    what = {"operation": operation, "value": value, "filterClass": filter_class}
    patch = {key: item for key, item in what.items() if item is not None}
    return {"applyTo": kind, "match": match, "patch": patch}


def published(*patches: dict[str, Any], proxy: Proxy = SIDECAR, **spec: Any) -> Published:
    return with_filters({"configPatches": list(patches), **spec}, proxy=proxy)


def with_filters(*specs: dict[str, Any], proxy: Proxy = SIDECAR, **meta: Any) -> Published:
    """What the proxy gets; the first filter is the oldest."""
    filters = [
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {
                "name": f"f{index}",
                "namespace": spec.pop("namespace", "default"),
                "creationTimestamp": f"2024-01-0{index + 1}T00:00:00Z",
            },
            "spec": spec,
        }
        for index, spec in enumerate(specs)
    ]
    texts = [SERVICE, ROUTES, *map(json.dumps, filters)]
    scope = build_scope(build_snapshot(resources_of("\n---\n".join(texts))), proxy)
    return compile_proxy(scope, Memo())


def dump(*patches: dict[str, Any], **about: Any) -> Dump:
    return config_dump(published(*patches, **about))


def named(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [one] = [each for each in found if each["name"] == name]
    return one


def chains(found: Dump, listener: str = "virtualInbound") -> list[dict[str, Any]]:
    return list(named(found["listeners"], listener)["filter_chains"])


def http_filters(found: Dump, listener: str = "0.0.0.0_80") -> list[str]:
    """The names of the HTTP filters of the listener's first chain that has some."""
    for chain in chains(found, listener):
        for each in chain["filters"]:
            if each["name"] == HCM:
                return [f["name"] for f in each["typed_config"]["http_filters"]]
    return []


def http(sub_filter: str = "", **listener: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": HCM}
    if sub_filter:
        found["subFilter"] = {"name": sub_filter}
    return {"filterChain": {"filter": found}, **listener}


def own(name: str = "ours", config: dict[str, Any] = BUFFER) -> dict[str, Any]:
    return {"name": name, "typed_config": config}


def first(name: str) -> dict[str, Any]:
    return patch("HTTP_FILTER", "INSERT_FIRST", own(name), listener=http())
