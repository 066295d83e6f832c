from __future__ import annotations

import pytest

from tests.compile.meshes import mesh_config, service_entry
from tests.snapshot.world import hosts, mesh, outbound, service

SPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {mesh: "yes"}}
"""
ENTRY = "hosts: [a.example], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}]"


@pytest.mark.proves("MeshConfig.discoverySelectors")
def test_the_mesh_looks_only_at_namespaces_that_it_selects() -> None:
    services = service("a", "shop"), service("b", "other"), SPACE
    chosen = mesh_config("discoverySelectors: [{matchLabels: {mesh: 'yes'}}]")
    assert hosts(outbound(mesh(*services, chosen))) == ["a.shop"]
    assert hosts(outbound(mesh(*services))) == ["a.shop", "b.other"]


@pytest.mark.proves(
    "MeshConfig.serviceEntryVisibility",
    "ServiceEntryVisibility.applyToSidecars",
    "ServiceEntryVisibility.defaultVisibility=NONE",
    "ServiceEntryVisibility.policies",
    "ServiceEntryVisibilityPolicy.visibility=NAMESPACE",
    "ServiceEntryVisibilityPolicy.matchingRules",
    "ServiceEntryVisibilityMatchRule.namespaceSelector",
)
def test_the_mesh_may_limit_who_sees_service_entries() -> None:
    own = service_entry(ENTRY, namespace="shop")
    other = service_entry(ENTRY.replace("a.example", "b.example"), namespace="other")
    limits = mesh_config(
        "serviceEntryVisibility: {applyToSidecars: true, defaultVisibility: NONE, policies: "
        "[{visibility: NAMESPACE, matchingRules: [{namespaceSelector: "
        "{matchLabels: {mesh: 'yes'}}}]}]}"
    )
    snapshot = mesh(own, other, SPACE, limits)
    assert hosts(outbound(snapshot, "shop")) == ["a.example"]
    assert hosts(outbound(snapshot, "other")) == []


@pytest.mark.proves(
    "ServiceEntryVisibility.defaultVisibility=VISIBILITY_UNSPECIFIED",
    "ServiceEntryVisibility.defaultVisibility=NAMESPACE",
    "ServiceEntryVisibility.defaultVisibility=PUBLIC",
    "ServiceEntryVisibilityPolicy.visibility=VISIBILITY_UNSPECIFIED",
    "ServiceEntryVisibilityPolicy.visibility=NONE",
    "ServiceEntryVisibilityPolicy.visibility=PUBLIC",
)
@pytest.mark.parametrize(
    ("visibility", "own", "abroad"),
    [
        ("VISIBILITY_UNSPECIFIED", True, True),
        ("PUBLIC", True, True),
        ("NAMESPACE", True, False),
        ("NONE", False, False),
    ],
)
def test_entries_are_seen_as_far_as_their_namespace_or_the_default_lets_them(
    visibility: str, own: bool, abroad: bool
) -> None:
    rule = "matchingRules: [{namespaceSelector: {matchLabels: {mesh: 'yes'}}}]"
    opposite = "NONE" if own else "PUBLIC"
    for limits in (
        f"defaultVisibility: {visibility}",
        f"defaultVisibility: {opposite}, policies: [{{visibility: {visibility}, {rule}}}]",
    ):
        limited = mesh_config(f"serviceEntryVisibility: {{applyToSidecars: true, {limits}}}")
        snapshot = mesh(service_entry(ENTRY, namespace="shop"), SPACE, limited)
        assert (hosts(outbound(snapshot, "shop")) == ["a.example"]) is own
        assert (hosts(outbound(snapshot, "other")) == ["a.example"]) is abroad


def test_entries_of_one_host_add_up_and_get_addresses_of_both_families() -> None:
    first = service_entry(ENTRY, name="first")
    second = service_entry(ENTRY.replace("80", "81").replace("http,", "more,"), name="second")
    [found] = outbound(mesh(first, second)).services
    assert [port.number for port in found.ports] == [80, 81]
    four, six = found.addresses
    assert four.startswith("240.240.")
    assert six.startswith("2001:2::")
