"""Listeners, their filter chains and filters, match by match."""

from __future__ import annotations

from typing import Any

import pytest

from clew.model.xds import LISTENER
from tests.compile.envoy_filter.patched import (
    LIMIT,
    PROXY_PROTOCOL,
    ROUTER,
    chains,
    dump,
    http,
    http_filters,
    named,
    own,
    patch,
    published,
)

proves = pytest.mark.proves


@proves("ListenerMatch.portNumber", "ListenerMatch.name", "FilterChainMatch.filter")
@pytest.mark.parametrize("match", [{"portNumber": 80}, {"name": "0.0.0.0_80"}])
def test_a_listener_is_matched_by_port_or_name(match: dict[str, Any]) -> None:
    found = dump(
        patch(
            "HTTP_FILTER", "INSERT_FIRST", own(), context="SIDECAR_OUTBOUND", listener=http(**match)
        )
    )
    assert "ours" in http_filters(found, "0.0.0.0_80")
    assert "ours" not in http_filters(found, "0.0.0.0_81")


@proves(
    "EnvoyConfigObjectPatch.applyTo=FILTER_CHAIN",
    "ListenerMatch.filterChain",
    "FilterChainMatch.name",
    "FilterChainMatch.transportProtocol",
    "FilterChainMatch.applicationProtocols",
    "FilterChainMatch.destinationPort",
    "FilterChainMatch.transportSocket",
)
@pytest.mark.parametrize(
    ("match", "kept"),
    [
        ({"name": "0.0.0.0_82"}, lambda c: c["name"] != "0.0.0.0_82"),
        (
            {"transportProtocol": "raw_buffer"},
            lambda c: c["filter_chain_match"].get("transport_protocol") != "raw_buffer",
        ),
        (
            {"applicationProtocols": "istio-h2,istio"},
            lambda c: (
                not {"istio-h2", "istio"}
                <= set(c["filter_chain_match"].get("application_protocols", ()))
            ),
        ),
        (
            {"destinationPort": 82},
            lambda c: c["filter_chain_match"].get("destination_port") != 82,
        ),
        ({"transportSocket": "envoy.transport_sockets.tls"}, lambda c: "transport_socket" not in c),
    ],
)
def test_a_filter_chain_is_matched_by_each_of_its_properties(
    match: dict[str, Any], kept: Any
) -> None:
    before = chains(dump())
    listener = {"filterChain": match}
    after = chains(
        dump(patch("FILTER_CHAIN", "REMOVE", context="SIDECAR_INBOUND", listener=listener))
    )
    assert after == [chain for chain in before if kept(chain)]
    assert len(after) < len(before)


@proves("FilterChainMatch.sni")
def test_a_filter_chain_is_matched_by_its_server_name() -> None:
    listener = {"filterChain": {"sni": "shop.example.com"}}
    value: dict[str, Any] = {"metadata": {"filter_metadata": {"ours": {}}}}
    found = dump(patch("FILTER_CHAIN", "MERGE", value, listener=listener), proxy=ROUTER)
    changed = [
        chain["filter_chain_match"]["server_names"]
        for each in found["listeners"]
        for chain in each["filter_chains"]
        if "ours" in chain.get("metadata", {}).get("filter_metadata", {})
    ]
    assert changed == [["shop.example.com"]]


def test_a_filter_chain_is_added() -> None:
    chain = {
        "name": "ours",
        "filter_chain_match": {"server_names": ["ours"]},
        "filters": [own("limit", LIMIT)],
    }
    found = dump(patch("FILTER_CHAIN", "ADD", chain, listener={"name": "virtualInbound"}))
    assert [c["name"] for c in chains(found)][-1] == "ours"


@proves("EnvoyConfigObjectPatch.applyTo=LISTENER_FILTER", "ListenerMatch.listenerFilter")
@pytest.mark.parametrize(
    ("operation", "place"), [("INSERT_BEFORE", 1), ("INSERT_AFTER", 2), ("INSERT_FIRST", 0)]
)
def test_a_listener_filter_is_put_where_the_patch_says(operation: str, place: int) -> None:
    match = {"name": "virtualInbound", "listenerFilter": "envoy.filters.listener.tls_inspector"}
    found = dump(patch("LISTENER_FILTER", operation, own("ours", PROXY_PROTOCOL), listener=match))
    filters = named(found["listeners"], "virtualInbound")["listener_filters"]
    assert [each["name"] for each in filters].index("ours") == place


@proves("EnvoyConfigObjectPatch.applyTo=LISTENER")
def test_a_listener_is_added_merged_and_removed() -> None:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 7777}}
    value = {"name": "ours", "address": address, "filter_chains": [{"filters": [own("l", LIMIT)]}]}
    added = published(patch("LISTENER", "ADD", value))
    assert added[LISTENER]["ours"].sources == {"EnvoyFilter default/f0"}
    merged = dump(patch("LISTENER", "MERGE", {"tcp_backlog_size": 9}, listener={"portNumber": 80}))
    assert named(merged["listeners"], "0.0.0.0_80")["tcp_backlog_size"] == 9
    removed = published(patch("LISTENER", "REMOVE", listener={"name": "0.0.0.0_80"}))
    assert published()[LISTENER].keys() - removed[LISTENER].keys() == {"0.0.0.0_80"}
