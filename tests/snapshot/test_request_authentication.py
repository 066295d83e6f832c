"""Which policies' rules for tokens concern a proxy."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from clew.config.parse import parse_documents
from clew.model.base import ObjectMeta, ResourceKey
from clew.model.destination_rule import (
    ClientTLSMode,
    ClientTLSSettings,
    DestinationRule,
    DestinationRuleSpec,
    TrafficPolicy,
)
from clew.model.proxy import Proxy, ProxyType
from clew.model.request_authentication import JWTRule, RequestAuthentication
from clew.model.service import Protocol, Service, ServicePort
from clew.snapshot.request_authentication import token_rules, undiscovered_issuers, with_keys

ROOT = "istio-system"


def policy(issuer: str, namespace: str, spec: str = "") -> RequestAuthentication:
    text = (
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n"
        f"metadata: {{name: a, namespace: {namespace}}}\n"
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


def remote(uri: str, *known: Service, rules: Mapping[str, DestinationRule] = {}) -> str:
    """Through which cluster the keys at ``uri`` are fetched, "" if they are not."""
    rule = JWTRule(issuer="a", jwks_uri=uri)
    [found] = with_keys([rule], {}, known, rules)
    return found.keys.cluster if found.keys else ""


def service(hostname: str, number: int, *, mesh_external: bool = False) -> Service:
    return Service(
        hostname=hostname,
        namespace="login",
        name="idp",
        ports=(
            ServicePort(name="http", number=number, target_port=number, protocol=Protocol.HTTP),
        ),
        mesh_external=mesh_external,
        source=ResourceKey("", "Service", "login", "idp"),
    )


@pytest.mark.parametrize("host", ["idp.login", "idp.login.svc", "idp.login.svc.cluster.local"])
def test_keys_at_a_service_are_fetched_through_the_mesh(host: str) -> None:
    idp = service("idp.login.svc.cluster.local", 8000)
    through = "outbound|8000||idp.login.svc.cluster.local"
    assert remote(f"http://{host}:8000/keys", idp) == through
    assert remote(f"http://{host}:8001/keys", idp) == f"jwks|8001||{host}"


def test_keys_elsewhere_are_fetched_there() -> None:
    assert remote("http://example.com/keys") == "jwks|80||example.com"
    assert remote("https://example.com/keys") == "jwks|443|tls|example.com"


def test_a_service_outside_is_asked_through_its_cluster_if_that_begins_tls() -> None:
    outside = service("example.com", 443, mesh_external=True)
    assert remote("https://example.com/keys", outside) == "jwks|443|tls|example.com"
    tls = ClientTLSSettings(mode=ClientTLSMode.SIMPLE)
    policy = TrafficPolicy(tls=tls)
    rule = DestinationRule(
        api_version="networking.istio.io/v1",
        kind="DestinationRule",
        metadata=ObjectMeta(name="outside"),
        spec=DestinationRuleSpec(host="example.com", traffic_policy=policy),
    )
    rules = {"example.com": rule}
    through = "outbound|443||example.com"
    assert remote("https://example.com/keys", outside, rules=rules) == through


@pytest.mark.parametrize(
    "uri", ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://[::ffff:169.254.1.1]/"]
)
def test_no_keys_are_fetched_from_link_local_addresses(uri: str) -> None:
    assert remote(uri) == ""
    assert remote(uri.replace("169.254", "10.0").replace("fe80", "fd00")) != ""


def test_an_issuer_without_keys_says_itself_where_they_are() -> None:
    issuer = "https://idp.example.com"
    found = with_keys([JWTRule(issuer=issuer)], {issuer: "http://example.com/k"}, (), {})
    assert found[0].keys is not None
    assert found[0].keys.uri == "http://example.com/k"
    assert with_keys([JWTRule(issuer=issuer)], {}, (), {})[0].keys is None
    policies = (policy("someone@example.com", "shop"), policy(f'"{issuer}"', "shop"))
    assert undiscovered_issuers(policies) == {issuer}
