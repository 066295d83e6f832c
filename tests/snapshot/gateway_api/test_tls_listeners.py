"""TLS listeners of the Gateway API: whose hosts they serve, and where TLS ends."""

from __future__ import annotations

from typing import Any

import pytest

from clew.compile.config_dump import config_dump
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.config.parse import parse_manifest
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import SECRET, Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.corpora.gateway_worlds import tls_secret
from tests.manifests import resources_of

WORLD = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  gatewayClassName: clew
  listeners:
  - {name: a, port: 443, protocol: HTTPS, hostname: a.com, tls: &tls {certificateRefs: [{name: c}]}}
  - {name: b, port: 443, protocol: HTTPS, hostname: b.com, tls: *tls}
  - {name: t, port: 8443, protocol: TLS, hostname: "*.t.com", tls: *tls}
---
apiVersion: v1
kind: Service
metadata: {name: web-clew, namespace: default}
spec:
  selector: {app: web}
  ports: [{name: https, port: 443}, {name: tls, port: 8443}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: default, labels: {app: web}}
spec: {containers: []}
status: {podIP: 10.0.0.9, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all, namespace: default}
spec:
  parentRefs: [{name: web, port: 443}]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: one, namespace: default}
spec:
  parentRefs: [{name: web, sectionName: t}]
  hostnames: [one.t.com]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {ports: [{name: http, port: 80}]}
"""


def published() -> Published:
    secret = parse_manifest(tls_secret("c", "default")).resource
    assert secret is not None
    proxy = Proxy(
        type=ProxyType.ROUTER,
        name="web-0",
        namespace="default",
        ip="10.0.0.9",
        labels=(("app", "web"),),
    )
    scope = build_scope(build_snapshot([*resources_of(WORLD), secret]), proxy)
    return compile_proxy(scope, Memo())


def compiled() -> dict[str, list[dict[str, Any]]]:
    return config_dump(published())


def listener(port: int) -> dict[str, Any]:
    [found] = [each for each in compiled()["listeners"] if each["name"].endswith(f"_{port}")]
    return found


@pytest.mark.proves("Listener.hostname")
def test_a_connection_serves_no_host_of_another_listener() -> None:
    for configuration in compiled()["routes"]:
        own = "a.com" if "~a." in configuration["name"] else "b.com"
        hosts = {host["domains"][0]: host["routes"][0] for host in configuration["virtual_hosts"]}
        assert hosts.keys() == {own, "*"}
        assert hosts[own]["route"]["cluster"] == "outbound|80||shop.default.svc.cluster.local"
        assert hosts["*"]["direct_response"]["status"] == 421


@pytest.mark.proves("ListenerTLSConfig.mode=Terminate", "TLSRouteSpec.hostnames")
def test_a_tls_route_chooses_by_name_where_tls_ends() -> None:
    [chain] = listener(8443)["filter_chains"]
    assert chain["filter_chain_match"]["server_names"] == ["one.t.com"]
    assert chain["transport_socket"]["name"] == "envoy.transport_sockets.tls"
    cluster = chain["filters"][-1]["typed_config"]["cluster"]
    assert cluster == "outbound|80||shop.default.svc.cluster.local"


@pytest.mark.proves("ListenerTLSConfig.certificateRefs")
def test_proxies_get_the_certificates_that_listeners_name() -> None:
    assert "kubernetes-gateway://default/c" in published()[SECRET]
