"""What a proxy fetches by itself: its listeners stay the same while policies come and go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from clew._pb.envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.check import check_published
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy, compile_published
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import EXTENSION, LISTENER, Published
from clew.snapshot.scope_builder import build_scope
from tests.snapshot.world import mesh, service

WEB = service("web", ports="{name: http, port: 80}, {name: tcp, port: 90}")
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
SIDECAR = Proxy(
    type=ProxyType.SIDECAR, name="a", namespace="default", ip="10.0.0.9", labels=(("app", "web"),)
)
ROUTER = replace(SIDECAR, type=ProxyType.ROUTER, labels=(("istio", "ingressgateway"),))
FILTER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch, namespace: default}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager,
        subFilter: {name: envoy.filters.http.rbac}}}}
    patch: %s
"""


def policy(name: str, action: str, path: str = "/a") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: default}}
spec: {{action: {action}, rules: [{{to: [{{operation: {{ports: ["8080"], paths: ["{path}"]}}}}]}}]}}
"""


def published(proxy: Proxy, *texts: str) -> Published:
    scope = build_scope(mesh(WEB, GATEWAY, *texts), proxy)
    found = compile_published(scope, Memo())
    assert check_published(found) == ()
    return found


def http_filters(found: Published) -> list[list[str]]:
    """The filters of each HTTP connection manager that serves."""
    return [
        [each.name for each in manager.http_filters]
        for name, body in found[LISTENER].items()
        if name in ("virtualInbound", "0.0.0.0_8080")
        for manager in managers(Listener.FromString(body.body))
    ]


def managers(listener: Listener) -> Iterable[hcm_pb2.HttpConnectionManager]:
    for chain in listener.filter_chains:
        manager = hcm_pb2.HttpConnectionManager()
        if chain.filters[-1].typed_config.Unpack(manager):
            yield manager


def rules(found: Published, name: str) -> list[str]:
    config, rbac = TypedExtensionConfig.FromString(found[EXTENSION][name].body), RBAC()
    assert config.typed_config.Unpack(rbac)
    return list(rbac.rules.policies)


@pytest.mark.parametrize("proxy", [SIDECAR, ROUTER], ids=["sidecar", "router"])
def test_listeners_are_the_same_with_and_without_policies(proxy: Proxy) -> None:
    without = published(proxy)
    denied = published(proxy, policy("denied", "DENY"))
    both = published(proxy, policy("denied", "DENY"), policy("allowed", "ALLOW"))
    assert without[LISTENER] == denied[LISTENER] == both[LISTENER]
    assert rules(without, "clew.http.deny") == []
    assert rules(both, "clew.http.deny") == ["ns[default]-policy[denied]-rule[0]"]
    assert rules(both, "clew.http.allow") == ["ns[default]-policy[allowed]-rule[0]"]


@pytest.mark.parametrize("proxy", [SIDECAR, ROUTER], ids=["sidecar", "router"])
def test_the_first_policy_of_another_action_changes_listeners_and_later_ones_do_not(
    proxy: Proxy,
) -> None:
    one = published(proxy, policy("watched", "AUDIT"))
    two = published(proxy, policy("watched", "AUDIT"), policy("more", "AUDIT", "/b"))
    assert published(proxy)[LISTENER] != one[LISTENER] == two[LISTENER]
    for names in http_filters(two):
        place = names.index("clew.http.audit")
        assert names[place + 1 : place + 3] == ["clew.http.deny", "clew.http.allow"]


def test_deny_comes_before_allow_wherever_one_is_missing() -> None:
    for texts in ([policy("denied", "DENY")], [policy("allowed", "ALLOW")], []):
        for names in http_filters(published(SIDECAR, *texts)):
            place = names.index("clew.http.deny")
            assert names[place + 1 :] == ["clew.http.allow", "envoy.filters.http.router"]


def test_what_could_be_fetched_is_always_there() -> None:
    """Connections that are drained may still ask for what listeners no longer name."""
    names = published(SIDECAR)[EXTENSION].keys()
    assert names == published(SIDECAR, policy("watched", "AUDIT"))[EXTENSION].keys()
    assert {"clew.http.custom", "clew.http.tokens", "clew.network.external"} <= names


def test_a_filter_that_an_envoy_filter_changed_stays_as_it_is() -> None:
    patch = FILTER % "{operation: REMOVE}"
    found = http_filters(published(SIDECAR, policy("denied", "DENY"), patch))
    assert found
    assert not any(name.startswith("clew.") for names in found for name in names)


def test_offline_the_rules_stand_in_the_listener() -> None:
    scope = build_scope(mesh(WEB, GATEWAY, policy("denied", "DENY")), SIDECAR)
    for names in http_filters(compile_proxy(scope, Memo())):
        assert "envoy.filters.http.rbac" in names


def test_only_on_ones_own_machine_refusals_say_why() -> None:
    for explains in (True, False):
        found = published(replace(SIDECAR, explains=explains))
        for manager in managers(Listener.FromString(found[LISTENER]["virtualInbound"].body)):
            headers = [
                each.header.key
                for mapper in manager.local_reply_config.mappers
                for each in mapper.headers_to_add
            ]
            assert headers == (["x-clew-denied-by"] if explains else [])
