"""What the mesh says of objects that want the same as others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.concern import concerned
from clew.snapshot.findings import mesh_findings
from clew.snapshot.scope_builder import build_scope
from tests.snapshot.world import istio, mesh, service

ROUTE = "http: [{route: [{destination: {host: web}}]}]"


def said(*texts: str) -> list[tuple[str, str, str]]:
    """Kind and name of the objects that are not heeded, and in what."""
    found = mesh_findings(mesh(service("web"), *texts))
    return [(key.kind, key.name, d.place.field) for key, all_ in found.items() for d in all_]


def rule(name: str, age: int, more: str = "", *, namespace: str = "default") -> str:
    spec = f"{{hosts: [web.default.svc.cluster.local], {ROUTE}{more}}}".replace(
        "host: web}", "host: web.default.svc.cluster.local}"
    )
    return istio("VirtualService", name, spec, namespace, age)


def test_of_several_rules_for_a_host_of_the_mesh_the_later_are_named() -> None:
    young = ("VirtualService", "young", "spec.hosts")
    assert said(rule("young", 2), rule("old", 1)) == [young]
    assert said(rule("young", 2), rule("old", 1, namespace="other")) == [young]
    assert said(rule("only", 2)) == []


def test_a_private_rule_may_come_before_what_all_others_see() -> None:
    assert said(rule("young", 2, ", exportTo: [.]"), rule("old", 1)) == []
    both = (rule("young", 2, ", exportTo: [.]"), rule("old", 1, ", exportTo: [.]"))
    assert said(*both) == [("VirtualService", "young", "spec.hosts")]
    apart = (both[0], rule("old", 1, ", exportTo: [.]", namespace="other"))
    assert said(*apart) == []


def test_at_gateways_and_without_http_nothing_is_lost() -> None:
    gateway = (
        "{selector: {a: b}, servers: [{port: {number: 80, name: http, protocol: HTTP},"
        " hosts: ['*']}]}"
    )
    texts = [rule(name, age, ", gateways: [g]") for name, age in (("young", 2), ("old", 1))]
    assert said(istio("Gateway", "g", gateway), *texts) == []
    tcp = rule("old", 1).replace("http: [{route", "tcp: [{route")
    assert said(rule("young", 2), tcp) == []


def policy(name: str, age: int, more: str) -> str:
    return istio("DestinationRule", name, f"{{host: web, {more}}}", age=age)


def test_what_a_later_rule_says_again_of_a_host_is_named() -> None:
    balanced = "trafficPolicy: {loadBalancer: {simple: RANDOM}}"
    subsets = "subsets: [{name: v0}, {name: v1}]"
    old = policy("old", 1, f"{balanced}, subsets: [{{name: v1}}]")
    assert said(old, policy("young", 2, f"{balanced}, {subsets}")) == [
        ("DestinationRule", "young", "spec.trafficPolicy"),
        ("DestinationRule", "young", "spec.subsets[1]"),
    ]
    assert said(old, policy("young", 2, "subsets: [{name: v2}]")) == []
    assert said(old, policy("young", 2, f"{balanced}, exportTo: [.]")) == []
    selected = f"{balanced}, workloadSelector: {{matchLabels: {{a: b}}}}"
    assert said(old, policy("young", 2, selected)) == []


def entry(name: str, host: str, resolution: str, age: int) -> str:
    ports = "ports: [{number: 80, name: http, protocol: HTTP}]"
    spec = f"{{hosts: [{host}], resolution: {resolution}, {ports}}}"
    return istio("ServiceEntry", name, spec, age=age)


def test_of_several_declarations_of_a_host_those_that_are_not_used_are_named() -> None:
    own = "web.default.svc.cluster.local"
    young = ("ServiceEntry", "young", "spec.hosts[0]")
    assert said(entry("young", own, "DNS", 2)) == [young]
    outside = entry("old", "example.com", "DNS", 1)
    assert said(outside, entry("young", "example.com", "NONE", 2)) == [young]
    assert said(outside, entry("young", "example.com", "DNS", 2)) == []


def test_of_two_sidecars_for_a_whole_namespace_the_later_is_named() -> None:
    everything = "egress: [{hosts: ['*/*']}]"
    one, two = (
        istio("Sidecar", n, f"{{{everything}}}", age=a) for n, a in (("one", 1), ("two", 2))
    )
    selecting = "{workloadSelector: {labels: {a: b}}, " + everything + "}"
    assert said(one, istio("Sidecar", "two", selecting, age=2)) == []
    assert said(two, one) == [("Sidecar", "two", "")]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("PeerAuthentication", "mtls: {mode: STRICT}"),
        ("Telemetry", "tracing: [{randomSamplingPercentage: 5}]"),
    ],
)
def test_of_two_policies_for_a_whole_namespace_the_later_is_for_nobody(
    kind: str, spec: str
) -> None:
    one, two = (istio(kind, n, f"{{{spec}}}", age=a) for n, a in (("one", 1), ("two", 2)))
    chosen = istio(kind, "two", f"{{selector: {{matchLabels: {{a: b}}}}, {spec}}}", age=2)
    elsewhere = istio(kind, "two", f"{{{spec}}}", "istio-system", age=2)
    assert said(one, chosen) == said(one, elsewhere) == []
    assert said(two, one) == [(kind, "two", "")]
    client = Proxy(type=ProxyType.SIDECAR, name="a-0", namespace="default", ip="10.0.0.1")
    client = replace(client, labels=(("a", "b"),))
    for texts, names in (((two, one), {"one"}), ((one, chosen), {"one", "two"})):
        snapshot = mesh(*texts)
        found = concerned(snapshot, build_scope(snapshot, client))
        assert {key.name for key in found if key.kind == kind} == names
