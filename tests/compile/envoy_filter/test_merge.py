"""What a patch leaves of the configuration that it is merged into."""

from __future__ import annotations

import pytest
from google.protobuf.json_format import MessageToDict

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew.compile.envoy_filter.merge import merge
from tests.compile.envoy_filter.patched import (
    CORS,
    HCM,
    TYPE,
    chains,
    dump,
    http,
    own,
    patch,
    published,
)

proves = pytest.mark.proves


@proves(
    "Patch.operation=MERGE",
    "Patch.operation=MERGE_AND_REPLACE_LIST",
    "EnvoyConfigObjectPatch.applyTo=NETWORK_FILTER",
)
def test_lists_grow_when_merged_unless_they_are_to_be_replaced() -> None:
    config = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "upgrade_configs": [{"upgrade_type": "CONNECT"}],
        "stream_idle_timeout": "5s",
    }

    def upgrades(operation: str) -> list[str]:
        found = dump(patch("NETWORK_FILTER", operation, {"typed_config": config}, listener=http()))
        [manager] = chains(found, "0.0.0.0_80")[0]["filters"]
        assert manager["typed_config"]["stream_idle_timeout"] == "5s"
        assert manager["name"] == HCM
        return [each["upgrade_type"] for each in manager["typed_config"]["upgrade_configs"]]

    assert upgrades("MERGE") == ["websocket", "CONNECT"]
    assert upgrades("MERGE_AND_REPLACE_LIST") == ["CONNECT"]


def test_a_configuration_of_another_type_is_not_merged() -> None:
    found = published(patch("HTTP_FILTER", "MERGE", own(""), listener=http(CORS)))
    assert found == published()


def test_a_duration_is_replaced_as_a_whole() -> None:
    into, value = Cluster(), Cluster()
    into.connect_timeout.FromJsonString("1.5s")
    value.connect_timeout.FromJsonString("2s")
    merge(into, value)
    assert MessageToDict(into) == {"connectTimeout": "2s"}


def test_a_choice_is_made_anew() -> None:
    into, value = Cluster(), Cluster()
    into.ring_hash_lb_config.minimum_ring_size.value = 5
    value.maglev_lb_config.SetInParent()
    merge(into, value)
    assert into.WhichOneof("lb_config") == "maglev_lb_config"
