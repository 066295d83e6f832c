"""Route configurations, virtual hosts and routes, match by match."""

from __future__ import annotations

from typing import Any

import pytest

from clew.model.proxy import Proxy
from tests.compile.envoy_filter.patched import ROUTER, SIDECAR, Dump, dump, named, patch
from tests.compile.meshes import REVIEWS

proves = pytest.mark.proves
VHOST = {"name": "ours", "domains": ["ours"]}
TEAPOT = {"name": "ours", "match": {"prefix": "/tea"}, "direct_response": {"status": 418}}
_ALL = ["moved", "fixed", "main"]


def hosts(found: Dump, routes: str = "80") -> list[str]:
    return [each["name"] for each in named(found["routes"], routes)["virtual_hosts"]]


@proves("EnvoyConfigObjectPatch.applyTo=VIRTUAL_HOST", "RouteConfigurationMatch.vhost")
@pytest.mark.parametrize(
    "vhost",
    [
        pytest.param({"name": f"{REVIEWS}:80"}, marks=proves("VirtualHostMatch.name")),
        pytest.param({"domainName": REVIEWS}, marks=proves("VirtualHostMatch.domainName")),
    ],
)
def test_a_virtual_host_is_matched_and_removed_or_replaced(vhost: dict[str, Any]) -> None:
    match = {"name": "80", "vhost": vhost}
    removed = dump(patch("VIRTUAL_HOST", "REMOVE", routeConfiguration=match))
    assert hosts(removed) == [n for n in hosts(dump()) if n != f"{REVIEWS}:80"]
    replaced = dump(patch("VIRTUAL_HOST", "REPLACE", VHOST, routeConfiguration=match))
    assert hosts(replaced) == [("ours" if n == f"{REVIEWS}:80" else n) for n in hosts(dump())]


def test_a_virtual_host_is_added() -> None:
    added = dump(patch("VIRTUAL_HOST", "ADD", VHOST, routeConfiguration={"name": "80"}))
    assert hosts(added) == [*hosts(dump()), "ours"]
    assert "ours" not in hosts(added, "81")


@proves(
    "EnvoyConfigObjectPatch.applyTo=ROUTE_CONFIGURATION",
    "EnvoyConfigObjectMatch.routeConfiguration",
)
@pytest.mark.parametrize(
    ("proxy", "match", "expected"),
    [
        pytest.param(SIDECAR, {"name": "80"}, {"80"}, marks=proves("RouteConfigurationMatch.name")),
        pytest.param(
            SIDECAR, {"portNumber": 81}, {"81"}, marks=proves("RouteConfigurationMatch.portNumber")
        ),
        (ROUTER, {"portNumber": 80}, {"http.80"}),
        pytest.param(
            ROUTER,
            {"portName": "web"},
            {"https.443.web.gateway.default"},
            marks=proves("RouteConfigurationMatch.portName"),
        ),
        pytest.param(
            ROUTER,
            {"gateway": "default/gateway"},
            {"https.443.web.gateway.default"},
            marks=proves("RouteConfigurationMatch.gateway"),
        ),
    ],
)
def test_a_route_configuration_is_matched(
    proxy: Proxy, match: dict[str, Any], expected: set[str]
) -> None:
    value = {"max_direct_response_body_size_bytes": 77}
    found = dump(
        patch("ROUTE_CONFIGURATION", "MERGE", value, routeConfiguration=match), proxy=proxy
    )
    assert {
        each["name"]
        for each in found["routes"]
        if each.get("max_direct_response_body_size_bytes") == 77
    } == expected


@proves("EnvoyConfigObjectPatch.applyTo=HTTP_ROUTE", "VirtualHostMatch.route")
@pytest.mark.parametrize(
    ("operation", "route", "expected"),
    [
        ("ADD", None, [*_ALL, "ours"]),
        ("INSERT_AFTER", None, [*_ALL, "ours"]),
        ("INSERT_FIRST", None, ["ours", *_ALL]),
        pytest.param(
            "INSERT_BEFORE",
            {"name": "fixed"},
            ["moved", "ours", "fixed", "main"],
            marks=proves("RouteMatch.name"),
        ),
        ("INSERT_AFTER", {"name": "moved"}, ["moved", "ours", "fixed", "main"]),
        ("INSERT_BEFORE", {"name": "nobody"}, _ALL),
        ("REMOVE", {"name": "fixed"}, ["moved", "main"]),
        pytest.param("REMOVE", {"action": "ANY"}, [], marks=proves("RouteMatch.action=ANY")),
        pytest.param(
            "REMOVE",
            {"action": "ROUTE"},
            ["moved", "fixed"],
            marks=proves("RouteMatch.action=ROUTE"),
        ),
        pytest.param(
            "REMOVE",
            {"action": "REDIRECT"},
            ["fixed", "main"],
            marks=proves("RouteMatch.action=REDIRECT"),
        ),
        pytest.param(
            "REMOVE",
            {"action": "DIRECT_RESPONSE"},
            ["moved", "main"],
            marks=proves("RouteMatch.action=DIRECT_RESPONSE"),
        ),
    ],
)
def test_a_route_is_put_where_the_patch_says_or_removed(
    operation: str, route: dict[str, Any] | None, expected: list[str]
) -> None:
    vhost: dict[str, Any] = {"domainName": REVIEWS}
    if route is not None:
        vhost["route"] = route
    value = None if operation == "REMOVE" else TEAPOT
    match = {"portNumber": 80, "vhost": vhost}
    found = dump(patch("HTTP_ROUTE", operation, value, routeConfiguration=match))
    host = named(named(found["routes"], "80")["virtual_hosts"], f"{REVIEWS}:80")
    assert [each["name"] for each in host.get("routes", ())] == expected
