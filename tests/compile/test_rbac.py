"""Which requests and connections the rules match that Envoy gets for AuthorizationPolicies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from clew._pb.envoy.config.rbac.v3.rbac_pb2 import RBAC
from clew.compile.rbac import Dialect, compile_http_rbac, compile_rules
from clew.compile.rbac_verdict import Request, matching_rule
from clew.model.authorization_policy import AuthorizationAction, AuthorizationPolicy
from tests.manifests import resources_of

TOKENS = "envoy.filters.http.jwt_authn"
HTTP = Dialect(tcp=False, trust_domains=("cluster.local",))
TCP = Dialect(tcp=True, trust_domains=("cluster.local",))


def policy(
    *rules: Mapping[str, Any], action: str = "ALLOW", dry_run: bool = False
) -> AuthorizationPolicy:
    metadata: dict[str, Any] = {"name": "web", "namespace": "shop"}
    if dry_run:
        metadata["annotations"] = {"istio.io/dry-run": "true"}
    head = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    spec = {"action": action, "rules": list(rules)}
    (found,) = resources_of(json.dumps({**head, "metadata": metadata, "spec": spec}))
    assert isinstance(found, AuthorizationPolicy)
    return found


def source(**fields: Any) -> dict[str, Any]:
    return {"from": [{"source": fields}]}


def operation(**fields: Any) -> dict[str, Any]:
    return {"to": [{"operation": fields}]}


def when(key: str, *values: str, but: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"when": [{"key": key, "values": list(values), "notValues": list(but)}]}


def request(path: str = "/", *, method: str = "GET", host: str = "web", **fields: Any) -> Request:
    headers = {":path": path, ":method": method, ":authority": host, **fields.pop("headers", {})}
    return Request(port=fields.pop("port", 8080), headers=headers, **fields)


def token(**claims: Any) -> dict[str, Any]:
    return {"metadata": {TOKENS: {"payload": claims}}}


def identity(name: str, namespace: str = "shop", domain: str = "cluster.local") -> dict[str, Any]:
    return {"principal": f"spiffe://{domain}/ns/{namespace}/sa/{name}"}


def rules(found: AuthorizationPolicy, dialect: Dialect = HTTP) -> RBAC:
    action = AuthorizationAction(found.spec.action or "ALLOW")
    compiled = compile_rules([found], action, dialect)
    assert compiled is not None
    return compiled


def matches(rule: Mapping[str, Any], asked: Request, dialect: Dialect = HTTP) -> bool:
    return bool(matching_rule(rules(policy(rule), dialect), asked))


@pytest.mark.proves(
    "Source.principals",
    "Source.namespaces",
    "Source.serviceAccounts",
    "Source.trustDomains",
    "Source.requestPrincipals",
    "Source.ipBlocks",
    "Source.remoteIpBlocks",
    "RuleFrom.source",
)
@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (
            source(principals=["cluster.local/ns/shop/sa/cart"]),
            request(**identity("cart")),
            request(**identity("cart2")),
        ),
        (source(principals=["*"]), request(**identity("cart")), request()),
        (source(principals=["*/sa/cart"]), request(**identity("cart")), request(**identity("b"))),
        (
            source(principals=["cluster.local/ns/shop/*"]),
            request(**identity("cart")),
            request(**identity("cart", "bank")),
        ),
        (source(namespaces=["shop"]), request(**identity("a")), request(**identity("a", "shop2"))),
        (source(namespaces=["sh*"]), request(**identity("a")), request(**identity("a", "bank"))),
        (
            source(serviceAccounts=["cart"]),
            request(**identity("cart")),
            request(**identity("cart", "bank")),
        ),
        (
            source(serviceAccounts=["bank/cart"]),
            request(**identity("cart", "bank")),
            request(**identity("cart")),
        ),
        (
            source(trustDomains=["cluster.local"]),
            request(**identity("cart")),
            request(**identity("cart", domain="evil.local")),
        ),
        (
            source(requestPrincipals=["https://idp/anna"]),
            request(**token(iss="https://idp", sub="anna")),
            request(**token(iss="https://other", sub="anna")),
        ),
        (source(requestPrincipals=["*"]), request(**token(iss="i", sub="s")), request()),
        (
            source(ipBlocks=["10.1.0.0/16", "10.9.9.9"]),
            request(source_ip="10.9.9.9"),
            request(source_ip="10.9.9.8", remote_ip="10.1.0.1"),
        ),
        (
            source(remoteIpBlocks=["2001:db8::/32"]),
            request(source_ip="10.0.0.1", remote_ip="2001:db8::1"),
            request(source_ip="10.0.0.1"),
        ),
    ],
)
def test_sources(rule: Mapping[str, Any], good: Request, bad: Request) -> None:
    assert matches(rule, good)
    assert not matches(rule, bad)


@pytest.mark.proves(
    "Operation.hosts",
    "Operation.methods",
    "Operation.paths",
    "Operation.ports",
    "RuleTo.operation",
)
@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (operation(hosts=["Shop.example.com"]), request(host="shop.EXAMPLE.com"), request()),
        (operation(hosts=["*.example.com"]), request(host="a.example.com"), request()),
        (operation(methods=["P*"]), request(method="PUT"), request()),
        (operation(paths=["/a"]), request("/a?x=1"), request("/a/b")),
        (operation(paths=["/a/*"]), request("/a/b/c"), request("/a")),
        (operation(paths=["*.html"]), request("/x/y.html"), request("/x.htm")),
        (operation(paths=["/a.b"]), request("/a.b"), request("/aXb")),
        (operation(paths=["/a/{*}/c"]), request("/a/b/c"), request("/a/b/b/c")),
        (operation(paths=["/a/{**}"]), request("/a/b/c"), request("/b")),
        (operation(ports=["80", "8080"]), request(), request(port=9090)),
    ],
)
def test_operations(rule: Mapping[str, Any], good: Request, bad: Request) -> None:
    assert matches(rule, good)
    assert not matches(rule, bad)


@pytest.mark.proves(
    "Source.notPrincipals",
    "Source.notNamespaces",
    "Source.notServiceAccounts",
    "Source.notTrustDomains",
    "Source.notRequestPrincipals",
    "Source.notIpBlocks",
    "Source.notRemoteIpBlocks",
    "Operation.notHosts",
    "Operation.notMethods",
    "Operation.notPaths",
    "Operation.notPorts",
)
@pytest.mark.parametrize(
    ("rule", "excluded"),
    [
        (source(notPrincipals=["*"]), request(**identity("cart"))),
        (source(notNamespaces=["shop"]), request(**identity("cart"))),
        (source(notServiceAccounts=["cart"]), request(**identity("cart"))),
        (source(notTrustDomains=["cluster.local"]), request(**identity("cart"))),
        (source(notRequestPrincipals=["*"]), request(**token(iss="i", sub="s"))),
        (source(notIpBlocks=["10.0.0.0/8"]), request(source_ip="10.1.1.1")),
        (source(notRemoteIpBlocks=["10.0.0.0/8"]), request(remote_ip="10.1.1.1")),
        (operation(notHosts=["web"]), request()),
        (operation(notMethods=["GET"]), request()),
        (operation(notPaths=["/", "/{*}/b"]), request("/a/b")),
        (operation(notPorts=["8080"]), request()),
    ],
)
def test_negations(rule: Mapping[str, Any], excluded: Request) -> None:
    assert not matches(rule, excluded)
    assert matches(rule, request("/other", port=1, method="PUT", host="other"))


@pytest.mark.proves("Condition.key", "Condition.values", "Condition.notValues", "Rule.when")
@pytest.mark.parametrize(
    ("key", "value", "good", "bad"),
    [
        ("source.ip", "10.0.0.1", request(source_ip="10.0.0.1"), request(source_ip="10.0.0.2")),
        ("remote.ip", "10.0.0.1", request(remote_ip="10.0.0.1"), request(remote_ip="10.0.0.2")),
        ("source.namespace", "shop", request(**identity("a")), request(**identity("a", "b"))),
        ("source.serviceAccount", "a", request(**identity("a")), request(**identity("b"))),
        ("source.trustDomain", "cluster.*", request(**identity("a")), request()),
        ("source.principal", "*/sa/a", request(**identity("a")), request(**identity("b"))),
        ("destination.ip", "10.0.0.0/8", request(destination_ip="10.1.1.1"), request()),
        ("destination.port", "8080", request(), request(port=80)),
        ("connection.sni", "*.example.com", request(server_name="a.example.com"), request()),
        ("request.headers[X-Team]", "a*", request(headers={"x-team": "ab"}), request()),
        (
            "request.experimental.inline.headers[x-team]",
            "b",
            request(headers={"x-team": "a, b ,c"}),
            request(headers={"x-team": "a,bc"}),
        ),
        ("request.auth.principal", "i/s", request(**token(iss="i", sub="s")), request()),
        ("request.auth.audiences", "web", request(**token(aud=["x", "web"])), request()),
        ("request.auth.presenter", "app", request(**token(azp="app")), request()),
        ("request.auth.claims[role]", "admin", request(**token(role="admin")), request()),
        (
            "request.auth.claims[realm][roles]",
            "admin",
            request(**token(realm={"roles": ["user", "admin"]})),
            request(**token(realm="admin")),
        ),
        (
            "experimental.envoy.filters.http.example[key]",
            "v",
            request(metadata={"envoy.filters.http.example": {"key": "v"}}),
            request(),
        ),
        (
            "experimental.envoy.filters.http.example[key]",
            "[v]",
            request(metadata={"envoy.filters.http.example": {"key": ["w", "v"]}}),
            request(metadata={"envoy.filters.http.example": {"key": "v"}}),
        ),
    ],
)
def test_conditions(key: str, value: str, good: Request, bad: Request) -> None:
    assert matches(when(key, value), good)
    assert not matches(when(key, value), bad)
    assert not matches(when(key, but=(value,)), good)
    assert matches(when(key, but=(value,)), bad)


@pytest.mark.proves("Rule.from", "Rule.to", "AuthorizationPolicySpec.rules")
def test_fields_add_up_and_alternatives_widen() -> None:
    rule = {
        **source(namespaces=["shop"]),
        "to": [{"operation": {"methods": ["GET"]}}, {"operation": {"paths": ["/open"]}}],
    }
    assert matches(rule, request(**identity("a")))
    assert matches(rule, request("/open", method="PUT", **identity("a")))
    assert not matches(rule, request(method="PUT", **identity("a")))
    assert not matches(rule, request(**identity("a", "bank")))


def test_a_rule_without_anything_matches_everything_and_no_rules_nothing() -> None:
    assert matching_rule(rules(policy({})), request()) == "ns[shop]-policy[web]-rule[0]"
    assert matching_rule(rules(policy()), request()) == ""


def test_rules_are_named_by_their_place() -> None:
    found = rules(policy(operation(paths=["/a"]), operation(paths=["/b"])))
    assert matching_rule(found, request("/b")) == "ns[shop]-policy[web]-rule[1]"


ONLY_HTTP = {**source(namespaces=["shop"]), **operation(methods=["GET"], ports=["9090"])}


@pytest.mark.proves("AuthorizationPolicySpec.action=DENY", "AuthorizationPolicySpec.action=ALLOW")
def test_on_tcp_what_only_http_has_narrows_allow_and_widens_deny() -> None:
    connection = Request(port=9090, **identity("a"))
    assert not matches(ONLY_HTTP, connection, TCP)
    denied = rules(policy(ONLY_HTTP, action="DENY"), TCP)
    assert matching_rule(denied, connection)
    assert not matching_rule(denied, Request(port=80, **identity("a")))
    assert matching_rule(
        rules(policy(when("request.auth.claims[a]", "b"), action="DENY"), TCP), connection
    )
    assert matching_rule(
        rules(policy(source(requestPrincipals=["*"]), action="DENY"), TCP), connection
    )


def test_allow_on_tcp_holds_by_what_connections_have() -> None:
    rule = {**source(namespaces=["shop"]), **operation(ports=["9090"])}
    assert matches(rule, Request(port=9090, **identity("a")), TCP)
    assert not matches(rule, Request(port=9090), TCP)


def test_dry_runs_decide_nothing() -> None:
    denying = compile_http_rbac(
        [policy({}, action="DENY", dry_run=True)], AuthorizationAction.DENY, HTTP
    )
    assert not denying.HasField("rules")
    assert matching_rule(denying.shadow_rules, request())
    assert denying.shadow_rules_stat_prefix == "istio_dry_run_deny_"
    allowing = compile_http_rbac([policy({}, dry_run=True)], AuthorizationAction.ALLOW, HTTP)
    assert allowing.shadow_rules_stat_prefix == "istio_dry_run_allow_"


@pytest.mark.proves("AuthorizationPolicySpec.action=AUDIT")
def test_audit_only_logs() -> None:
    assert rules(policy({}, action="AUDIT")).action == RBAC.LOG


@pytest.mark.proves("MeshConfig.trustDomainAliases")
def test_an_alias_of_the_trust_domain_counts_as_the_domain() -> None:
    dialect = Dialect(tcp=False, trust_domains=("new", "old"))
    rule = source(principals=["new/ns/shop/sa/cart"])
    for domain in ("new", "old"):
        assert matches(rule, request(**identity("cart", domain=domain)), dialect)
    assert not matches(rule, request(**identity("cart", domain="cluster.local")), dialect)
    local = source(principals=["cluster.local/ns/shop/sa/cart"])
    assert matches(local, request(**identity("cart", domain="old")), dialect)
    assert matches(source(trustDomains=["old"]), request(**identity("c", domain="new")), dialect)
    other = source(principals=["else/ns/shop/sa/cart"])
    assert not matches(other, request(**identity("cart", domain="old")), dialect)
