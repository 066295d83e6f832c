"""Fields of routes of the Gateway API, as Envoy gets them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.snapshot.gateway_api.shop import GRANT, TO_SHOP, routes, snapshot

proves = pytest.mark.proves
OTHER = "outbound|80||shop.other.svc.cluster.local"
GRPC = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {{name: calls, namespace: default}}
spec:
  parentRefs: [{{name: web}}]
  hostnames: [grpc.example.com]
  rules: [{{{rule}}}]
"""


def only(rule: str, more: str = "") -> dict[str, Any]:
    [found] = routes(snapshot(rule, more=more))
    return found


def filtered(kind: str, name: str, text: str, more: str = "") -> dict[str, Any]:
    return only(f"filters: [{{type: {kind}, {name}: {{{text}}}}}], {TO_SHOP}", more)


def grpc(rule: str, more: str = "") -> dict[str, Any]:
    texts = [GRPC.format(rule=rule), *([more] if more else [])]
    found = routes(snapshot(TO_SHOP, more="---\n".join(texts)))
    [call] = [route for route in found if ".calls." in route["name"]]
    return call


@proves(
    "HTTPRouteRule.timeouts",
    "HTTPRouteTimeouts.request",
    "HTTPRouteTimeouts.backendRequest",
    "HTTPRouteRule.retry",
    "HTTPRouteRetry.attempts",
    "HTTPRouteRetry.codes",
    "HTTPRouteRetry.backoff",
)
def test_a_rule_has_times_and_retries() -> None:
    assert only(f"timeouts: {{request: 3s}}, {TO_SHOP}")["route"]["timeout"] == "3s"
    assert only(f"timeouts: {{backendRequest: 2s}}, {TO_SHOP}")["route"]["timeout"] == "2s"
    times = "timeouts: {request: 9s, backendRequest: 2s}"
    retry = "retry: {attempts: 4, codes: [500, 503], backoff: 100ms}"
    policy = only(f"{times}, {retry}, {TO_SHOP}")["route"]["retry_policy"]
    assert policy["num_retries"] == 4
    assert policy["per_try_timeout"] == "2s"
    assert policy["retriable_status_codes"] == [500, 503]
    assert policy["retry_back_off"]["base_interval"] == "0.100s"


@proves("HTTPHeaderMatch.type=RegularExpression", "HTTPQueryParamMatch.type=Exact")
def test_headers_and_parameters_match_exactly_or_by_a_regular_expression() -> None:
    headers = "headers: [{name: h, type: RegularExpression, value: a+}]"
    match = only(f"matches: [{{{headers}, queryParams: [{{name: q, value: x}}]}}], {TO_SHOP}")
    [header], [parameter] = match["match"]["headers"], match["match"]["query_parameters"]
    assert header["string_match"]["safe_regex"]["regex"] == "a+"
    assert parameter["string_match"]["exact"] == "x"


@proves(
    "HTTPRouteFilter.type=RequestRedirect",
    "HTTPRequestRedirectFilter.hostname",
    "HTTPRequestRedirectFilter.port",
    "HTTPPathModifier.type=ReplaceFullPath",
    "HTTPPathModifier.type=ReplacePrefixMatch",
    "HTTPPathModifier.replaceFullPath",
)
def test_a_redirect_changes_what_it_names() -> None:
    full = "path: {type: ReplaceFullPath, replaceFullPath: /all}"
    parts = f"hostname: a.com, port: 81, {full}"
    found = only(f"filters: [{{type: RequestRedirect, requestRedirect: {{{parts}}}}}]")
    redirect = found["redirect"]
    assert redirect["host_redirect"] == "a.com"
    assert redirect["port_redirect"] == 81
    assert redirect["path_redirect"] == "/all"
    prefix = "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}"
    found = only(
        f"matches: [{{path: {{value: /old}}}}],"
        f" filters: [{{type: RequestRedirect, requestRedirect: {{{prefix}}}}}]"
    )
    assert found["redirect"]["prefix_rewrite"] == "/new"


@proves("HTTPRouteFilter.type=URLRewrite", "HTTPURLRewriteFilter.hostname")
def test_a_rewrite_changes_the_host() -> None:
    found = filtered("URLRewrite", "urlRewrite", "hostname: a.com")
    assert found["route"]["host_rewrite_literal"] == "a.com"


