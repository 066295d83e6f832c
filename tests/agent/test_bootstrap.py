from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from clew._pb.envoy.config.core.v3.base_pb2 import Node
from clew.agent.bootstrap import bootstrap, encode_bootstrap, node
from clew.agent.certificates import certificate_secret, root_secret
from clew.agent.envoy_process import envoy_binary
from clew.agent.spec import AgentSpec, Capture
from clew.config.parse import parse_mesh_config
from clew.model.proxy import Interception, LocalPort, Proxy, ProxyType
from clew.model.service import Locality
from tests.agent.control_plane import Authority

SPEC = AgentSpec(
    mesh="test",
    type="sidecar",
    name="reviews-v1-0",
    namespace="books",
    workload="reviews-v1",
    ip="10.0.0.7",
    labels={"version": "v1", "app": "reviews"},
    service_account="bookinfo-reviews",
    locality="region1/zone1",
    network="network1",
    xds="unix:/run/clew/xds.sock",
    ca="unix:/run/clew/ca.sock",
    directory="/run/clew/reviews",
)


def without_capture(**changes: Any) -> AgentSpec:
    return msgspec.structs.replace(SPEC, capture=Capture.ENV, **changes)


def with_settings(text: str) -> AgentSpec:
    settings = parse_mesh_config(f"defaultConfig: {text}")[0].default_config
    assert settings is not None
    return msgspec.structs.replace(SPEC, settings=settings)


def special() -> AgentSpec:
    """A proxy of which everything is said that its bootstrap can hold."""
    spec = with_settings(
        "{runtimeValues: {a.b: 'true'}, proxyStatsMatcher: {inclusionPrefixes: [http.]}, "
        "connectionSettings: {globalDownstreamConnectionLimit: 900}}"
    )
    return msgspec.structs.replace(spec, bootstrap_patches=({"header_prefix": "x-our"},))


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


def test_only_a_captured_proxy_marks_its_packets() -> None:
    assert "cluster_manager" in bootstrap(SPEC)
    assert "cluster_manager" not in bootstrap(without_capture())


def test_a_proxy_that_is_to_know_its_own_service_has_a_local_cluster() -> None:
    spec = with_settings("{proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: 'true'}}")
    document = bootstrap(spec)
    name = document["cluster_manager"]["local_cluster_name"]
    assert name in [cluster["name"] for cluster in document["static_resources"]["clusters"]]
    assert "upstream_bind_config" in document["cluster_manager"]
    assert read_back(spec).self_discovery
    assert "local_cluster_name" not in bootstrap(SPEC)["cluster_manager"]


def test_pages_are_offered_everywhere_only_in_a_namespace_of_their_own() -> None:
    def hosts(spec: AgentSpec) -> set[str]:
        listeners = bootstrap(spec)["static_resources"]["listeners"]
        addresses = [listener["address"].get("socket_address") for listener in listeners]
        return {address["address"] for address in addresses if address}

    assert hosts(SPEC) == {"0.0.0.0"}
    assert hosts(without_capture()) == {"10.0.0.7"}
    assert hosts(without_capture(bind_address="127.0.0.9")) == {"127.0.0.9"}


def test_ports_of_zero_are_off() -> None:
    spec = msgspec.structs.replace(SPEC, readiness_port=0, prometheus_port=0, status_port=0)
    (control_plane,) = bootstrap(spec)["static_resources"]["listeners"]
    assert "pipe" in control_plane["address"]


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        without_capture(xds="127.0.0.1:15012", http_proxy_port=15080),
        msgspec.structs.replace(SPEC, xds="[::1]:15012", ip="fd00::7"),
        msgspec.structs.replace(SPEC, xds="istiod.example.org:15012", type="router"),
        special(),
        with_settings("{proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: 'true'}}"),
    ],
    ids=["unix", "ipv4", "ipv6", "name", "special", "self-discovery"],
)
def test_envoy_accepts_it(spec: AgentSpec, tmp_path: Path) -> None:
    authority = Authority()
    (tmp_path / "sds").mkdir()
    (tmp_path / "sds/rootca.json").write_bytes(root_secret(authority.root))
    (tmp_path / "sds/default.json").write_bytes(certificate_secret(authority.key, [authority.root]))
    (tmp_path / "envoy.json").write_bytes(encode_bootstrap(spec))
    command = [str(envoy_binary()), "--mode", "validate", "-c", "envoy.json", "-l", "warning"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr


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


@pytest.mark.proves(
    "MeshProxyConfig.runtimeValues", "ConnectionSettings.globalDownstreamConnectionLimit"
)
def test_runtime_values_and_the_limit_of_all_connections_are_the_bootstraps() -> None:
    document = bootstrap(
        with_settings(
            "{runtimeValues: {a.b: 'true'}, "
            "connectionSettings: {globalDownstreamConnectionLimit: 900}}"
        )
    )
    first, last = document["layered_runtime"]["layers"]
    assert first["static_layer"].items() >= {"a.b": "true"}.items()
    assert last == {"name": "admin", "admin_layer": {}}
    (monitor,) = document["overload_manager"]["resource_monitors"]
    assert monitor["typed_config"]["max_active_downstream_connections"] == 900


@pytest.mark.proves(
    "ProxyStatsMatcher.inclusionPrefixes",
    "ProxyStatsMatcher.inclusionSuffixes",
    "ProxyStatsMatcher.inclusionRegexps",
)
def test_statistics_that_are_asked_for_are_kept_besides_the_usual() -> None:
    usual = bootstrap(SPEC)["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"]
    more = with_settings(
        "{proxyStatsMatcher: {inclusionPrefixes: [http.], inclusionSuffixes: [rq_time], "
        "inclusionRegexps: ['a.*']}}"
    )
    patterns = bootstrap(more)["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"]
    added = [each for each in patterns if each not in usual]
    assert added == [{"prefix": "http."}, {"suffix": "rq_time"}, {"safe_regex": {"regex": "a.*"}}]


@pytest.mark.proves("EnvoyConfigObjectPatch.applyTo=BOOTSTRAP")
def test_patches_are_merged_into_the_bootstrap() -> None:
    cluster = {"name": "ours", "type": "STATIC", "connectTimeout": "1s"}
    patches: tuple[dict[str, Any], ...] = (
        {"header_prefix": "x-our", "admin": {"ignore_global_conn_limit": True}},
        {"staticResources": {"clusters": [cluster]}},
    )
    spec = msgspec.structs.replace(SPEC, bootstrap_patches=patches)
    document = msgspec.json.decode(encode_bootstrap(spec))
    assert document["header_prefix"] == "x-our"
    assert document["admin"] == bootstrap(SPEC)["admin"] | {"ignore_global_conn_limit": True}
    names = [each["name"] for each in document["static_resources"]["clusters"]]
    assert names == ["xds-grpc", "agent", "agent_metrics", "ours"], "lists grow"


@pytest.mark.proves("MeshProxyConfig.statsCompression")
def test_statistics_are_compressed_for_those_who_ask_unless_it_is_off() -> None:
    def filters(spec: AgentSpec) -> list[str]:
        page = bootstrap(spec)["static_resources"]["listeners"][-1]
        manager = page["filter_chains"][0]["filters"][0]["typed_config"]
        return [each["name"].rpartition(".")[2] for each in manager["http_filters"]]

    assert filters(SPEC) == ["compressor", "router"]
    assert filters(with_settings("{statsCompression: false}")) == ["router"]
