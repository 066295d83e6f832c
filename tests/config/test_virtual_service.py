"""Istio's admission rules for VirtualService."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.admission import errors, warnings

ROUTE = [{"destination": {"host": "a"}}]


def service(**spec: Any) -> list[str]:
    return errors("VirtualService", {"hosts": ["a"], "http": [{"route": ROUTE}], **spec})


def route(**fields: Any) -> list[str]:
    found = service(http=[{"route": ROUTE, **fields}])
    return [field.removeprefix("http[0].") for field in found]


def route_warnings(**fields: Any) -> list[str]:
    found = warnings("VirtualService", {"hosts": ["a"], "http": [{"route": ROUTE, **fields}]})
    return [field.removeprefix("http[0].") for field in found]


def match(**fields: Any) -> list[str]:
    return [field.removeprefix("match[0].") for field in route(match=[fields])]


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        ({"hosts": ["*"]}, ["hosts[0]"]),
        ({"hosts": ["*"], "gateways": ["edge"]}, []),
        ({"hosts": ["*"], "gateways": ["edge", "mesh"]}, ["hosts[0]"]),
        ({"hosts": ["a.b", "*.b"]}, ["hosts[1]"]),
        ({"hosts": ["a_b"]}, ["hosts[0]"]),
        ({"hosts": ["1.2.3.4"]}, []),
        ({"hosts": ["a.1"]}, ["hosts[0]"]),
        ({"hosts": ["1", "a.1."]}, []),
        ({"hosts": []}, []),
        ({"hosts": [], "gateways": ["edge"]}, [""]),
        ({"http": []}, [""]),
        ({"gateways": ["ns/edge", "edge"]}, []),
        ({"gateways": ["ns/a.b"]}, ["gateways[0]"]),
        ({"gateways": ["a/b/c"]}, ["gateways[0]"]),
        ({"gateways": ["e_dge"]}, ["gateways[0]"]),
        ({"exportTo": [".", "*"]}, ["exportTo"]),
        ({"exportTo": [".", "default"]}, ["exportTo[1]"]),
        ({"exportTo": ["~"]}, ["exportTo[0]"]),
    ],
)
def test_hosts_gateways_and_visibility(spec: dict[str, Any], wrong: list[str]) -> None:
    assert service(**spec) == [each or "spec" for each in wrong]


def test_a_dotted_gateway_name_is_the_old_way_to_write_one() -> None:
    spec = {"hosts": ["a"], "gateways": ["edge.ns.svc"], "http": [{"route": ROUTE}]}
    assert warnings("VirtualService", spec) == ["gateways[0]"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"headers": {"x-a": {"exact": "b"}, ":authority": {"prefix": "c"}}}, []),
        ({"headers": {"a b": {"exact": "c"}}}, ["headers.a b"]),
        ({"headers": {"x-a": None}}, ["headers.x-a"]),
        ({"headers": {"x-a": {"prefix": ""}}}, ["headers.x-a.prefix"]),
        ({"withoutHeaders": {"x-a": {"regex": "*"}}}, []),
        ({"uri": {"prefix": ""}}, []),
        ({"method": {"prefix": ""}}, ["method.prefix"]),
        ({"uri": {"regex": "(?=a)"}}, ["uri.regex"]),
        ({"uri": {"regex": "a++"}}, ["uri.regex"]),
        ({"uri": {"regex": "*"}}, ["uri.regex"]),
        ({"headers": {"x-a": {"regex": "*"}}, "queryParams": {"q": {"regex": "*"}}}, []),
        ({"uri": {"regex": "^(?i)/shop/(?U)\\pL*\\z"}}, []),
        ({"uri": {"regex": "a" * 1025}}, ["uri.regex"]),
        ({"uri": {"exact": "/a", "prefix": "/b"}}, ["uri"]),
        ({"port": 70000}, ["port"]),
        ({"sourceNamespace": "a.b"}, ["sourceNamespace"]),
        ({"sourceLabels": {"app": "a b"}}, ["sourceLabels.app"]),
        ({"sourceLabels": {"a/b/c": "d"}}, ["sourceLabels.a/b/c"]),
        ({"gateways": ["a/b.c"]}, ["gateways[0]"]),
    ],
)
def test_what_a_match_asks_for_can_be(fields: dict[str, Any], wrong: list[str]) -> None:
    assert match(**fields) == wrong


@pytest.mark.parametrize(
    "name", ["@request.auth.claims.group", "@request.auth.claims[a][b]", "@request.auth.claims"]
)
def test_claims_are_matched_at_gateways_only(name: str) -> None:
    http = [{"route": ROUTE, "match": [{"headers": {name: {"exact": "a"}}}]}]
    complete = name != "@request.auth.claims"
    assert (service(gateways=["edge"], http=http) == []) is complete
    assert service(http=http) != []
    assert service(gateways=["edge", "mesh"], http=http) != []


@pytest.mark.parametrize(
    ("destination", "wrong"),
    [
        ({"host": "a.b", "subset": "v1", "port": {"number": 80}}, []),
        ({"host": "*"}, ["host"]),
        ({"host": "1.2.3.4"}, ["host"]),
        ({"host": ""}, ["host"]),
        ({"host": "a", "subset": "v.1"}, ["subset"]),
        ({"host": "a", "port": {"number": 0}}, ["port.number"]),
    ],
)
def test_a_destination_is_a_host_that_can_be(destination: dict[str, Any], wrong: list[str]) -> None:
    places: dict[str, dict[str, Any]] = {
        "route[0].destination": {"route": [{"destination": destination}]},
        "mirror": {"mirror": destination},
        "mirrors[0].destination": {"mirrors": [{"destination": destination}]},
    }
    for field, given in places.items():
        assert route(**given) == [f"{field}.{each}" for each in wrong]


def test_weights_are_not_negative_and_add_up_to_something() -> None:
    def weighted(*weights: int) -> list[str]:
        return route(route=[{"destination": {"host": "a"}, "weight": each} for each in weights])

    assert weighted(0) == []
    assert weighted(0, 0) == ["route"]
    assert weighted(-1, 2) == ["route[0].weight"]
    assert weighted(30, 30) == []
    assert weighted(2**31, 1) == ["route[0].weight"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"route": []}, [""]),
        ({"redirect": {"uri": "/b"}}, [""]),
        ({"route": [], "redirect": {"uri": "/b"}}, []),
        ({"route": [], "redirect": {}}, ["redirect"]),
        ({"route": [], "redirect": {"uri": "/b", "redirectCode": 200}}, ["redirect.redirectCode"]),
        ({"route": [], "redirect": {"scheme": "ftp"}}, ["redirect.scheme"]),
        ({"route": [], "redirect": {"uri": "/"}, "rewrite": {"uri": "/"}}, ["rewrite"]),
        ({"route": [], "directResponse": {"status": 200}}, []),
        ({"route": [], "directResponse": {"status": 199}}, ["directResponse.status"]),
        ({"route": [], "directResponse": {"status": 200}, "fault": {"abort": {}}}, ["fault"]),
        ({"route": [], "delegate": {"name": "b"}}, []),
        ({"delegate": {"name": "b"}}, [""]),
        ({"route": [], "delegate": {"name": "b"}, "directResponse": {"status": 200}}, []),
        ({"route": [], "redirect": {"authority": "b", "port": 0}}, []),
        ({"route": [], "redirect": {"port": 70000}}, ["redirect.port"]),
        ({"rewrite": {}}, ["rewrite"]),
        (
            {"rewrite": {"uri": "/", "uriRegexRewrite": {"match": "a", "rewrite": "b"}}},
            ["rewrite.uriRegexRewrite"],
        ),
        ({"rewrite": {"uriRegexRewrite": {"match": "a"}}}, ["rewrite.uriRegexRewrite"]),
    ],
)
def test_exactly_one_thing_happens_to_a_request(fields: dict[str, Any], wrong: list[str]) -> None:
    assert route(**fields) == [each or "http[0]" for each in wrong]


def test_a_large_body_is_held_by_every_proxy_and_a_very_large_one_is_refused() -> None:
    def response(size: int) -> dict[str, Any]:
        body = {"string": "a" * size}
        return {"route": [], "directResponse": {"status": 200, "body": body}}

    assert route(**response(1024 * 1024 + 1)) == ["directResponse.body"]
    assert route_warnings(**response(100 * 1024 + 1)) == ["directResponse.body"]
    assert route_warnings(**response(100 * 1024)) == []


@pytest.mark.parametrize(
    ("fault", "wrong", "warned"),
    [
        ({}, ["fault"], []),
        ({"abort": {"httpStatus": 503}}, [], []),
        ({"abort": {"httpStatus": 199}}, ["fault.abort.httpStatus"], []),
        ({"abort": {"grpcStatus": "NOT_FOUND"}}, [], []),
        ({"abort": {"grpcStatus": "5"}}, ["fault.abort.grpcStatus"], []),
        ({"abort": {"http2Error": "a"}}, ["fault.abort.http2Error"], []),
        ({"abort": {"httpStatus": 500, "grpcStatus": "OK"}}, ["fault.abort"], []),
        ({"abort": {"percentage": {"value": 1}}}, [], ["fault.abort"]),
        (
            {"abort": {"httpStatus": 500, "percentage": {"value": 0.00001}}},
            ["fault.abort.percentage.value"],
            [],
        ),
        ({"delay": {"fixedDelay": "1s"}}, [], []),
        ({"delay": {"fixedDelay": "1us"}}, ["fault.delay.fixedDelay"], []),
        ({"delay": {"exponentialDelay": "1s"}}, ["fault.delay.exponentialDelay"], []),
        ({"delay": {"percentage": {"value": 1}}}, [], ["fault.delay"]),
    ],
)
def test_a_fault_is_one_that_istio_can_inject(
    fault: dict[str, Any], wrong: list[str], warned: list[str]
) -> None:
    assert route(fault=fault) == wrong
    assert route_warnings(fault=fault) == warned


def test_percentages_of_mirrors_are_between_0_and_100() -> None:
    mirror = {"mirror": {"host": "b"}}
    assert route(**mirror, mirrorPercentage={"value": 0.00001}) == []
    assert route(**mirror, mirrorPercentage={"value": 101}) == ["mirrorPercentage.value"]
    assert route(**mirror, mirrorPercent=101) == ["mirrorPercent"]
    assert route_warnings(**mirror, mirrorPercent=5) == ["mirrorPercent"]
    mirrors = [{"destination": {"host": "b"}, "percentage": {"value": -1}}]
    assert route(mirrors=mirrors) == ["mirrors[0].percentage.value"]
    assert route(**mirror, mirrors=[{"destination": {"host": "b"}}]) == ["mirrors"]


@pytest.mark.parametrize(
    ("headers", "wrong"),
    [
        ({"request": {"set": {"x-a": "%REQ(X-B)%", "x-c": "100%%"}}}, []),
        ({"request": {"set": {"x-a": "100%"}}}, ["request.set.x-a"]),
        ({"request": {"set": {"x-a": '%UPSTREAM_METADATA(["a", "b"])%'}}}, []),
        ({"request": {"set": {"x-a": "%UPSTREAM_METADATA([a])%"}}}, ["request.set.x-a"]),
        ({"request": {"set": {"x-a": '%UPSTREAM_METADATA(["a" "b"])%'}}}, ["request.set.x-a"]),
        ({"request": {"set": {"x-a": "%REQ(X-B"}}}, ["request.set.x-a"]),
        ({"request": {"set": {"x-a": "a\nb"}}}, ["request.set.x-a"]),
        ({"request": {"set": {"host": "b"}}}, []),
        ({"request": {"set": {":authority": "b", "Host": "c"}}}, [""]),
        ({"request": {"add": {":path": "/"}}}, ["request.add.:path"]),
        ({"request": {"remove": ["host"]}}, ["request.remove[0]"]),
        ({"response": {"set": {"host": "b"}}}, ["response.set.host"]),
    ],
)
def test_headers_are_changed_where_they_can_be(headers: dict[str, Any], wrong: list[str]) -> None:
    expected = [f"headers.{each}".removesuffix(".") for each in wrong]
    assert route(headers=headers) == expected


def test_a_name_that_none_of_envoys_operators_has_is_warned_of() -> None:
    def changed(value: str) -> dict[str, Any]:
        return {"headers": {"request": {"set": {"x-a": value}}}}

    assert route(**changed("%percent of%")) == []
    assert route_warnings(**changed("%percent of%")) == ["headers.request.set.x-a"]
    assert route_warnings(**changed("%REQ(X-B)%")) == []


def test_the_host_is_set_in_one_place() -> None:
    headers = {"request": {"set": {"host": "b"}}}
    assert route(headers=headers, rewrite={"authority": "c"}) == ["headers"]


@pytest.mark.parametrize(
    ("retries", "wrong"),
    [
        ({"attempts": 3, "retryOn": "5xx,503", "perTryTimeout": "2s"}, []),
        ({"attempts": 0}, []),
        ({"attempts": -1}, ["retries.attempts"]),
        ({"attempts": 0, "retryOn": "5xx"}, ["retries"]),
        ({"attempts": 0, "retryRemoteLocalities": False}, ["retries"]),
        ({"attempts": 1, "retryOn": "sometimes"}, ["retries.retryOn"]),
        ({"attempts": 1, "retryOn": "599"}, ["retries.retryOn"]),
        ({"attempts": 1, "perTryTimeout": "1us"}, ["retries.perTryTimeout"]),
    ],
)
def test_retries_are_of_conditions_that_there_are(
    retries: dict[str, Any], wrong: list[str]
) -> None:
    assert route(retries=retries) == wrong


@pytest.mark.parametrize(
    ("cors", "wrong"),
    [
        ({"allowOrigins": [{"exact": "http://a"}], "allowHeaders": ["*"], "maxAge": "1s"}, []),
        ({"allowOrigins": [{}]}, ["allowOrigins[0]"]),
        ({"allowOrigins": [{"exact": ""}]}, ["allowOrigins[0]"]),
        ({"allowOrigins": [{"regex": "("}]}, ["allowOrigins[0].regex"]),
        ({"allowOrigins": [{"regex": "*"}]}, ["allowOrigins[0].regex"]),
        ({"allowMethods": ["FETCH"]}, ["allowMethods[0]"]),
        ({"exposeHeaders": ["a b"]}, ["exposeHeaders[0]"]),
        ({"maxAge": "1500ms"}, ["maxAge"]),
    ],
)
def test_cors_names_origins_methods_and_headers(cors: dict[str, Any], wrong: list[str]) -> None:
    assert route(corsPolicy=cors) == [f"corsPolicy.{each}" for each in wrong]


def tls(match: dict[str, Any], **spec: Any) -> list[str]:
    return errors(
        "VirtualService",
        {"hosts": ["a.b"], "tls": [{"match": [match], "route": ROUTE}], **spec},
    )


@pytest.mark.parametrize(
    ("match", "wrong"),
    [
        ({"sniHosts": ["a.b"]}, []),
        ({"sniHosts": ["c.b"]}, ["sniHosts[0]"]),
        ({"sniHosts": []}, ["sniHosts"]),
        ({"sniHosts": ["a.b"], "port": 70000}, ["port"]),
        ({"sniHosts": ["a.b"], "destinationSubnets": ["1.2.3.0/33"]}, ["destinationSubnets[0]"]),
        (
            {"sniHosts": ["a.b"], "destinationSubnets": ["1.0.0.0/255.0.0.0", "1.0.0.0/08"]},
            ["destinationSubnets[0]", "destinationSubnets[1]"],
        ),
        ({"sniHosts": ["a.b"], "sourceLabels": {"a": "b c"}}, ["sourceLabels.a"]),
    ],
)
def test_a_tls_route_is_for_names_among_the_hosts(match: dict[str, Any], wrong: list[str]) -> None:
    assert tls(match) == [f"tls[0].match[0].{each}" for each in wrong]


def test_names_of_clusters_are_sni_hosts_at_gateways() -> None:
    name = "outbound_.80_._.a.b"
    assert tls({"sniHosts": [name]}, hosts=[name], gateways=["edge"]) == []
    assert tls({"sniHosts": [name]}, hosts=[name]) != []
    name = "outbound_.http_._.a.b"
    assert tls({"sniHosts": [name]}, hosts=[name], gateways=["edge"]) != []


def test_an_ip_address_is_no_name_that_clients_ask_for() -> None:
    spec = {"hosts": ["a.b"], "tls": [{"match": [{"sniHosts": ["1.2.3.4"]}], "route": ROUTE}]}
    assert warnings("VirtualService", spec) == ["tls[0].match[0].sniHosts[0]"]


def test_a_tcp_route_has_matches_and_destinations_that_can_be() -> None:
    tcp = [{"match": [{"destinationSubnets": ["a"], "port": 70000}], "route": []}]
    assert service(tcp=tcp) == [
        "tcp[0].match[0].destinationSubnets[0]",
        "tcp[0].match[0].port",
        "tcp[0].route",
    ]


def unreachable(*matches: list[dict[str, Any]]) -> list[str]:
    http = [{"match": each, "route": ROUTE} for each in matches]
    return warnings("VirtualService", {"hosts": ["a"], "http": http})


def test_what_rules_before_it_take_is_never_reached() -> None:
    a, ab, b = ({"uri": {"prefix": each}} for each in ("/a", "/a/b", "/b"))
    assert unreachable([a], [b], []) == []
    assert unreachable([], []) == ["http[1]"]
    assert unreachable([], [a], [a, b]) == ["http[1]", "http[2]"]
    assert unreachable([a], [a]) == ["http[1].match[0]", "http[1]"]
    assert unreachable([a], [{**a, "name": "again"}, b]) == ["http[1].match[0]"]
    assert unreachable([a], [ab]) == ["http[1].match[0]"]
    assert unreachable([ab], [a]) == []
    assert unreachable([a], [{**ab, "port": 80}]) == []
    assert unreachable([a], [{**ab, "headers": {"x": {"exact": "y"}}}]) == []
    assert unreachable([{**a, "method": {"exact": "POST"}}], [ab]) == []
    post = {"method": {"exact": "POST"}}
    assert unreachable([{**a, **post}], [{**ab, **post}]) == ["http[1].match[0]"]
    both = {"queryParams": {"q": {"exact": "z"}}, "withoutHeaders": {"x": {"exact": "y"}}}
    assert unreachable([{**a, **both}], [{**ab, **both}]) == ["http[1].match[0]"]
    assert unreachable([{"uri": {"exact": "/a"}}], [ab]) == []


def test_routes_of_connections_can_be_unreachable_too() -> None:
    tcp = [{"match": [{"port": 80}], "route": ROUTE}] * 2
    assert warnings("VirtualService", {"hosts": ["a"], "tcp": tcp}) == [
        "tcp[1].match[0]",
        "tcp[1]",
    ]
    tls = [{"match": [{"sniHosts": ["a"]}], "route": ROUTE}] * 2
    assert warnings("VirtualService", {"hosts": ["a"], "tls": tls}) == [
        "tls[1].match[0]",
        "tls[1]",
    ]
