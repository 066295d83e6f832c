from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clew.agent.bootstrap import bootstrap, encode_bootstrap
from clew.agent.certificates import certificate_secret, root_secret
from clew.agent.envoy_process import envoy_binary
from clew.agent.spec import AgentSpec
from tests.agent.control_plane import Authority
from tests.agent.specs import SPEC, with_settings, without_capture


def special() -> AgentSpec:
    """A proxy of which everything is said that its bootstrap can hold."""
    spec = with_settings(
        "{runtimeValues: {a.b: 'true'}, proxyStatsMatcher: {inclusionPrefixes: [http.]}, "
        "connectionSettings: {globalDownstreamConnectionLimit: 900}}"
    )
    return msgspec.structs.replace(spec, bootstrap_patches=({"header_prefix": "x-our"},))


def test_only_a_captured_proxy_marks_its_packets() -> None:
    assert "cluster_manager" in bootstrap(SPEC)
    assert "cluster_manager" not in bootstrap(without_capture())


def test_a_proxy_that_is_to_know_its_own_service_has_a_local_cluster() -> None:
    spec = with_settings("{proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: 'true'}}")
    document = bootstrap(spec)
    name = document["cluster_manager"]["local_cluster_name"]
    assert name in [cluster["name"] for cluster in document["static_resources"]["clusters"]]
    assert "upstream_bind_config" in document["cluster_manager"]
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
