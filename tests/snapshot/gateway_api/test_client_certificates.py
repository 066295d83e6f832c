"""What a Gateway shows to backends whose policies ask for TLS, and who gets it."""

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
from tests.corpora.gateway_worlds import roots, tls_secret
from tests.manifests import resources_of

GROUP = "gateway.networking.k8s.io"
WORLD = """
apiVersion: v1
kind: Service
metadata: {{name: shop, namespace: default}}
spec: {{ports: [{{name: https, port: 443}}]}}
---
apiVersion: {group}/v1
kind: BackendTLSPolicy
metadata: {{name: shop, namespace: default}}
spec:
  targetRefs: [{{group: "", kind: Service, name: shop}}]
  validation: {{hostname: shop.example.com, {authorities}}}
---
apiVersion: {group}/v1
kind: Gateway
metadata: {{name: own, namespace: default}}
spec:
  gatewayClassName: istio
  tls: {{backend: {{clientCertificateRef: {{name: {certificate}}}}}}}
  listeners: [{{name: http, port: 8080, protocol: HTTP}}]
---
apiVersion: {group}/v1
kind: Gateway
metadata: {{name: other, namespace: default}}
spec: {{gatewayClassName: istio, listeners: [{{name: http, port: 8080, protocol: HTTP}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: own-istio, namespace: default}}
spec: {{selector: {{gateway: own}}, ports: [{{name: http, port: 8080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: other-istio, namespace: default}}
spec: {{selector: {{gateway: other}}, ports: [{{name: http, port: 8080}}]}}
"""
IN_CONFIG_MAP = "caCertificateRefs: [{group: '', kind: ConfigMap, name: roots}]"
OF_SYSTEM = "wellKnownCACertificates: System"
OWN = "kubernetes-gateway://default/own"


def published(gateway: str, authorities: str, certificate: str = "own") -> Published:
    text = WORLD.format(group=GROUP, authorities=authorities, certificate=certificate)
    made = [tls_secret("own", "default"), roots("roots", "default")]
    resources = [*resources_of(text), *(parse_manifest(each).resource for each in made)]
    proxy = Proxy(
        type=ProxyType.ROUTER,
        name=f"{gateway}-0",
        namespace="default",
        ip="10.0.0.9",
        labels=(("gateway", gateway),),
    )
    snapshot = build_snapshot(each for each in resources if each is not None)
    return compile_proxy(build_scope(snapshot, proxy), Memo())


def tls(found: Published) -> dict[str, Any]:
    """How the gateway's proxies secure what they send to the shop."""
    clusters = {each["name"]: each for each in config_dump(found)["clusters"]}
    socket = clusters["outbound|443||shop.default.svc.cluster.local"]["transport_socket"]
    return dict(socket["typed_config"]["common_tls_context"])


def presents(found: Published) -> list[str]:
    return [each["name"] for each in tls(found).get("tls_certificate_sds_secret_configs", ())]


def verifies(found: Published) -> str:
    combined = tls(found)["combined_validation_context"]
    return str(combined["validation_context_sds_secret_config"]["name"])


@pytest.mark.proves("GatewayTLSConfig.backend", "GatewayBackendTLS.clientCertificateRef")
def test_a_gateway_shows_its_certificate_and_verifies_by_what_the_policy_says() -> None:
    found = published("own", IN_CONFIG_MAP)
    assert presents(found) == [f"{OWN}+configmap://default/roots"]
    assert verifies(found) == f"{OWN}+configmap://default/roots-cacert"
    assert {presents(found)[0], verifies(found)} <= found[SECRET].keys()
    assert b"BEGIN CERTIFICATE" in found[SECRET][verifies(found)].body


def test_the_systems_authorities_stay_those_of_the_system() -> None:
    found = published("own", OF_SYSTEM)
    assert presents(found) == [OWN]
    assert verifies(found) == "file-root:system"
    assert {OWN, "file-root:system"} <= found[SECRET].keys()


def test_nobody_else_gets_it() -> None:
    found = published("other", IN_CONFIG_MAP)
    assert presents(found) == []
    assert not [name for name in found[SECRET] if OWN in name]


def test_one_that_is_not_there_is_not_asked_for() -> None:
    found = published("own", IN_CONFIG_MAP, certificate="missing")
    assert presents(found) == []
    assert verifies(found) == "configmap://default/roots-cacert"
