"""HTTP filters that patches put somewhere, replace and remove."""

from __future__ import annotations

import pytest

from tests.compile.envoy_filter.patched import (
    CORS,
    FAULT,
    ROUTER_FILTER,
    dump,
    http,
    http_filters,
    own,
    patch,
)

proves = pytest.mark.proves


@proves(
    "EnvoyConfigObjectPatch.applyTo=HTTP_FILTER",
    "Patch.operation=INSERT_FIRST",
    "Patch.operation=INSERT_BEFORE",
    "Patch.operation=INSERT_AFTER",
    "Patch.operation=ADD",
    "Patch.value",
    "FilterMatch.name",
    "FilterMatch.subFilter",
    "SubFilterMatch.name",
    "EnvoyConfigObjectMatch.listener",
    "Patch.filterClass=UNSPECIFIED",
    "EnvoyConfigObjectPatch.match",
    "EnvoyConfigObjectPatch.patch",
    "EnvoyFilterSpec.configPatches",
)
@pytest.mark.parametrize(
    ("operation", "beside", "expected"),
    [
        ("INSERT_FIRST", "", ["ours", FAULT, CORS, ROUTER_FILTER]),
        ("INSERT_BEFORE", "", ["ours", FAULT, CORS, ROUTER_FILTER]),
        ("INSERT_BEFORE", CORS, [FAULT, "ours", CORS, ROUTER_FILTER]),
        ("INSERT_BEFORE", "envoy.router", [FAULT, CORS, "ours", ROUTER_FILTER]),
        ("INSERT_AFTER", FAULT, [FAULT, "ours", CORS, ROUTER_FILTER]),
        # Nothing may come behind the router.
        ("ADD", "", [FAULT, CORS, "ours", ROUTER_FILTER]),
        ("INSERT_AFTER", "", [FAULT, CORS, "ours", ROUTER_FILTER]),
        ("INSERT_BEFORE", "nobody", [FAULT, CORS, ROUTER_FILTER]),
        # Filters of Istio alone are places, too.
        ("INSERT_BEFORE", "istio.metadata_exchange", ["ours", FAULT, CORS, ROUTER_FILTER]),
        ("INSERT_AFTER", "istio.metadata_exchange", ["ours", FAULT, CORS, ROUTER_FILTER]),
        ("INSERT_AFTER", "istio.alpn", ["ours", FAULT, CORS, ROUTER_FILTER]),
        ("INSERT_BEFORE", "istio.stats", [FAULT, CORS, "ours", ROUTER_FILTER]),
        ("INSERT_AFTER", "istio.stats", [FAULT, CORS, "ours", ROUTER_FILTER]),
        ("INSERT_BEFORE", "envoy.filters.http.rbac", ["ours", FAULT, CORS, ROUTER_FILTER]),
    ],
)
def test_an_http_filter_is_put_where_the_patch_says(
    operation: str, beside: str, expected: list[str]
) -> None:
    assert http_filters(dump(patch("HTTP_FILTER", operation, own(), listener=http(beside)))) == (
        expected
    )


@proves("Patch.operation=REPLACE", "Patch.operation=REMOVE")
def test_an_http_filter_is_replaced_or_removed() -> None:
    replaced = dump(patch("HTTP_FILTER", "REPLACE", own(), listener=http(CORS)))
    assert http_filters(replaced) == [FAULT, "ours", ROUTER_FILTER]
    removed = dump(patch("HTTP_FILTER", "REMOVE", listener=http(CORS)))
    assert http_filters(removed) == [FAULT, ROUTER_FILTER]


@proves("Patch.filterClass=AUTHN", "Patch.filterClass=AUTHZ", "Patch.filterClass=STATS")
def test_filters_of_a_class_are_added_in_istios_order() -> None:
    added = [
        patch("HTTP_FILTER", "ADD", own(name), filter_class=of, listener=http())
        for name, of in (("last", None), ("s", "STATS"), ("z", "AUTHZ"), ("n", "AUTHN"))
    ]
    assert http_filters(dump(*added)) == ["n", "z", FAULT, CORS, "s", "last", ROUTER_FILTER]
