"""What compiling for a proxy says of single objects."""

from __future__ import annotations

from clew.compile.findings import scope_findings
from clew.compile.memo import Memo
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.manifests import resources_of

ROUTER = Proxy(
    type=ProxyType.ROUTER,
    name="ingress",
    namespace="default",
    ip="10.0.0.1",
    labels=(("istio", "ingressgateway"),),
)
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: default, creationTimestamp: "{created}"}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, name: {name}, protocol: {protocol}}}, hosts: ["*"]}}]
---
"""


def test_a_server_on_a_port_that_an_older_gateway_has_for_another_protocol_is_named() -> None:
    old = GATEWAY.format(name="old", created="2024-01-01T00:00:00Z", protocol="HTTP")
    new = GATEWAY.format(name="new", created="2025-01-01T00:00:00Z", protocol="TCP")
    scope = build_scope(build_snapshot(resources_of(old + new)), ROUTER)
    [found] = scope_findings(scope, Memo())
    assert found.place.resource is not None
    assert (found.place.resource.name, found.place.field) == ("new", "spec.servers[0]")
    assert found.code == "IST0145"
    assert "default/old" in found.problem


TLS_GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["*"]
    tls: {mode: MUTUAL, credentialName: web}
---
apiVersion: v1
kind: Service
metadata: {name: out, namespace: default}
spec: {ports: [{name: https, port: 443}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: out, namespace: default}
spec: {host: out, trafficPolicy: {tls: {mode: SIMPLE, credentialName: roots}}}
---
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: {namespace}}}
stringData: {{{data}}}
---
"""


def problems(text: str) -> list[str]:
    scope = build_scope(build_snapshot(resources_of(text)), ROUTER)
    return [found.problem.partition(":")[0] for found in scope_findings(scope, Memo())]


def test_secrets_that_are_missing_are_named() -> None:
    certificate = "there is no Secret default/web with tls.crt and tls.key"
    roots, of_rule = (
        "there is no Secret default/web with ca.crt",
        "there is no Secret default/roots",
    )
    assert problems(TLS_GATEWAY) == [certificate, roots, of_rule]
    pair = "tls.crt: a, tls.key: b"
    elsewhere = SECRET.format(name="web", namespace="other", data=pair)
    assert problems(TLS_GATEWAY + elsewhere) == [certificate, roots, of_rule]
    own = SECRET.format(name="web", namespace="default", data=pair)
    assert problems(TLS_GATEWAY + own) == [roots, of_rule]
    trusted = SECRET.format(name="web-cacert", namespace="default", data="ca.crt: a")
    assert problems(TLS_GATEWAY + own + trusted) == [of_rule]
    of_server = SECRET.format(name="roots-cacert", namespace="default", data="ca.crt: a")
    assert problems(TLS_GATEWAY + own + trusted + of_server) == []
