"""What a proxy says of itself, and what the control plane understands of it."""

from __future__ import annotations

import msgspec
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from clew._pb.envoy.config.core.v3.base_pb2 import Node
from clew.agent.node import node
from clew.agent.spec import AgentSpec
from clew.model.proxy import Interception, LocalPort, Proxy, ProxyType
from clew.model.service import Locality
from tests.agent.specs import SPEC, with_settings, without_capture


def read_back(spec: AgentSpec) -> Proxy:
    """What the control plane understands of the node message."""
    message = ParseDict(node(spec), Node())
    place = message.locality
    locality = Locality(region=place.region, zone=place.zone, subzone=place.sub_zone)
    return Proxy.from_node(message.id, MessageToDict(message.metadata), locality)


def test_the_control_plane_reads_back_who_the_proxy_is() -> None:
    proxy = read_back(SPEC)
    assert proxy.type is ProxyType.SIDECAR
    assert (proxy.name, proxy.namespace, proxy.ip) == ("reviews-v1-0", "books", "10.0.0.7")
    assert proxy.dns_domain == "books.svc.cluster.local"
    assert proxy.labels == (("app", "reviews"), ("version", "v1"))
    assert proxy.service_account == "bookinfo-reviews"
    assert proxy.locality == Locality(region="region1", zone="zone1", subzone="")
    assert proxy.network == "network1"
    assert proxy.interception is Interception.REDIRECT
    assert proxy.extra_ips == ()
    assert proxy.version == "1.31.0"


def test_without_capture_the_control_plane_learns_the_explicit_ports() -> None:
    proxy = read_back(
        without_capture(
            http_proxy_port=15080,
            app_ports={"9080": 31000},
            local_ports={"mongo.books.svc.cluster.local:27017": "127.0.0.1:31001"},
        )
    )
    assert proxy.interception is Interception.NONE
    assert proxy.http_proxy_port == 15080
    assert proxy.app_ports == ((9080, 31000),)
    assert proxy.local_ports == (
        LocalPort(
            hostname="mongo.books.svc.cluster.local",
            port=27017,
            address="127.0.0.1",
            local_port=31001,
        ),
    )


@pytest.mark.proves("MeshProxyConfig.meshId", "MeshProxyConfig.proxyMetadata")
def test_the_node_says_what_the_proxys_settings_say() -> None:
    spec = with_settings("{meshId: shop, proxyMetadata: {ISTIO_META_NETWORK: n2, ISTIO_META_A: b}}")
    metadata = node(spec)["metadata"]
    assert (metadata["MESH_ID"], metadata["A"]) == ("shop", "b")
    assert metadata["NETWORK"] == "network1", "where the proxy is, its variables do not change"
    elsewhere = msgspec.structs.replace(spec, network="")
    assert node(elsewhere)["metadata"]["NETWORK"] == "n2"


@pytest.mark.proves(
    "MeshProxyConfig.serviceCluster",
    "MeshProxyConfig.tracingServiceName=APP_LABEL_AND_NAMESPACE",
    "MeshProxyConfig.tracingServiceName=CANONICAL_NAME_ONLY",
    "MeshProxyConfig.tracingServiceName=CANONICAL_NAME_AND_NAMESPACE",
)
@pytest.mark.parametrize(
    ("settings", "cluster"),
    [
        ("{}", "reviews.books"),
        ("{serviceCluster: shop}", "shop"),
        ("{tracingServiceName: APP_LABEL_AND_NAMESPACE}", "reviews.books"),
        ("{tracingServiceName: CANONICAL_NAME_ONLY}", "opinions"),
        ("{tracingServiceName: CANONICAL_NAME_AND_NAMESPACE}", "opinions.books"),
    ],
)
def test_the_proxy_has_the_service_name_that_is_chosen(settings: str, cluster: str) -> None:
    labels = SPEC.labels | {"service.istio.io/canonical-name": "opinions"}
    spec = msgspec.structs.replace(with_settings(settings), labels=labels)
    assert node(spec)["cluster"] == cluster


def test_the_control_plane_reads_back_that_a_proxy_is_to_know_its_own_service() -> None:
    assert read_back(
        with_settings("{proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: 'true'}}")
    ).self_discovery
    assert not read_back(SPEC).self_discovery
