"""Which policies' rules for tokens concern a proxy."""

from __future__ import annotations

from clew.config.parse import parse_documents
from clew.model.proxy import Proxy, ProxyType
from clew.model.request_authentication import RequestAuthentication
from clew.snapshot.request_authentication import token_rules

ROOT = "istio-system"


def policy(issuer: str, namespace: str, spec: str = "") -> RequestAuthentication:
    text = (
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n"
        f"metadata: {{name: {issuer}, namespace: {namespace}}}\n"
        f"spec: {{jwtRules: [{{issuer: {issuer}}}]{spec}}}"
    )
    [document] = parse_documents(text)
    assert isinstance(document.resource, RequestAuthentication)
    return document.resource


def issuers(proxy: Proxy, *policies: RequestAuthentication) -> list[str]:
    return [rule.issuer for rule in token_rules(policies, proxy, ROOT)]


def proxy_of(kind: ProxyType, **labels: str) -> Proxy:
    return Proxy(
        type=kind, name="a", namespace="shop", ip="10.0.0.1", labels=tuple(sorted(labels.items()))
    )


def test_rules_of_the_mesh_the_namespace_and_the_workload_hold_together() -> None:
    policies = (
        policy("workload", "shop", ", selector: {matchLabels: {app: web}}"),
        policy("mesh", ROOT),
        policy("namespace", "shop"),
        policy("elsewhere", "other"),
        policy("another", "shop", ", selector: {matchLabels: {app: db}}"),
    )
    web = proxy_of(ProxyType.SIDECAR, app="web")
    assert issuers(web, *policies) == ["mesh", "namespace", "workload"]


def test_a_policy_attached_to_a_gateway_is_for_its_router_only() -> None:
    target = "{group: gateway.networking.k8s.io, kind: Gateway, name: web}"
    attached = policy("gateway", "shop", f", targetRefs: [{target}]")
    router = proxy_of(ProxyType.ROUTER)
    assert issuers(router, attached) == []
    ours = proxy_of(ProxyType.ROUTER, **{"gateway.networking.k8s.io/gateway-name": "web"})
    assert issuers(ours, attached) == ["gateway"]
