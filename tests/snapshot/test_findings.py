"""What the mesh says of objects whose references lead nowhere."""

from __future__ import annotations

from clew.model.base import ResourceKey
from clew.snapshot.findings import mesh_findings
from tests.snapshot.world import mesh, service

RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default}}
spec:
  hosts: [{host}]
  gateways: [{gateways}]
  http: [{{route: [{{destination: {{host: {destination}}}}}]}}]
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.com"]}]
"""
SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
"""
REVIEWS = ResourceKey("networking.istio.io", "VirtualService", "default", "reviews")


def rule(destination: str = "reviews", *, gateways: str = "mesh", host: str = "reviews") -> str:
    return RULE.format(destination=destination, gateways=gateways, host=host)


def said(*texts: str, of: ResourceKey = REVIEWS) -> list[tuple[str, str]]:
    """Code and field of each finding."""
    return [(d.code, d.place.field) for d in mesh_findings(mesh(*texts)).get(of, ())]


def test_a_rule_of_which_everything_exists_is_not_mentioned() -> None:
    assert said(service("reviews"), SUBSETS, rule("reviews, subset: v1")) == []


def test_a_gateway_that_does_not_exist_is_named() -> None:
    assert said(service("reviews"), rule(gateways="web")) == [("IST0101", "spec.gateways[0]")]
    exists = rule(gateways="web", host="a.example.com")
    assert said(service("reviews"), GATEWAY, exists) == []


def test_hosts_that_the_gateway_does_not_have_are_named() -> None:
    elsewhere = rule(gateways="web", host="a.example.org")
    assert said(service("reviews"), GATEWAY, elsewhere) == [("IST0132", "spec.hosts")]


def test_a_destination_without_service_subset_or_port_is_named() -> None:
    field = "spec.http[0].route[0].destination"
    assert said(rule()) == [("IST0101", field)]
    assert said(service("reviews"), rule("reviews, subset: v1")) == [("IST0101", field)]
    assert said(service("reviews"), rule("reviews, port: {number: 81}")) == [("IST0101", field)]


DELEGATING = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec: {hosts: [reviews], http: [{delegate: {name: leaf, namespace: other}}]}
"""
LEAF = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: leaf, namespace: other}
spec: {http: [{route: [{destination: {host: reviews.default.svc.cluster.local}}]}]}
"""


def test_a_delegate_that_cannot_take_the_route_is_named() -> None:
    delegate = [("IST0101", "spec.http[0].delegate")]
    assert said(service("reviews"), DELEGATING) == delegate
    assert said(service("reviews"), DELEGATING, LEAF) == []
    private = LEAF.replace("spec: {", 'spec: {exportTo: ["."], ')
    assert said(service("reviews"), DELEGATING, private) == delegate
    with_hosts = LEAF.replace("spec: {", "spec: {hosts: [leaf], ")
    assert said(service("reviews"), DELEGATING, with_hosts) == delegate


def test_a_destination_rule_for_no_service_is_named() -> None:
    key = ResourceKey("networking.istio.io", "DestinationRule", "default", "reviews")
    assert said(SUBSETS, of=key) == [("IST0101", "spec.host")]
    assert said(service("reviews"), SUBSETS, of=key) == []
    every = SUBSETS.replace("host: reviews", 'host: "*.local"')
    assert said(service("reviews"), every, of=key) == []


def test_a_udp_port_is_named() -> None:
    udp = service("dns", ports="{name: dns, port: 53, protocol: UDP}")
    key = ResourceKey("", "Service", "default", "dns")
    [found] = mesh_findings(mesh(udp))[key]
    assert "port 53 is UDP" in found.problem


def test_a_port_of_a_protocol_that_istio_does_not_know_is_named() -> None:
    text = service("calls", ports="{name: tcp, port: 80}, {name: sip, port: 5060, protocol: SCTP}")
    [found] = mesh_findings(mesh(text))[ResourceKey("", "Service", "default", "calls")]
    assert "port 5060 is SCTP" in found.problem


TELEMETRY = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: told, namespace: default}
spec:
  tracing: [{providers: [{name: envoy}]}]
  accessLogging: [{providers: [{name: gone}, {name: envoy}]}]
  metrics:
  - providers: [{name: prometheus}]
    overrides:
    - tagOverrides: {a: {value: "upstream_peer.app"}, b: {value: request.host}}
"""


def test_a_telemetry_hears_of_what_cannot_be_sent_or_told() -> None:
    told = ResourceKey("telemetry.istio.io", "Telemetry", "default", "told")
    assert said(TELEMETRY, of=told) == [
        ("", "spec.metrics[0].overrides[0].tagOverrides.a.value"),
        ("IST0101", "spec.accessLogging[0].providers[0].name"),
        ("IST0101", "spec.tracing[0].providers[0].name"),
    ]
