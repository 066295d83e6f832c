"""What is said of policies that are attached to something at which nobody enforces them."""

from __future__ import annotations

import pytest

from clew.snapshot.policy_references import policies_for_nobody
from tests.snapshot.world import mesh

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""


def policy(kind: str, target: str) -> str:
    rules = "rules: [{}]" if kind == "AuthorizationPolicy" else "jwtRules: [{issuer: a}]"
    return f"""
apiVersion: security.istio.io/v1
kind: {kind}
metadata: {{name: web, namespace: default}}
spec: {{targetRefs: [{target}], {rules}}}
"""


def target(kind: str, group: str = "gateway.networking.k8s.io", name: str = "web") -> str:
    return f"{{group: {group}, kind: {kind}, name: {name}}}"


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "RequestAuthentication"])
def test_what_only_a_waypoint_would_enforce_has_no_effect(kind: str) -> None:
    for service in (target("Service", "''"), target("ServiceEntry", "networking.istio.io")):
        [found] = policies_for_nobody(mesh(policy(kind, service)))
        assert found.place.field == "spec.targetRefs[0]"
        assert "waypoints" in found.problem


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "RequestAuthentication"])
def test_a_gateway_that_is_not_there_is_named(kind: str) -> None:
    attached = policy(kind, target("Gateway"))
    [found] = policies_for_nobody(mesh(attached))
    assert 'no Gateway "web"' in found.problem
    assert list(policies_for_nobody(mesh(GATEWAY, attached))) == []
