from __future__ import annotations

import pytest

from clew.model.destination_rule import DestinationRule
from tests.compile.meshes import mesh_config
from tests.snapshot.world import istio, mesh, outbound, service

WEB = "web.shop.svc.cluster.local"


def rule_of(*texts: str, client: str, **labels: str) -> DestinationRule | None:
    found = outbound(mesh(service("web", "shop"), *texts), client, **labels)
    return found.destination_rules.get(WEB)


def names(*texts: str, client: str, **labels: str) -> str:
    found = rule_of(*texts, client=client, **labels)
    return found.metadata.name if found is not None else ""


def declared(name: str, namespace: str, more: str = "", host: str = WEB, age: int = 0) -> str:
    spec = f"""{{host: "{host}", subsets: [{{name: {name}}}]{more}}}"""
    return istio("DestinationRule", name, spec, namespace, age)


CLIENT, OWNER, ROOT = (
    declared("of-client", "client"),
    declared("of-owner", "shop"),
    declared("of-root", "istio-system"),
)


@pytest.mark.proves("DestinationRuleSpec.host")
def test_the_clients_namespace_goes_first_then_the_services_then_the_root() -> None:
    assert names(CLIENT, OWNER, ROOT, client="client") == "of-client"
    assert names(CLIENT, OWNER, ROOT, client="other") == "of-owner"
    assert names(CLIENT, ROOT, client="other") == "of-root"


@pytest.mark.proves("DestinationRuleSpec.exportTo")
def test_a_rule_holds_where_it_is_exported_to() -> None:
    private = declared("private", "shop", ', exportTo: ["."]')
    shared = declared("shared", "shop", ", exportTo: [friend]")
    assert names(private, client="shop") == "private"
    assert names(private, client="friend") == ""
    assert names(shared, client="friend") == "shared"
    assert names(shared, client="other") == ""


@pytest.mark.proves("DestinationRuleSpec.exportTo")
def test_an_exact_rule_for_others_hides_a_wider_one_but_a_private_one_does_not() -> None:
    wide = declared("wide", "shop", host="*.svc.cluster.local")
    shared = declared("shared", "shop", ", exportTo: [friend]")
    private = declared("private", "shop", ', exportTo: ["."]')
    assert names(wide, shared, client="other") == ""
    assert names(wide, private, client="other") == "wide"


@pytest.mark.proves("MeshConfig.defaultDestinationRuleExportTo")
def test_the_mesh_says_who_sees_rules_that_do_not_say_it() -> None:
    private = mesh_config('defaultDestinationRuleExportTo: ["."]')
    assert names(OWNER, client="other") == "of-owner"
    assert names(OWNER, private, client="other") == ""


@pytest.mark.proves("MeshConfig.rootNamespace")
def test_the_root_namespace_may_have_another_name() -> None:
    text = mesh_config("rootNamespace: base").replace("istio-system", "base")
    found = rule_of(declared("of-base", "base"), text, client="other")
    assert found is not None
    assert found.metadata.name == "of-base"


@pytest.mark.proves("DestinationRuleSpec.exportTo", "MeshConfig.rootNamespace")
def test_clients_in_the_root_namespace_have_no_precedence_unless_the_rule_is_private() -> None:
    private = declared("private", "istio-system", ', exportTo: ["."]')
    assert names(OWNER, ROOT, client="istio-system") == "of-owner"
    assert names(OWNER, private, client="istio-system") == "private"


@pytest.mark.proves("DestinationRuleSpec.workloadSelector", "PolicySelector.matchLabels")
def test_a_rule_for_some_workloads_goes_before_the_one_for_all() -> None:
    selecting = declared("some", "client", ", workloadSelector: {matchLabels: {app: a}}", age=1)
    assert names(CLIENT, selecting, client="client", app="a") == "some"
    assert names(CLIENT, selecting, client="client", app="b") == "of-client"
    # The namespace has a rule, so no other's is looked for.
    assert names(selecting, OWNER, client="client", app="b") == ""


@pytest.mark.proves("DestinationRuleSpec.subsets", "DestinationRuleSpec.host")
def test_rules_of_a_host_add_up_and_the_oldest_policy_holds() -> None:
    old = declared("old", "shop", ", trafficPolicy: {loadBalancer: {simple: RANDOM}}")
    new = declared("new", "shop", ", trafficPolicy: {tls: {mode: DISABLE}}", age=1)
    found = rule_of(new, old, client="client")
    assert found is not None
    assert [subset.name for subset in found.spec.subsets] == ["old", "new"]
    assert found.spec.traffic_policy is not None
    assert found.spec.traffic_policy.tls is None


@pytest.mark.proves("DestinationRuleSpec.exportTo")
def test_a_rule_that_is_exported_further_adds_to_the_older_and_stands_for_itself() -> None:
    one = declared("one", "shop", ", exportTo: [a]")
    two = declared("two", "shop", ", exportTo: [a, b]", age=1)
    found = rule_of(one, two, client="b")
    assert found is not None
    assert [subset.name for subset in found.spec.subsets] == ["two"]
