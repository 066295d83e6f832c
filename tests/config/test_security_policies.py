"""Istio's admission rules for AuthorizationPolicy, PeerAuthentication and RequestAuthentication."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.config.admission import errors, warnings


def source(action: str = "ALLOW", **fields: Any) -> list[str]:
    extra = {"provider": {"name": "p"}} if action == "CUSTOM" else {}
    spec = {"action": action, "rules": [{"from": [{"source": fields}]}], **extra}
    found = errors("AuthorizationPolicy", spec)
    return [each.removeprefix("rules[0].from[0].source").removeprefix(".") for each in found]


def operation(**fields: Any) -> list[str]:
    found = errors("AuthorizationPolicy", {"rules": [{"to": [{"operation": fields}]}]})
    return [each.removeprefix("rules[0].to[0].operation").removeprefix(".") for each in found]


def condition(key: str, *values: str) -> list[str]:
    when = [{"key": key, "values": list(values)}]
    found = errors("AuthorizationPolicy", {"rules": [{"when": when}]})
    return [each.removeprefix("rules[0].when[0]").removeprefix(".") for each in found]


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        ({"action": "DENY"}, ["rules"]),
        ({"action": "DENY", "rules": [{}]}, []),
        ({"action": "CUSTOM", "rules": [{}]}, ["provider"]),
        ({"action": "CUSTOM", "rules": [{}], "provider": {"name": "p"}}, []),
        ({"action": "CUSTOM", "provider": {"name": "p"}}, ["rules"]),
        ({"provider": {"name": "p"}}, ["provider"]),
        ({"rules": [{"from": []}]}, ["rules[0].from"]),
        ({"rules": [{"to": []}]}, ["rules[0].to"]),
        ({"rules": [{"from": [{}]}]}, ["rules[0].from[0].source"]),
        ({"rules": [{}] * 513}, ["rules"]),
        ({"selector": {"matchLabels": {"a": "b*"}}}, ["selector.matchLabels.a"]),
        ({"targetRefs": [{"kind": "Gateway", "name": "a"}]}, ["targetRefs[0]"]),
        (
            {
                "selector": {"matchLabels": {"a": "b"}},
                "targetRefs": [
                    {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "a"}
                ],
            },
            ["spec"],
        ),
    ],
)
def test_actions_have_what_they_need(spec: dict[str, Any], wrong: list[str]) -> None:
    assert errors("AuthorizationPolicy", spec) == wrong


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"principals": ["*"], "ipBlocks": ["1.2.3.0/24", "::1"]}, []),
        ({}, [""]),
        ({"principals": [""]}, ["principals[0]"]),
        ({"ipBlocks": ["1.2.3.4/33"]}, ["ipBlocks[0]"]),
        ({"notRemoteIpBlocks": ["a"]}, ["notRemoteIpBlocks[0]"]),
        ({"serviceAccounts": ["ns/a", "b"]}, []),
        ({"serviceAccounts": ["a/b/c"]}, ["serviceAccounts[0]"]),
        ({"serviceAccounts": ["/a"]}, ["serviceAccounts[0]"]),
        ({"serviceAccounts": ["a*"]}, ["serviceAccounts[0]"]),
        ({"serviceAccounts": ["a"] * 17}, ["serviceAccounts"]),
        ({"serviceAccounts": ["a"], "namespaces": ["b"]}, [""]),
    ],
)
def test_a_source_says_something(fields: dict[str, Any], wrong: list[str]) -> None:
    assert source(**fields) == wrong


def test_an_external_authorizer_is_asked_before_anybody_is_known() -> None:
    assert source("CUSTOM", principals=["a"]) == ["principals"]
    assert source("CUSTOM", requestPrincipals=["a"]) == ["requestPrincipals"]
    assert source("CUSTOM", ipBlocks=["1.2.3.4"]) == []
    provider = {"action": "CUSTOM", "provider": {"name": "p"}}
    when = [{"key": "source.trustDomain", "values": ["a"]}]
    spec = {**provider, "rules": [{"when": when}]}
    assert errors("AuthorizationPolicy", spec) == ["rules[0].when[0].key"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"ports": ["80"], "methods": ["GET"], "paths": ["/a/*", "*.html"]}, []),
        ({}, [""]),
        ({"ports": ["http"]}, ["ports[0]"]),
        ({"notPorts": ["65536"]}, ["notPorts[0]"]),
        ({"hosts": [""]}, ["hosts[0]"]),
        ({"paths": ["/a/{*}/b/{**}"]}, []),
        ({"paths": ["/a/{**}/{*}"]}, ["paths[0]"]),
        ({"paths": ["/{**}/{**}"]}, ["paths[0]"]),
        ({"paths": ["/a{*}"]}, ["paths[0]"]),
        ({"paths": ["/{a}"]}, ["paths[0]"]),
        ({"notPaths": ["/{*}/a*"]}, ["notPaths[0]"]),
    ],
)
def test_an_operation_says_something(fields: dict[str, Any], wrong: list[str]) -> None:
    assert operation(**fields) == wrong


@pytest.mark.parametrize(
    ("key", "values", "wrong"),
    [
        ("source.ip", ["1.2.3.4"], []),
        ("source.ip", ["a"], ["values[0]"]),
        ("destination.port", ["80"], []),
        ("destination.port", ["http"], ["values[0]"]),
        ("request.headers[X-A]", ["b"], []),
        ("request.headers", ["b"], ["key"]),
        ("request.auth.claims[a][b]", ["c"], []),
        ("source.serviceAccount", ["ns/a"], []),
        ("source.serviceAccount", ["a/b/c"], ["values[0]"]),
        ("destination.user", ["a"], ["key"]),
        ("source.namespace", [], [""]),
        ("source.namespace", [""], ["values[0]"]),
    ],
)
def test_a_condition_is_of_an_attribute(key: str, values: list[str], wrong: list[str]) -> None:
    assert condition(key, *values) == wrong


def denies(**rule: Any) -> list[str]:
    return warnings("AuthorizationPolicy", {"action": "DENY", "rules": [rule]})


def test_denying_by_attributes_of_http_alone_denies_all_of_tcp() -> None:
    get = [{"operation": {"methods": ["GET"]}}]
    assert denies(to=get) == ["rules[0]"]
    assert denies(to=get, **{"from": [{"source": {"principals": ["a"]}}]}) == ["rules[0]"]
    assert denies(to=[{"operation": {"methods": ["GET"], "ports": ["80"]}}]) == []
    assert denies(**{"from": [{"source": {"requestPrincipals": ["a"]}}]}) == ["rules[0]"]
    assert denies(**{"from": [{"source": {"principals": ["a"]}}]}) == []
    assert denies() == []
    assert warnings("AuthorizationPolicy", {"rules": [{"to": get}]}) == []


@pytest.mark.parametrize(
    ("annotation", "action", "fine"),
    [("true", "ALLOW", True), ("yes", "ALLOW", False), ("true", "AUDIT", False)],
)
def test_allow_and_deny_have_a_dry_run(annotation: str, action: str, fine: bool) -> None:
    annotations = {"istio.io/dry-run": annotation}
    found = errors("AuthorizationPolicy", {"action": action}, annotations=annotations)
    assert (found == []) is fine
    assert errors("PeerAuthentication", {}, annotations=annotations) != []


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"mtls": {"mode": "STRICT"}}, []),
        ({"selector": {"matchLabels": {"a": "b"}}, "portLevelMtls": {"80": {}}}, []),
        ({"portLevelMtls": {"80": {}}}, ["portLevelMtls"]),
        ({"selector": {"matchLabels": {"a": "b"}}, "portLevelMtls": {}}, ["portLevelMtls"]),
        (
            {"selector": {"matchLabels": {"a": "b"}}, "portLevelMtls": {"0": {}}},
            ["portLevelMtls.0"],
        ),
    ],
)
def test_modes_of_ports_are_those_of_workloads(spec: dict[str, Any], wrong: list[str]) -> None:
    assert errors("PeerAuthentication", spec) == wrong


def test_a_selector_without_labels_is_warned_of() -> None:
    assert warnings("PeerAuthentication", {"selector": {}}) == ["selector"]


def token(**rule: Any) -> list[str]:
    found = errors("RequestAuthentication", {"jwtRules": [{"issuer": "i", **rule}]})
    return [each.removeprefix("jwtRules[0].") for each in found]


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ({"jwksUri": "https://a.b/keys"}, []),
        ({"jwksUri": "file:///keys"}, ["jwksUri"]),
        ({"jwksUri": "HTTPS://user:a@[::1]:8080/keys?of=%zz"}, []),
        ({"jwksUri": "https://a:port/keys"}, ["jwksUri"]),
        ({"jwksUri": "https://a b/keys"}, ["jwksUri"]),
        ({"jwksUri": "https://a/%zz"}, ["jwksUri"]),
        ({"jwksUri": "https://a", "jwks": "{}"}, ["jwtRules[0]", "jwks"]),
        ({"audiences": [""]}, ["audiences[0]"]),
        ({"fromParams": [""]}, ["fromParams[0]"]),
        ({"fromCookies": [""]}, ["fromCookies[0]"]),
        ({"fromHeaders": [{"name": ""}]}, ["fromHeaders[0]"]),
        (
            {"outputClaimToHeaders": [{"header": "a b", "claim": "c"}]},
            ["outputClaimToHeaders[0].header"],
        ),
        (
            {"outputClaimToHeaders": [{"header": "x-a", "claim": ""}]},
            ["outputClaimToHeaders[0].claim"],
        ),
        ({"timeout": "1us"}, ["timeout"]),
        ({"issuer": ""}, ["issuer"]),
        ({"jwksUri": "https://" + "a" * 2048}, ["jwksUri"]),
    ],
)
def test_a_rule_for_tokens_names_who_signs_them(rule: dict[str, Any], wrong: list[str]) -> None:
    assert token(**rule) == wrong


RSA = {"kty": "RSA", "n": "a", "e": "AQAB"}


@pytest.mark.parametrize(
    ("keys", "fine"),
    [
        ({"keys": [RSA, {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}]}, True),
        (RSA, True),
        ({"keys": [{"kty": "RSA"}]}, False),
        ({"keys": [{"kty": "DSA"}]}, False),
        ({"keys": {}}, False),
        ([], False),
    ],
)
def test_keys_are_a_json_web_key_set(keys: Any, fine: bool) -> None:
    assert (token(jwks=json.dumps(keys)) == []) is fine


def test_a_private_key_is_warned_of() -> None:
    rule = {"issuer": "i", "jwks": json.dumps({"keys": [{**RSA, "d": "secret"}]})}
    assert warnings("RequestAuthentication", {"jwtRules": [rule]}) == ["jwtRules[0].jwks"]
    rule["jwks"] = json.dumps({"keys": [RSA]})
    assert warnings("RequestAuthentication", {"jwtRules": [rule]}) == []
