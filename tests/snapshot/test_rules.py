"""Which VirtualServices and DestinationRules hold for a proxy."""

from __future__ import annotations

import pytest

from clew.model.duration import Duration
from clew.snapshot.hosts import covers, overlap
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot
from tests.manifests import resources_of
from tests.snapshot.world import istio, mesh, outbound, service

ROUTE = "http: [{route: [{destination: {host: web}}]}]"


def rule_names(snapshot: MeshSnapshot, namespace: str = "default") -> list[str]:
    [listener] = outbound(snapshot, namespace).egress
    return [each.metadata.name for each in listener.virtual_services]


def ruled_by(snapshot: MeshSnapshot, namespace: str = "default", **labels: str) -> str:
    """The name of the DestinationRule in force for the only service, "" if there is none."""
    rules = outbound(snapshot, namespace, **labels).destination_rules
    return next((rule.metadata.name for rule in rules.values()), "")


def destination(
    name: str, host: str, *, more: str = "", namespace: str = "default", age: int = 0
) -> str:
    return istio("DestinationRule", name, f"{{host: {host}{more}}}", namespace, age)


@pytest.mark.parametrize(
    ("pattern", "host", "covered"),
    [
        ("*", "a.com", True),
        ("*.com", "a.com", True),
        ("*.a.com", "a.com", False),
        ("*.com", "*.a.com", True),
        ("*.a.com", "*.com", False),
        ("a.com", "a.com", True),
    ],
)
def test_a_wildcard_covers_every_name_that_ends_like_it(
    pattern: str, host: str, covered: bool
) -> None:
    assert covers(pattern, host) is covered
    assert overlap(pattern, host) is overlap(host, pattern)


def test_short_names_are_completed_with_the_namespace_of_the_rule() -> None:
    snapshot = mesh(istio("VirtualService", "r", "{hosts: [web], " + ROUTE + "}", "shop"))
    [listener] = outbound(snapshot, "default").egress
    [rule] = listener.virtual_services
    assert rule.spec.hosts == ("web.shop.svc.cluster.local",)
    assert rule.spec.http[0].route[0].destination.host == "web.shop.svc.cluster.local"


def test_private_rules_come_before_exported_ones_and_public_ones_and_older_before_younger() -> None:
    def rule(name: str, export_to: str, age: int, namespace: str = "default") -> str:
        spec = f"{{hosts: [web.com], exportTo: {export_to}, {ROUTE}}}"
        return istio("VirtualService", name, spec, namespace, age)

    snapshot = mesh(
        rule("public-young", "['*']", 2),
        rule("public-old", "['*']", 1),
        rule("exported", "[default, x]", 3, "other"),
        rule("private", "[.]", 4),
        rule("hidden", "[.]", 0, "other"),
    )
    assert rule_names(snapshot) == ["private", "exported", "public-old", "public-young"]


def test_rules_for_a_gateway_alone_are_none_of_a_sidecars_business() -> None:
    snapshot = mesh(istio("VirtualService", "r", f"{{hosts: [a.com], gateways: [g], {ROUTE}}}"))
    assert rule_names(snapshot) == []


def test_a_delegates_routes_take_the_place_of_the_reference_within_its_match() -> None:
    delegate = "delegate: {name: d, namespace: team}"
    root = f"{{hosts: [a.com], http: [{{match: [{{uri: {{prefix: /shop}}}}], {delegate}}}]}}"
    leaf = (
        "{http: [{match: [{uri: {prefix: /shop/cart}}], route: [{destination: {host: cart}}]},"
        " {match: [{uri: {prefix: /admin}}], route: [{destination: {host: admin}}]}]}"
    )
    snapshot = mesh(
        istio("VirtualService", "root", root), istio("VirtualService", "d", leaf, "team")
    )
    [listener] = outbound(snapshot).egress
    [rule] = listener.virtual_services
    assert [route.route[0].destination.host for route in rule.spec.http] == [
        "cart.team.svc.cluster.local"
    ]


def test_what_a_delegate_says_itself_holds_and_the_rest_is_the_roots() -> None:
    copies = "mirror: {host: copy}, mirrorPercent"
    root = f"{{hosts: [a.com], http: [{{delegate: {{name: d}}, timeout: 3s, {copies}: 50}}]}}"
    to = "route: [{destination: {host: a}}]"
    leaf = f"{{http: [{{{to}, {copies}: 0}}, {{{to}, timeout: 1s}}]}}"
    texts = (istio("VirtualService", "root", root), istio("VirtualService", "d", leaf))
    # Not by mesh(), which takes no warnings: mirrorPercent has one.
    snapshot = build_snapshot(resources_of("---".join(texts)))
    [listener] = outbound(snapshot).egress
    [rule] = listener.virtual_services
    said = [(route.timeout, route.mirror_percent) for route in rule.spec.http]
    assert said == [(Duration.parse("3s"), 0), (Duration.parse("1s"), 50)]


def test_the_clients_namespace_rules_first_then_the_services_then_the_root() -> None:
    rules = {
        "client": destination("client", "web.shop.svc.cluster.local", namespace="client"),
        "shop": destination("shop", "web", namespace="shop"),
        "root": destination("root", "'*.local'", namespace="istio-system"),
    }
    web = service("web", "shop")
    assert ruled_by(mesh(web, *rules.values()), "client") == "client"
    assert ruled_by(mesh(web, *rules.values()), "third") == "shop"
    assert ruled_by(mesh(web, rules["client"], rules["root"]), "third") == "root"
    assert ruled_by(mesh(web, rules["client"]), "third") == ""


def test_the_most_specific_host_of_a_namespace_decides() -> None:
    exact, wild = destination("exact", "web"), destination("wild", "'*.svc.cluster.local'")
    wider = destination("wider", "'*.local'")
    assert ruled_by(mesh(service("web"), wild, exact, wider)) == "exact"
    assert ruled_by(mesh(service("web"), wild, wider)) == "wild"


def test_a_rule_with_a_selector_holds_for_the_proxies_that_it_selects() -> None:
    chosen = destination("chosen", "web", more=", workloadSelector: {matchLabels: {app: a}}", age=1)
    snapshot = mesh(service("web"), destination("general", "web"), chosen)
    assert ruled_by(snapshot, app="a") == "chosen"
    assert ruled_by(snapshot, app="b") == "general"


def test_subsets_of_rules_for_one_host_add_up_and_the_oldest_policy_holds() -> None:
    simple = "trafficPolicy: {loadBalancer: {simple: RANDOM}}"
    old = destination(
        "old", "web", more=f", {simple}, subsets: [{{name: v1, labels: {{version: v1}}}}]"
    )
    young = destination(
        "young",
        "web",
        age=1,
        more=", trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}, "
        "subsets: [{name: v1, labels: {version: other}}, {name: v2, labels: {version: v2}}]",
    )
    [rule] = outbound(mesh(service("web"), young, old)).destination_rules.values()
    assert [(s.name, s.labels["version"]) for s in rule.spec.subsets] == [
        ("v1", "v1"),
        ("v2", "v2"),
    ]
    assert rule.spec.traffic_policy is not None
    assert rule.spec.traffic_policy.load_balancer is not None
    assert rule.spec.traffic_policy.load_balancer.simple == "RANDOM"
