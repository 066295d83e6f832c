"""Policies between programs, each behind a real sidecar: who gets through, over HTTP and TCP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.corpora.echo.expectations import succeeded
from tests.corpora.echo.manifests import App
from tests.corpora.echo.world import Result, World, running_world
from tests.e2e.mesh import eventually, needs_root

pytestmark = needs_root

PORTS = (
    {"name": "http", "service_port": 80, "workload_port": 18080},
    {"name": "auto", "service_port": 81, "workload_port": 18081},
    {"name": "tcp", "service_port": 90, "workload_port": 19090},
)
APPS = (
    App(name="friend", namespace="shop"),
    App(name="stranger", namespace="bank"),
    App(name="plain", namespace="shop", proxy=False),
    App(name="web", namespace="shop"),
)
HTTP, TCP = (("http", 80), ("http", 81), ("grpc", 81)), (("tcp", 90), ("tcp", 81))
FRIEND = {"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/friend"]}}]}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world(APPS, PORTS) as running:
        yield running
        assert running.refusals == []


def policy(action: str, *rules: Mapping[str, Any], name: str = "web") -> str:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "action": action, "rules": list(rules)}
    head = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    return json.dumps({**head, "metadata": {"name": name}, "spec": spec})


def call(world: World, by: str, scheme: str = "http", port: int = 80, **more: Any) -> Result:
    address = "web.shop.svc.cluster.local"
    asked = {"scheme": scheme, "address": address, "port": port, "message": "hello", **more}
    return world.calls(by, [asked])[0]


def gets_through(world: World, by: str, scheme: str, port: int) -> bool:
    return succeeded(call(world, by, scheme, port))


def until(world: World, by: str, scheme: str, port: int, *, allowed: bool) -> None:
    eventually(lambda: gets_through(world, by, scheme, port) == allowed, what=f"{by}: {allowed}")


@pytest.mark.parametrize(("scheme", "port"), [*HTTP, *TCP])
def test_only_who_is_allowed_gets_through(world: World, scheme: str, port: int) -> None:
    with world.configured(policy("ALLOW", FRIEND), "shop"):
        for by, allowed in (("friend", True), ("stranger", False), ("plain", False)):
            until(world, by, scheme, port, allowed=allowed)
    until(world, "stranger", scheme, port, allowed=True)


def test_http_is_denied_with_a_reason_and_grpc_with_its_status(world: World) -> None:
    rule = {"to": [{"operation": {"paths": ["/private", "/proto.EchoTestService/Echo"]}}]}
    with world.configured(policy("DENY", rule), "shop"):
        eventually(lambda: call(world, "friend", path="/private")["status"] == 403, what="403")
        denied = call(world, "friend", path="/private")
        assert denied["body"] == "RBAC: access denied"
        reason = dict(denied["headers"])["x-clew-denied-by"]
        assert reason == "rbac_access_denied_matched_policy[ns[shop]-policy[web]-rule[0]]"
        assert call(world, "friend", path="/private?x=1")["status"] == 403
        assert succeeded(call(world, "friend", path="/open"))
        assert call(world, "friend", "grpc", 81)["grpcStatus"] == 7
        # What only HTTP has is left out for TCP: everything is denied there.
        assert not gets_through(world, "friend", "tcp", 90)


def test_deny_comes_before_allow(world: World) -> None:
    denied = policy("DENY", {"to": [{"operation": {"ports": ["18080"]}}]}, name="denied")
    with world.configured(f"{policy('ALLOW', {})}\n---\n{denied}", "shop"):
        eventually(lambda: not gets_through(world, "friend", "http", 80), what="a denial")
        assert gets_through(world, "friend", "http", 81)


def test_policies_of_the_root_namespace_hold_everywhere(world: World) -> None:
    with world.configured(policy("ALLOW"), "istio-system"):
        eventually(lambda: not gets_through(world, "friend", "http", 80), what="a denial")
