"""What a proxy's own settings make of its listeners, routes and clusters."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import MessageToDict

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import CLUSTER, LISTENER, ROUTE, Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.manifests import resources_of

GOLDEN = Path(__file__).parents[1] / "golden"
HttpConnectionManager = hcm_pb2.HttpConnectionManager


def gateway(settings: dict[str, Any]) -> Published:
    return compiled("router", "istio-system", {"istio": "ingressgateway"}, settings)


def sidecar(settings: dict[str, Any]) -> Published:
    return compiled("sidecar", "default", {"app": "reviews"}, settings)


def compiled(
    kind: str, namespace: str, labels: dict[str, str], settings: dict[str, Any]
) -> Published:
    """The settings are those of the mesh, as nothing else is said of the proxy."""
    world = (GOLDEN / "proxy-settings-gateway/input.yaml").read_text().partition("---\n")[2]
    pod = (GOLDEN / "proxy-settings-sidecar/input.yaml").read_text().partition("---\n")[2]
    mesh = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": yaml.safe_dump({"defaultConfig": settings})},
    }
    resources = resources_of(f"{world}---\n{pod}---\n{yaml.safe_dump(mesh)}")
    proxy = Proxy(
        type=ProxyType(kind),
        name="reviews-v1-0",
        namespace=namespace,
        ip="10.2.0.1",
        labels=tuple(sorted(labels.items())),
    )
    return compile_proxy(build_scope(build_snapshot(resources), proxy), Memo())


def listener(published: Published, name: str) -> Listener:
    return Listener.FromString(published[LISTENER][name].body)


def manager(published: Published) -> HttpConnectionManager:
    """The connection manager in front of the reviews, on either side."""
    name = "virtualInbound" if "virtualInbound" in published[LISTENER] else "0.0.0.0_8080"
    for chain in listener(published, name).filter_chains:
        for each in chain.filters:
            found = HttpConnectionManager()
            if each.typed_config.Unpack(found) and "8080" in f"{chain.name}{found.stat_prefix}":
                return found
            if name != "virtualInbound" and found.stat_prefix:
                return found
    raise AssertionError("no connection manager")


def value(found: HttpConnectionManager, path: str) -> Any:
    shown: Any = MessageToDict(found, preserving_proto_field_name=True)
    for key in path.split("."):
        shown = shown.get(key) if shown else None
    return shown


HTTP = "common_http_protocol_options"
HTTP2 = "http2_protocol_options"


CONNECTIONS = (
    ("httpIdleTimeout", "90s", f"{HTTP}.idle_timeout", "90s"),
    ("httpMaxConnectionDuration", "91s", f"{HTTP}.max_connection_duration", "91s"),
    ("httpMaxStreamDuration", "92s", f"{HTTP}.max_stream_duration", "92s"),
    ("httpDrainTimeout", "93s", "drain_timeout", "93s"),
    ("httpRequestTimeout", "94s", "request_timeout", "94s"),
    ("httpRequestHeadersTimeout", "95s", "request_headers_timeout", "95s"),
    ("httpStreamIdleTimeout", "96s", "stream_idle_timeout", "96s"),
    ("httpMaxConcurrentStreams", 97, f"{HTTP2}.max_concurrent_streams", 97),
    ("http2InitialStreamWindowSize", 70000, f"{HTTP2}.initial_stream_window_size", 70000),
    ("http2InitialConnectionWindowSize", 80000, f"{HTTP2}.initial_connection_window_size", 80000),
    ("httpMergeSlashes", True, "merge_slashes", True),
)


@pytest.mark.proves(
    "ConnectionSettings.httpIdleTimeout",
    "ConnectionSettings.httpMaxConnectionDuration",
    "ConnectionSettings.httpMaxStreamDuration",
    "ConnectionSettings.httpDrainTimeout",
    "ConnectionSettings.httpRequestTimeout",
    "ConnectionSettings.httpRequestHeadersTimeout",
    "ConnectionSettings.httpStreamIdleTimeout",
    "ConnectionSettings.httpMaxConcurrentStreams",
    "ConnectionSettings.http2InitialStreamWindowSize",
    "ConnectionSettings.http2InitialConnectionWindowSize",
    "ConnectionSettings.httpMergeSlashes",
)
@pytest.mark.parametrize("side", [gateway, sidecar])
@pytest.mark.parametrize(("field", "said", "path", "wanted"), CONNECTIONS)
def test_connection_settings_are_the_connection_managers(
    side: Any, field: str, said: Any, path: str, wanted: Any
) -> None:
    assert value(manager(side({})), path) != wanted
    assert value(manager(side({"connectionSettings": {field: said}})), path) == wanted


@pytest.mark.proves(
    "ConnectionSettings.httpHeadersWithUnderscoresAction=HEADERS_WITH_UNDERSCORES_UNSPECIFIED",
    "ConnectionSettings.httpHeadersWithUnderscoresAction=HEADERS_WITH_UNDERSCORES_ALLOW",
    "ConnectionSettings.httpHeadersWithUnderscoresAction=HEADERS_WITH_UNDERSCORES_REJECT_REQUEST",
    "ConnectionSettings.httpHeadersWithUnderscoresAction=HEADERS_WITH_UNDERSCORES_DROP_HEADER",
)
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("UNSPECIFIED", "REJECT_REQUEST"),
        ("ALLOW", None),
        ("REJECT_REQUEST", "REJECT_REQUEST"),
        ("DROP_HEADER", "DROP_HEADER"),
    ],
)
def test_headers_with_underscores_are_handled_as_said_and_edge_refuses_them_by_default(
    said: str, wanted: str | None
) -> None:
    action = f"HEADERS_WITH_UNDERSCORES_{said}"
    settings = {"profile": "EDGE", "httpHeadersWithUnderscoresAction": action}
    found = manager(gateway({"connectionSettings": settings}))
    assert value(found, f"{HTTP}.headers_with_underscores_action") == wanted


@pytest.mark.proves(
    "ConnectionSettings.httpPathWithEscapedSlashesAction=PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED",
    "ConnectionSettings.httpPathWithEscapedSlashesAction=KEEP_UNCHANGED",
    "ConnectionSettings.httpPathWithEscapedSlashesAction=REJECT_REQUEST",
    "ConnectionSettings.httpPathWithEscapedSlashesAction=UNESCAPE_AND_REDIRECT",
    "ConnectionSettings.httpPathWithEscapedSlashesAction=UNESCAPE_AND_FORWARD",
)
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED", "UNESCAPE_AND_REDIRECT"),
        ("KEEP_UNCHANGED", "KEEP_UNCHANGED"),
        ("REJECT_REQUEST", "REJECT_REQUEST"),
        ("UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_REDIRECT"),
        ("UNESCAPE_AND_FORWARD", "UNESCAPE_AND_FORWARD"),
    ],
)
def test_escaped_slashes_are_handled_as_said_and_edge_redirects_by_default(
    said: str, wanted: str
) -> None:
    settings = {"profile": "EDGE", "httpPathWithEscapedSlashesAction": said}
    found = manager(gateway({"connectionSettings": settings}))
    assert value(found, "path_with_escaped_slashes_action") == wanted


@pytest.mark.proves("ConnectionSettings.profile=SIDECAR", "ConnectionSettings.profile=EDGE")
def test_only_gateways_are_hardened_and_only_by_the_profile_edge() -> None:
    plain = manager(gateway({}))
    assert manager(gateway({"connectionSettings": {"profile": "SIDECAR"}})) == plain
    edge = {"connectionSettings": {"profile": "EDGE"}}
    assert manager(gateway(edge)).request_timeout.ToTimedelta() == timedelta(minutes=5)
    assert manager(sidecar(edge)) == manager(sidecar({}))


@pytest.mark.proves(
    "ConnectionSettings.listenerPerConnectionBufferLimitBytes",
    "ConnectionSettings.clusterPerConnectionBufferLimitBytes",
    "ConnectionSettings.listenerConnectionLimit",
)
@pytest.mark.parametrize(("side", "name"), [(gateway, "0.0.0.0_8080"), (sidecar, "virtualInbound")])
def test_buffers_and_connections_are_limited(side: Any, name: str) -> None:
    settings = {
        "listenerPerConnectionBufferLimitBytes": 1000,
        "clusterPerConnectionBufferLimitBytes": 2000,
        "listenerConnectionLimit": 3000,
    }
    published = side({"connectionSettings": settings})
    found = listener(published, name)
    assert found.per_connection_buffer_limit_bytes.value == 1000
    assert all("connection_limit" in chain.filters[0].name for chain in found.filter_chains)
    clusters = [Cluster.FromString(each.body) for each in published[CLUSTER].values()]
    assert {each.per_connection_buffer_limit_bytes.value for each in clusters} == {2000}


@pytest.mark.proves(
    "GatewayTopology.numTrustedProxies",
    "MeshProxyConfig.gatewayTopology",
)
def test_a_gateway_trusts_as_many_proxies_in_front_as_it_is_told() -> None:
    found = manager(gateway({"gatewayTopology": {"numTrustedProxies": 3}}))
    assert found.xff_num_trusted_hops == 3
    assert manager(gateway({})).xff_num_trusted_hops == 0


@pytest.mark.proves("GatewayTopology.proxyProtocol")
def test_a_gateway_reads_the_proxy_protocol_when_told() -> None:
    def filters(settings: dict[str, Any]) -> list[str]:
        return [f.name for f in listener(gateway(settings), "0.0.0.0_8080").listener_filters]

    assert filters({}) == []
    wanted = ["envoy.filters.listener.proxy_protocol"]
    assert filters({"gatewayTopology": {"proxyProtocol": {}}}) == wanted


# SANITIZE is Envoy's zero, which is not shown.
FORWARDING = (
    ("UNDEFINED", "default"),
    ("SANITIZE", None),
    ("FORWARD_ONLY", "FORWARD_ONLY"),
    ("APPEND_FORWARD", "APPEND_FORWARD"),
    ("SANITIZE_SET", "SANITIZE_SET"),
    ("ALWAYS_FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"),
)


@pytest.mark.proves(
    "GatewayTopology.forwardClientCertDetails=UNDEFINED",
    "GatewayTopology.forwardClientCertDetails=SANITIZE",
    "GatewayTopology.forwardClientCertDetails=FORWARD_ONLY",
    "GatewayTopology.forwardClientCertDetails=APPEND_FORWARD",
    "GatewayTopology.forwardClientCertDetails=SANITIZE_SET",
    "GatewayTopology.forwardClientCertDetails=ALWAYS_FORWARD_ONLY",
    "ProxyHeaders.forwardedClientCert=UNDEFINED",
    "ProxyHeaders.forwardedClientCert=SANITIZE",
    "ProxyHeaders.forwardedClientCert=FORWARD_ONLY",
    "ProxyHeaders.forwardedClientCert=APPEND_FORWARD",
    "ProxyHeaders.forwardedClientCert=SANITIZE_SET",
    "ProxyHeaders.forwardedClientCert=ALWAYS_FORWARD_ONLY",
)
@pytest.mark.parametrize(("said", "wanted"), FORWARDING)
def test_what_is_told_of_clients_certificates_is_said_for_gateways_and_sidecars_apart(
    said: str, wanted: str | None
) -> None:
    settings: dict[str, Any] = {"gatewayTopology": {"forwardClientCertDetails": said}}
    found = value(manager(gateway(settings)), "forward_client_cert_details")
    assert found == ("SANITIZE_SET" if wanted == "default" else wanted)
    assert value(manager(sidecar(settings)), "forward_client_cert_details") == "APPEND_FORWARD"
    settings = {"proxyHeaders": {"forwardedClientCert": said}}
    found = value(manager(sidecar(settings)), "forward_client_cert_details")
    assert found == ("APPEND_FORWARD" if wanted == "default" else wanted)
    assert value(manager(gateway(settings)), "forward_client_cert_details") == "SANITIZE_SET"


@pytest.mark.proves(
    "SetCurrentClientCertDetails.subject",
    "SetCurrentClientCertDetails.cert",
    "SetCurrentClientCertDetails.chain",
    "SetCurrentClientCertDetails.dns",
    "SetCurrentClientCertDetails.uri",
)
@pytest.mark.parametrize("part", ["subject", "cert", "chain", "dns", "uri"])
def test_each_part_of_clients_certificates_is_told_or_not(part: str) -> None:
    for said in (True, False):
        settings = {"proxyHeaders": {"setCurrentClientCertDetails": {part: said}}}
        found = value(manager(sidecar(settings)), "set_current_client_cert_details")
        others = {"subject", "dns", "uri"} - {part}
        assert {each for each, told in found.items() if told} == (
            others | {part} if said else others
        )


@pytest.mark.proves("RequestIdHeader.disabled")
def test_request_ids_are_made_unless_disabled() -> None:
    assert value(manager(sidecar({})), "generate_request_id") is None
    found = manager(sidecar({"proxyHeaders": {"requestId": {"disabled": True}}}))
    assert value(found, "generate_request_id") is False


@pytest.mark.proves("ServerHeader.disabled", "ServerHeader.value")
def test_the_server_header_has_the_name_that_is_said_or_is_the_applications_own() -> None:
    plain, named, passed = (
        manager(sidecar({"proxyHeaders": {"server": server}}))
        for server in ({}, {"value": "shop"}, {"disabled": True, "value": "shop"})
    )
    assert (plain.server_name, named.server_name, passed.server_name) == ("istio-envoy", "shop", "")
    assert named.server_header_transformation == HttpConnectionManager.OVERWRITE
    assert passed.server_header_transformation == HttpConnectionManager.PASS_THROUGH


def hosts(settings: dict[str, Any]) -> list[Any]:
    resources = gateway(settings)[ROUTE].values()
    return [host for r in resources for host in RouteConfiguration.FromString(r.body).virtual_hosts]


@pytest.mark.proves("AttemptCount.disabled")
def test_attempts_are_counted_unless_disabled() -> None:
    assert all(host.include_request_attempt_count for host in hosts({}))
    off = hosts({"proxyHeaders": {"attemptCount": {"disabled": True}}})
    assert off
    assert not any(host.include_request_attempt_count for host in off)


@pytest.mark.proves("XForwardedHost.enabled")
def test_the_host_that_a_rule_rewrites_is_told_when_enabled() -> None:
    assert not any(r.route.append_x_forwarded_host for h in hosts({}) for r in h.routes)
    on = hosts({"proxyHeaders": {"xForwardedHost": {"enabled": True}}})
    assert [r.route.append_x_forwarded_host for h in on for r in h.routes] == [True]


@pytest.mark.proves("XForwardedPort.enabled")
def test_the_port_that_a_client_called_is_told_when_enabled() -> None:
    assert not manager(gateway({})).append_x_forwarded_port
    found = manager(gateway({"proxyHeaders": {"xForwardedPort": {"enabled": True}}}))
    assert found.append_x_forwarded_port


@pytest.mark.proves("EnvoyDebugHeaders.disabled")
def test_envoys_own_headers_are_hidden_when_disabled() -> None:
    def router(settings: dict[str, Any]) -> Any:
        config = manager(sidecar(settings)).http_filters[-1].typed_config
        return MessageToDict(config).get("suppressEnvoyHeaders")

    assert router({}) is None
    assert router({"proxyHeaders": {"envoyDebugHeaders": {"disabled": True}}}) is True


@pytest.mark.proves("ProxyHeaders.preserveHttp1HeaderCase")
def test_the_case_of_headers_is_kept_on_both_sides_of_the_proxy() -> None:
    published = sidecar({"proxyHeaders": {"preserveHttp1HeaderCase": True}})
    assert manager(published).http_protocol_options.HasField("header_key_format")
    for name in ("inbound|8080||", "outbound|80||reviews.default.svc.cluster.local"):
        assert b"preserve_case" in published[CLUSTER][name].body


def test_a_proxy_with_settings_of_its_own_is_not_like_the_others() -> None:
    snapshot = build_snapshot(
        resources_of((GOLDEN / "proxy-settings-gateway/input.yaml").read_text())
    )
    proxy = Proxy(type=ProxyType.SIDECAR, name="a", namespace="default", ip="10.2.0.1")
    own = json.dumps({"proxyHeaders": {"server": {"value": "mine"}}, "inTheFuture": 1})
    special = Proxy(
        type=ProxyType.SIDECAR, name="a", namespace="default", ip="10.2.0.1", config=own
    )
    config = build_scope(snapshot, special).outbound.mesh.default_config
    assert build_scope(snapshot, proxy).outbound.mesh is snapshot.mesh
    assert config is not None
    headers = config.proxy_headers
    assert headers is not None
    assert headers.server is not None
    assert headers.server.value == "mine"
    assert headers.attempt_count is not None, "the mesh's headers are joined"


@pytest.mark.proves("MeshProxyConfig.proxyStatsMatcher")
def test_requests_to_a_workload_are_counted_by_code_only_if_statistics_are_asked_for() -> None:
    def counts(published: Published) -> Any:
        router = manager(published).http_filters[-1].typed_config
        return MessageToDict(router).get("dynamicStats", True)

    asked = {"proxyStatsMatcher": {"inclusionPrefixes": ["cluster.inbound"]}}
    assert counts(sidecar({})) is False
    assert counts(sidecar(asked)) is True
    # Routes of a gateway may have a statPrefix.
    assert counts(gateway({})) is True
