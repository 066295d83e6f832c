"""Which AuthorizationPolicies bind a proxy, and where their authorizers are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.base import ResourceKey
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.authorization_policies import Authorization
from clew.snapshot.reach import affects
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import MeshSnapshot, update_snapshot
from tests.snapshot.world import mesh, service

ROOT = "istio-system"
TARGET = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "web"}


def policy(
    name: str, namespace: str = "shop", *, age: int = 0, action: str = "ALLOW", **spec: Any
) -> str:
    metadata = {
        "name": name,
        "namespace": namespace,
        "creationTimestamp": f"2020-01-{age + 1:02}T00:00:00Z",
    }
    if action in ("DENY", "CUSTOM"):
        spec = {"rules": [{}], **spec}
    body = {"action": action, **spec}
    head = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    return json.dumps({**head, "metadata": metadata, "spec": body})


def labels(**wanted: str) -> dict[str, Any]:
    return {"matchLabels": wanted}


def proxy(kind: ProxyType = ProxyType.SIDECAR, /, **own: str) -> Proxy:
    return Proxy(
        type=kind, name="a", namespace="shop", ip="10.0.0.1", labels=tuple(sorted(own.items()))
    )


def bound(snapshot: MeshSnapshot, to: Proxy) -> Authorization:
    scope = build_scope(snapshot, to)
    found = scope.inbound or scope.gateway
    assert found is not None
    return found.authorization


def names(policies: tuple[AuthorizationPolicy, ...]) -> list[str]:
    return [each.metadata.name for each in policies]


@pytest.mark.proves("AuthorizationPolicySpec.selector", "AuthorizationPolicySpec.action")
def test_policies_of_the_mesh_the_namespace_and_the_workload_hold_together() -> None:
    snapshot = mesh(
        policy("workload", age=3, selector=labels(app="web")),
        policy("mesh", ROOT, age=2),
        policy("namespace", age=1),
        policy("elsewhere", "bank"),
        policy("another", selector=labels(app="db")),
        policy("denied", ROOT, action="DENY", selector=labels(app="web")),
        policy("audited", action="AUDIT"),
    )
    found = bound(snapshot, proxy(app="web"))
    assert names(found.allow) == ["mesh", "namespace", "workload"]
    assert names(found.deny) == ["denied"]
    assert names(found.audit) == ["audited"]
    assert names(bound(snapshot, proxy(app="other")).deny) == []


@pytest.mark.proves("AuthorizationPolicySpec.targetRef", "AuthorizationPolicySpec.targetRefs")
@pytest.mark.parametrize("spec", [{"targetRef": TARGET}, {"targetRefs": [TARGET]}])
def test_a_policy_with_a_target_is_for_the_router_of_that_gateway_only(
    spec: dict[str, Any],
) -> None:
    snapshot = mesh(policy("gateway", **spec))
    own = {"gateway.networking.k8s.io/gateway-name": "web"}
    assert names(bound(snapshot, proxy(ProxyType.ROUTER, **own)).allow) == ["gateway"]
    assert names(bound(snapshot, proxy(ProxyType.ROUTER)).allow) == []
    assert names(bound(snapshot, proxy(**own)).allow) == []


@pytest.mark.parametrize(
    "target",
    [
        {"group": "gateway.networking.k8s.io", "kind": "GatewayClass", "name": "istio-waypoint"},
        {"group": "", "kind": "Service", "name": "web"},
        {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "web"},
    ],
)
def test_targets_of_waypoints_bind_no_sidecar(target: dict[str, str]) -> None:
    namespace = ROOT if target["kind"] == "GatewayClass" else "shop"
    snapshot = mesh(policy("waypoint", namespace, targetRefs=[target]))
    assert bound(snapshot, proxy(app="web")) == Authorization()


def config(*providers: dict[str, Any]) -> str:
    data = {"mesh": json.dumps({"extensionProviders": list(providers)})}
    metadata = {"name": "istio", "namespace": ROOT}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


@pytest.mark.parametrize(
    ("written", "hostname"),
    [
        ("authz.shop.svc.cluster.local", "authz.shop.svc.cluster.local"),
        ("shop/authz.shop.svc.cluster.local", "authz.shop.svc.cluster.local"),
        ("bank/authz.shop.svc.cluster.local", ""),
        ("authz", ""),
    ],
)
def test_the_authorizer_is_the_service_that_the_provider_names(written: str, hostname: str) -> None:
    provider = {"name": "asked", "envoyExtAuthzGrpc": {"service": written, "port": 9000}}
    snapshot = mesh(
        config(provider),
        service("authz", "shop"),
        policy("custom", action="CUSTOM", provider={"name": "asked"}),
    )
    wanted = (("asked", hostname),) if hostname else ()
    assert bound(snapshot, proxy()).authorizers == wanted


def test_a_policy_concerns_the_proxies_of_its_namespace_or_of_the_mesh() -> None:
    snapshot = mesh(policy("old"))
    scopes = {
        namespace: build_scope(
            snapshot, Proxy(type=ProxyType.SIDECAR, name="a", namespace=namespace, ip="10.0.0.1")
        )
        for namespace in ("shop", "bank")
    }
    for namespace, concerned in (("shop", ["shop"]), ("bank", ["bank"]), (ROOT, ["shop", "bank"])):
        new = mesh(policy("new", namespace)).objects[AuthorizationPolicy][namespace]["new"]
        key = ResourceKey("security.istio.io", "AuthorizationPolicy", namespace, "new")
        _, dirty = update_snapshot(snapshot, [(key, new)])
        assert not dirty.everything
        assert not dirty.only_endpoints
        assert [n for n, scope in scopes.items() if affects(dirty, scope)] == concerned
