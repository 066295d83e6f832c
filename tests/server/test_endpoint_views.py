"""A subset leads to the rule that declares it, of all that declare one of its name."""

from __future__ import annotations

import pytest

from clew.model.service import ServiceKey
from clew.server.endpoint_views import subset_views
from tests.snapshot.world import istio, mesh, service

HOST = "web.shop.svc.cluster.local"


def rule(name: str, namespace: str, subsets: str, age: int = 0) -> str:
    return istio("DestinationRule", name, f"{{host: {HOST}, subsets: [{subsets}]}}", namespace, age)


@pytest.mark.parametrize(
    ("clients", "declared"),
    [
        ("client", [("v1", "of-client", "spec.subsets[0]")]),
        ("other", [("v1", "older", "spec.subsets[0]"), ("v2", "newer", "spec.subsets[1]")]),
    ],
)
def test_a_subset_leads_to_the_rule_that_its_clients_have(
    clients: str, declared: list[tuple[str, str, str]]
) -> None:
    world = mesh(
        service("web", "shop"),
        rule("newer", "shop", "{name: v1}, {name: v2}", age=1),
        rule("older", "shop", "{name: v1}"),
        rule("of-client", "client", "{name: v1}"),
    )
    views = subset_views(world, world.services.by_key[ServiceKey(HOST, "shop")], clients)
    found = [(each.name, each.rule.name if each.rule else "", each.field) for each in views]
    assert found == declared