@proves(
    "HTTPRouteFilter.type=RequestMirror",
    "HTTPRequestMirrorFilter.percent",
    "HTTPRequestMirrorFilter.fraction",
    "Fraction.numerator",
    "Fraction.denominator",
    "BackendObjectReference.namespace",
    "ReferenceGrantTo.name",
)
def test_a_share_of_requests_is_mirrored() -> None:
    def mirrored(share: str, grant: str = GRANT) -> dict[str, Any]:
        backend = "backendRef: {name: shop, namespace: other, port: 80}"
        found = filtered("RequestMirror", "requestMirror", f"{backend}, {share}", grant)
        return next(iter(found["route"].get("request_mirror_policies", ())), {})

    percent = mirrored("percent: 42")
    assert percent["cluster"] == OTHER
    assert percent["runtime_fraction"]["default_value"]["numerator"] == 420_000
    fraction = mirrored("fraction: {numerator: 1, denominator: 4}")
    assert fraction["runtime_fraction"]["default_value"]["numerator"] == 250_000
    named = GRANT.replace("kind: Service}", "kind: Service, name: shop}")
    assert mirrored("percent: 42", named)["cluster"] == OTHER
    another = GRANT.replace("kind: Service}", "kind: Service, name: cart}")
    assert mirrored("percent: 42", another) == {}


@proves(
    "HTTPRouteFilter.type=CORS",
    "HTTPRouteFilter.cors",
    "HTTPCORSFilter.allowOrigins",
    "HTTPCORSFilter.allowCredentials",
    "HTTPCORSFilter.allowMethods",
    "HTTPCORSFilter.allowHeaders",
    "HTTPCORSFilter.exposeHeaders",
    "HTTPCORSFilter.maxAge",
)
def test_browsers_may_be_let_in_from_other_origins() -> None:
    found = filtered(
        "CORS",
        "cors",
        'allowOrigins: ["https://*.a.com", "https://b.com"], allowCredentials: true,'
        " allowMethods: [GET, PUT], allowHeaders: [x-in], exposeHeaders: [x-out], maxAge: 7",
    )
    policy = found["typed_per_filter_config"]["envoy.filters.http.cors"]
    wild, exact = policy["allow_origin_string_match"]
    assert wild["safe_regex"]["regex"] == r"https://.*\.a\.com"
    assert exact["exact"] == "https://b.com"
    assert policy["allow_credentials"] is True
    assert policy["allow_methods"] == "GET,PUT"
    assert policy["allow_headers"] == "x-in"
    assert policy["expose_headers"] == "x-out"
    assert policy["max_age"] == "7"


@proves(
    "GRPCMethodMatch.type=RegularExpression",
    "GRPCHeaderMatch.type=RegularExpression",
)
def test_calls_match_by_regular_expressions() -> None:
    method = "method: {type: RegularExpression, service: s.+, method: m.+}"
    headers = "headers: [{name: h, type: RegularExpression, value: a+}]"
    match = grpc(f"matches: [{{{method}, {headers}}}], {TO_SHOP}")["match"]
    assert match["safe_regex"]["regex"] == "/s.+/m.+"
    [header] = match["headers"]
    assert header["string_match"]["safe_regex"]["regex"] == "a+"


@proves(
    "GRPCRouteFilter.type=ResponseHeaderModifier",
    "GRPCRouteFilter.type=RequestMirror",
    "GRPCRouteFilter.requestMirror",
)
def test_calls_are_mirrored_and_their_answers_changed() -> None:
    found = grpc(
        "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [x-a]}},"
        " {type: RequestMirror, requestMirror: {backendRef: {name: shop, port: 80}}}],"
        f" {TO_SHOP}"
    )
    assert found["response_headers_to_remove"] == ["x-a"]
    [mirror] = found["route"]["request_mirror_policies"]
    assert mirror["cluster"] == "outbound|80||shop.default.svc.cluster.local"


@proves("GRPCBackendRef.namespace", "GRPCBackendRef.weight")
def test_calls_are_split_over_namespaces() -> None:
    backends = (
        "backendRefs: [{name: shop, port: 80, weight: 3},"
        " {name: shop, namespace: other, port: 80, weight: 1}]"
    )
    found = grpc(backends, GRANT.replace("HTTPRoute", "GRPCRoute"))
    clusters = found["route"]["weighted_clusters"]["clusters"]
    weights = {each["name"]: each["weight"] for each in clusters}
    assert weights == {"outbound|80||shop.default.svc.cluster.local": 3, OTHER: 1}
