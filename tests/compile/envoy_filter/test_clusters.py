"""Clusters and their transport sockets, match by match."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.compile.envoy_filter.patched import dump, named, patch
from tests.compile.meshes import REVIEWS

proves = pytest.mark.proves


@proves("EnvoyConfigObjectPatch.applyTo=CLUSTER", "EnvoyConfigObjectMatch.cluster")
@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param(
            {"name": f"outbound|80||{REVIEWS}"},
            {f"outbound|80||{REVIEWS}"},
            marks=proves("ClusterMatch.name"),
        ),
        pytest.param(
            {"subset": "v1"},
            {f"outbound|{p}|v1|{REVIEWS}" for p in (80, 81, 82, 83)},
            marks=proves("ClusterMatch.subset"),
        ),
        pytest.param(
            {"portNumber": 82},
            {f"outbound|82||{REVIEWS}", f"outbound|82|v1|{REVIEWS}", "inbound|82||"},
            marks=proves("ClusterMatch.portNumber"),
        ),
        pytest.param(
            {"service": REVIEWS, "portNumber": 83},
            {f"outbound|83||{REVIEWS}", f"outbound|83|v1|{REVIEWS}", "inbound|83||"},
            marks=proves("ClusterMatch.service"),
        ),
        ({"service": "nobody"}, set()),
    ],
)
def test_a_cluster_is_matched_by_each_of_its_properties(
    match: dict[str, Any], expected: set[str]
) -> None:
    value = {"per_connection_buffer_limit_bytes": 77}
    found = dump(patch("CLUSTER", "MERGE", value, cluster=match))["clusters"]
    changed = {e["name"] for e in found if e.get("per_connection_buffer_limit_bytes") == 77}
    assert changed == expected


def test_a_cluster_is_added_and_removed_with_its_endpoints() -> None:
    cluster = {"name": "ours", "type": "STATIC", "connect_timeout": "1s"}
    added = dump(patch("CLUSTER", "ADD", cluster))
    assert named(added["clusters"], "ours")["connect_timeout"] == "1s"
    gone = dump(patch("CLUSTER", "REMOVE", cluster={"name": f"outbound|80||{REVIEWS}"}))
    assert f"outbound|80||{REVIEWS}" not in {each["name"] for each in gone["clusters"]}
    assert f"outbound|80||{REVIEWS}" not in {e["cluster_name"] for e in gone["endpoints"]}


def test_transport_sockets_of_one_name_are_merged() -> None:
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    socket = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": tls, "sni": "ours.example"},
    }
    match = {"name": f"outbound|80||{REVIEWS}"}
    found = dump(patch("CLUSTER", "MERGE", {"transport_socket": socket}, cluster=match))
    cluster = named(found["clusters"], f"outbound|80||{REVIEWS}")
    text = json.dumps(cluster)
    assert "ours.example" in text
    assert "ROOTCA" in text
