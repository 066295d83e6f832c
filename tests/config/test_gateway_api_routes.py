"""The CRDs' rules for routes of the Gateway API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.gateway_api import wrong_fields

BACKEND = {"name": "reviews", "port": 80}
PREFIX = {"path": {"type": "PathPrefix", "value": "/a"}}
EXACT = {"path": {"type": "Exact", "value": "/a"}}


def rule(**fields: Any) -> list[str]:
    found = wrong_fields("HTTPRoute", {"rules": [fields]})
    return [field.removeprefix("spec.rules[0].") for field in found]


def match(**fields: Any) -> list[str]:
    return [field.removeprefix("matches[0].") for field in rule(matches=[fields])]


def http_filter(kind: str, field: str, value: Any) -> list[str]:
    found = rule(filters=[{"type": kind, field: value}])
    return [each.removeprefix("filters[0].") for each in found]


def grpc(**fields: Any) -> list[str]:
    found = wrong_fields("GRPCRoute", {"rules": [fields]})
    return [field.removeprefix("spec.rules[0].") for field in found]


@pytest.mark.parametrize(
    ("path", "fine"),
    [
        ({"type": "Exact", "value": "/a-b/%20/c;d=e@f"}, True),
        ({"value": "/"}, True),
        ({"type": "Exact", "value": "a"}, False),
        ({"value": "/a//b"}, False),
        ({"value": "/a/./b"}, False),
        ({"value": "/a/../b"}, False),
        ({"value": "/a/.."}, False),
        ({"value": "/a/."}, False),
        ({"value": "/a%2fb"}, False),
        ({"value": "/a%2Fb"}, False),
        ({"value": "/a#b"}, False),
        ({"value": "/a b"}, False),
        ({"value": "/a%zz"}, False),
        ({"value": "/" + "a" * 1024}, False),
        ({"type": "RegularExpression", "value": "/a//[b]+#"}, True),
        ({"type": "RegularExpression", "value": "a" * 1025}, False),
    ],
)
def test_paths_are_absolute_and_normal_unless_they_are_expressions(
    path: dict[str, str], fine: bool
) -> None:
    assert (match(path=path) == []) is fine


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"headers": [{"name": ":method", "value": "a"}]}, ["headers[0].name"]),
        ({"headers": [{"name": "a", "value": ""}]}, ["headers[0].value"]),
        ({"headers": [{"name": "a", "value": "b  c"}]}, ["headers[0].value"]),
        ({"headers": [{"name": "a", "value": "b"}] * 2}, ["headers[1].name"]),
        ({"headers": [{"name": f"h{i}", "value": "a"} for i in range(17)]}, ["headers"]),
        ({"queryParams": [{"name": "a b", "value": "c"}]}, ["queryParams[0].name"]),
        ({"queryParams": [{"name": "a", "value": ""}]}, ["queryParams[0].value"]),
        ({"queryParams": [{"name": "a", "value": "b c"}]}, []),
        ({"queryParams": [{"name": "a", "value": "b"}] * 2}, ["queryParams[1].name"]),
        ({"method": "GET"}, []),
        ({"method": "get"}, ["method"]),
    ],
)
def test_a_match_has_good_names_once_each(fields: dict[str, Any], wrong: list[str]) -> None:
    assert match(**fields) == wrong


def test_a_route_has_at_most_16_rules_64_matches_each_and_128_in_all() -> None:
    assert wrong_fields("HTTPRoute", {"rules": [{}] * 17}) == ["spec.rules"]
    assert rule(matches=[PREFIX] * 65) == ["matches"]
    many = {"rules": [{"matches": [PREFIX] * 60}] * 3}
    assert wrong_fields("HTTPRoute", many) == ["spec.rules"]
    assert wrong_fields("HTTPRoute", {"rules": [{"name": "a"}, {"name": "a"}]}) == [
        "spec.rules[1].name"
    ]
    assert wrong_fields("HTTPRoute", {"hostnames": ["a.b", "10"] + ["c"] * 15}) == [
        "spec.hostnames"
    ]
    assert wrong_fields("HTTPRoute", {"hostnames": ["A.b"]}) == ["spec.hostnames[0]"]


@pytest.mark.parametrize(
    ("backend", "wrong"),
    [
        (BACKEND, []),
        ({"name": "a"}, [""]),
        ({"name": "a", "group": "b.c", "kind": "D"}, []),
        ({**BACKEND, "weight": 1_000_001}, [".weight"]),
        ({**BACKEND, "weight": -1}, [".weight"]),
        ({**BACKEND, "namespace": "a.b"}, [".namespace"]),
        ({**BACKEND, "group": "A"}, [".group"]),
        ({"name": "", "port": 80}, [".name"]),
        ({"name": "a", "port": 70000}, [".port"]),
    ],
)
def test_a_backend_is_named_well_and_a_service_has_a_port(
    backend: dict[str, Any], wrong: list[str]
) -> None:
    assert rule(backendRefs=[backend]) == [f"backendRefs[0]{field}" for field in wrong]


@pytest.mark.parametrize(
    ("filters", "wrong"),
    [
        ([{"type": "RequestHeaderModifier"}], ["filters[0]"]),
        ([{"type": "URLRewrite", "urlRewrite": {}}], []),
        ([{"type": "URLRewrite", "urlRewrite": {}, "cors": {}}], ["filters[0].cors"]),
        ([{"type": "CORS", "cors": {}}] * 2, ["filters"]),
        ([{"type": "ExternalAuth"}], ["filters[0]"]),
        (
            [
                {"type": "RequestRedirect", "requestRedirect": {}},
                {"type": "URLRewrite", "urlRewrite": {}},
            ],
            ["filters"],
        ),
        (
            [{"type": "ExtensionRef", "extensionRef": {"group": "a", "kind": "B", "name": ""}}],
            ["filters[0].extensionRef.name"],
        ),
    ],
)
def test_a_filter_has_the_field_that_its_type_names(
    filters: list[dict[str, Any]], wrong: list[str]
) -> None:
    assert rule(filters=filters) == wrong
    backend = {**BACKEND, "filters": filters}
    assert rule(backendRefs=[backend]) == [f"backendRefs[0].{field}" for field in wrong]


def test_most_filters_are_there_at_most_once_and_mirrors_as_often_as_you_like() -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": BACKEND}}
    assert rule(filters=[mirror] * 16) == []
    assert rule(filters=[mirror] * 17) == ["filters"]
    change = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {}}
    assert rule(filters=[change] * 2) == ["filters"]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"set": [{"name": "a", "value": "b"}], "add": [{"name": "a", "value": "c"}]}, []),
        ({"set": [{"name": "a", "value": "b"}] * 2}, ["set[1].name"]),
        ({"add": [{"name": "a b", "value": "c"}]}, ["add[0].name"]),
        ({"add": [{"name": "a", "value": "b c\td"}]}, []),
        ({"add": [{"name": "a", "value": "b  c"}]}, ["add[0].value"]),
        ({"add": [{"name": "a", "value": "é"}]}, ["add[0].value"]),
        # A value that took hours once: every way of cutting it into parts was tried.
        ({"add": [{"name": "a", "value": "b" * 4000 + "é"}]}, ["add[0].value"]),
        ({"remove": ["a", "a"]}, ["remove[1]"]),
        ({"remove": [f"h{index}" for index in range(17)]}, ["remove"]),
    ],
)
def test_a_header_is_changed_once(change: dict[str, Any], wrong: list[str]) -> None:
    expected = [f"requestHeaderModifier.{field}" for field in wrong]
    assert http_filter("RequestHeaderModifier", "requestHeaderModifier", change) == expected


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"percent": 0}, []),
        ({"percent": 101}, [".percent"]),
        ({"fraction": {"numerator": 1, "denominator": 3}}, []),
        ({"fraction": {"numerator": 101}}, [".fraction"]),
        ({"fraction": {"numerator": -1}}, [".fraction.numerator"]),
        ({"fraction": {"numerator": 0, "denominator": 0}}, [".fraction.denominator"]),
        ({"percent": 1, "fraction": {"numerator": 1}}, [""]),
        ({"backendRef": {"name": "a"}}, [".backendRef"]),
    ],
)
def test_a_mirror_has_a_percentage_or_a_fraction(fields: dict[str, Any], wrong: list[str]) -> None:
    value = {"backendRef": BACKEND, **fields}
    expected = [f"requestMirror{field}" for field in wrong]
    assert http_filter("RequestMirror", "requestMirror", value) == expected


@pytest.mark.parametrize(
    ("redirect", "wrong"),
    [
        ({"scheme": "https", "hostname": "a.b", "port": 8443, "statusCode": 308}, []),
        ({"scheme": "ftp"}, [".scheme"]),
        ({"hostname": "*.a.b"}, [".hostname"]),
        ({"port": 0}, [".port"]),
        ({"statusCode": 200}, [".statusCode"]),
        ({"path": {"type": "ReplaceFullPath"}}, [".path"]),
        (
            {"path": {"type": "ReplaceFullPath", "replaceFullPath": "a" * 1025}},
            [".path.replaceFullPath"],
        ),
        ({"path": {"type": "ReplacePrefixMatch", "replaceFullPath": "a"}}, [".path", ".path"]),
        ({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": ""}}, []),
    ],
)
def test_a_redirect_goes_to_a_place_that_there_is(
    redirect: dict[str, Any], wrong: list[str]
) -> None:
    expected = [f"requestRedirect{field}" for field in wrong]
    assert http_filter("RequestRedirect", "requestRedirect", redirect) == expected


@pytest.mark.parametrize(
    ("kind", "field"), [("RequestRedirect", "requestRedirect"), ("URLRewrite", "urlRewrite")]
)
def test_a_prefix_is_replaced_only_where_one_prefix_is_matched(kind: str, field: str) -> None:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}
    filters = [{"type": kind, field: {"path": path}}]
    assert rule(filters=filters, matches=[PREFIX]) == []
    assert rule(filters=filters, matches=[EXACT]) == ["matches"]
    assert rule(filters=filters, matches=[PREFIX, PREFIX]) == ["matches"]
    backend = {**BACKEND, "filters": filters}
    assert rule(backendRefs=[backend], matches=[EXACT]) == ["matches"]
    assert rule(backendRefs=[backend, backend], matches=[EXACT]) == []


def test_a_rule_that_redirects_goes_to_no_backend() -> None:
    filters = [{"type": "RequestRedirect", "requestRedirect": {}}]
    found = wrong_fields("HTTPRoute", {"rules": [{"filters": filters, "backendRefs": [BACKEND]}]})
    assert found == ["spec.rules[0]"]


@pytest.mark.parametrize(
    ("cors", "wrong"),
    [
        ({"allowOrigins": ["https://*.example.com:8443", "http://a", "https://*"]}, []),
        ({"allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["*"]}, []),
        ({"allowOrigins": ["*", "http://a"]}, ["allowOrigins"]),
        ({"allowOrigins": ["example.com"]}, ["allowOrigins[0]"]),
        ({"allowOrigins": ["http://*a.com"]}, ["allowOrigins[0]"]),
        ({"allowOrigins": ["spiffe://a.com"]}, ["allowOrigins[0]"]),
        ({"allowOrigins": ["http://a.com/b"]}, ["allowOrigins[0]"]),
        ({"allowOrigins": ["http://a.com:123456"]}, ["allowOrigins[0]"]),
        ({"allowOrigins": ["http://a", "http://a"]}, ["allowOrigins[1]"]),
        ({"allowMethods": ["GET", "FETCH"]}, ["allowMethods[1]"]),
        ({"allowMethods": ["GET", "*"]}, ["allowMethods"]),
        ({"allowHeaders": ["a b"]}, ["allowHeaders[0]"]),
        ({"exposeHeaders": ["*", "a"]}, []),
        ({"maxAge": 0}, ["maxAge"]),
    ],
)
def test_cors_names_origins_methods_and_headers(cors: dict[str, Any], wrong: list[str]) -> None:
    assert http_filter("CORS", "cors", cors) == [f"cors.{field}" for field in wrong]


@pytest.mark.parametrize(
    ("auth", "wrong"),
    [
        ({"protocol": "GRPC", "grpc": {}}, []),
        ({"protocol": "HTTP", "http": {"path": "/check"}}, []),
        ({"protocol": "HTTP"}, [""]),
        ({"protocol": "HTTP", "http": {}, "grpc": {}}, [""]),
        ({"protocol": "HTTP", "http": {"path": "/a b"}}, [".http.path"]),
        ({"protocol": "GRPC", "grpc": {"allowedHeaders": ["a"] * 2}}, [".grpc.allowedHeaders[1]"]),
        (
            {"protocol": "GRPC", "grpc": {}, "forwardBody": {"maxSize": -1}},
            [".forwardBody.maxSize"],
        ),
    ],
)
def test_external_authorization_speaks_one_protocol(auth: dict[str, Any], wrong: list[str]) -> None:
    value = {"backendRef": BACKEND, **auth}
    expected = [f"externalAuth{field}" for field in wrong]
    assert http_filter("ExternalAuth", "externalAuth", value) == expected


def test_one_try_may_not_take_longer_than_the_request() -> None:
    assert rule(timeouts={"request": "1s", "backendRequest": "2s"}) == ["timeouts.backendRequest"]
    assert rule(timeouts={"request": "0s", "backendRequest": "2s"}) == []
    assert rule(timeouts={"request": "1s", "backendRequest": "1000ms"}) == []
    assert rule(timeouts={"request": "1.5s"}) == ["timeouts.request"]


def test_retries_are_of_errors_and_sessions_have_their_kind_of_token() -> None:
    assert rule(retry={"codes": [500, 503], "attempts": 2, "backoff": "25ms"}) == []
    assert rule(retry={"codes": [200, 500, 500]}) == ["retry.codes[0]", "retry.codes[2]"]
    at = "sessionPersistence"
    assert rule(sessionPersistence={"cookieConfig": {"lifetimeType": "Session"}}) == []
    permanent = {"cookieConfig": {"lifetimeType": "Permanent"}}
    assert rule(sessionPersistence=permanent) == [f"{at}.cookieConfig"]
    assert rule(sessionPersistence={**permanent, "absoluteTimeout": "1h"}) == []
    assert rule(sessionPersistence={"type": "Header", "cookie": {"name": "a"}}) == [f"{at}.cookie"]
    assert rule(sessionPersistence={"header": {"name": "a"}}) == [f"{at}.header"]
    assert rule(sessionPersistence={"cookie": {"name": "a=b"}}) == [f"{at}.cookie.name"]
    assert rule(sessionPersistence={"cookieConfig": {"name": "a"}}) == [f"{at}.cookieConfig.name"]
    assert rule(sessionPersistence={"sessionName": "a" * 129}) == [f"{at}.sessionName"]


def parents(*references: dict[str, Any]) -> list[str]:
    return wrong_fields("HTTPRoute", {"parentRefs": [{"name": "edge", **r} for r in references]})


def test_two_references_to_one_parent_differ_in_section_or_port() -> None:
    assert parents({}, {"name": "other"}, {"namespace": "b"}, {"kind": "Service"}) == []
    assert parents({}, {}) == ["spec.parentRefs[1]"]
    assert parents({"sectionName": "a"}, {"sectionName": "b"}) == []
    assert parents({"sectionName": "a"}, {"sectionName": "a"}) == ["spec.parentRefs[1]"]
    assert parents({"sectionName": "a"}, {}) == ["spec.parentRefs[1]"]
    assert parents({"sectionName": "a"}, {"port": 80}) == ["spec.parentRefs[1]"]
    assert parents({"port": 80}, {"port": 81}) == []
    assert parents({"sectionName": "a", "port": 80}, {"sectionName": "a", "port": 81}) == []
    assert parents(*[{"name": f"g{index}"} for index in range(33)]) == ["spec.parentRefs"]
    assert parents({"sectionName": "A"}) == ["spec.parentRefs[0].sectionName"]


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ({"service": "foo.Bar", "method": "Login"}, []),
        ({"method": "Login"}, []),
        ({}, ["method"]),
        ({"service": "foo.bar/baz"}, ["method.service"]),
        ({"service": "foo", "method": "a.b"}, ["method.method"]),
        ({"type": "RegularExpression", "service": "foo.*", "method": "[a-z]+"}, []),
        ({"type": "RegularExpression", "method": "a" * 1025}, ["method.method"]),
    ],
)
def test_a_call_is_matched_by_service_and_method(method: dict[str, str], wrong: list[str]) -> None:
    assert grpc(matches=[{"method": method}]) == [f"matches[0].{field}" for field in wrong]


def test_a_grpc_route_has_the_rules_of_http_for_backends_headers_and_filters() -> None:
    assert grpc(backendRefs=[{"name": "a"}]) == ["backendRefs[0]"]
    header = {"name": "a", "value": "b"}
    assert grpc(matches=[{"headers": [header, header]}]) == ["matches[0].headers[1].name"]
    assert grpc(matches=[{}] * 65) == ["matches"]
    assert grpc(filters=[{"type": "RequestMirror"}]) == ["filters[0]"]
    assert grpc(filters=[{"type": "URLRewrite"}]) == ["filters[0].type"]
    assert grpc(sessionPersistence={"header": {"name": "a"}}) == ["sessionPersistence.header"]


@pytest.mark.parametrize("kind", ["TLSRoute", "TCPRoute", "UDPRoute"])
def test_a_route_of_connections_has_one_rule_with_backends(kind: str) -> None:
    names: dict[str, Any] = {"hostnames": ["a.b"]} if kind == "TLSRoute" else {}
    good = {"backendRefs": [BACKEND]}
    assert wrong_fields(kind, {**names, "rules": [good]}) == []
    assert wrong_fields(kind, {**names, "rules": []}) == ["spec.rules"]
    assert wrong_fields(kind, {**names, "rules": [good, good]}) == ["spec.rules"]
    none = {"rules": [{"backendRefs": []}], **names}
    assert wrong_fields(kind, none) == ["spec.rules[0].backendRefs"]
    alpha = "gateway.networking.k8s.io/v1alpha2"
    assert wrong_fields(kind, {**names, "rules": [good, good]}, alpha) == []


def test_a_tls_route_is_for_names_and_not_for_addresses() -> None:
    rules = [{"backendRefs": [BACKEND]}]
    assert wrong_fields("TLSRoute", {"rules": rules}) == ["spec.hostnames"]
    at = ["spec.hostnames[0]"]
    assert wrong_fields("TLSRoute", {"rules": rules, "hostnames": ["1.2.3.4"]}) == at
    assert wrong_fields("TLSRoute", {"rules": rules, "hostnames": ["a.*.b"]}) == at
    alpha = "gateway.networking.k8s.io/v1alpha2"
    assert wrong_fields("TLSRoute", {"rules": rules}, alpha) == []
