"""What MeshConfig says of listeners and routes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from clew._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from clew.model.xds import CLUSTER, LISTENER, ROUTE, SECRET, Published
from tests.compile.meshes import (
    SERVICE,
    listener_in,
    mesh_config,
    options_of,
    published,
    rule,
)

POD = {"labels": {"app": "reviews", "version": "v1"}, "ip": "10.0.0.1"}
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews.default.svc.cluster.local]
  http: [{timeout: 3s, route: [{destination: {host: reviews.default.svc.cluster.local}}]}]
"""


def mesh(text: str, **about: object) -> Published:
    return published(SERVICE, mesh_config(text), **about)


def manager_of(listener: Listener) -> hcm_pb2.HttpConnectionManager:
    """The first connection manager of a listener."""
    for chain in listener.filter_chains:
        found = hcm_pb2.HttpConnectionManager()
        if chain.filters[-1].typed_config.Unpack(found):
            return found
    raise AssertionError(f"{listener.name} speaks no HTTP")


def default_cluster(found: Published, listener: str) -> str:
    proxy = TcpProxy()
    chain = listener_in(found, listener).filter_chains[-1]
    assert chain.filters[-1].typed_config.Unpack(proxy)
    return str(proxy.cluster)


def last_host(found: Published, name: str = "80") -> str:
    routes = RouteConfiguration.FromString(found[ROUTE][name].body)
    return str(routes.virtual_hosts[-1].name)


@pytest.mark.proves("MeshConfig.proxyListenPort", "MeshConfig.proxyInboundListenPort")
def test_captured_traffic_arrives_at_the_ports_that_the_mesh_names() -> None:
    found = mesh("proxyListenPort: 25001\nproxyInboundListenPort: 25006")
    for name, port in (("virtualOutbound", 25001), ("virtualInbound", 25006)):
        listener = listener_in(found, name)
        assert listener.address.socket_address.port_value == port
        # Connections to the port itself would come back for ever.
        assert listener.filter_chains[0].filter_chain_match.destination_port.value == port


@pytest.mark.proves("MeshConfig.proxyHttpPort")
def test_clients_that_know_of_a_proxy_find_it_at_a_port_of_its_own() -> None:
    listener = listener_in(mesh("proxyHttpPort: 15080"), "127.0.0.1_15080")
    manager = manager_of(listener)
    assert manager.rds.route_config_name == "http_proxy"
    assert manager.http_protocol_options.allow_absolute_url.value
    assert "127.0.0.1_15080" not in mesh("proxyHttpPort: 0")[LISTENER]


@pytest.mark.proves("MeshConfig.protocolDetectionTimeout")
def test_how_long_a_client_may_stay_silent_before_it_is_taken_for_tcp() -> None:
    for text, seconds in (("protocolDetectionTimeout: 5s", 5), ("enableAutoMtls: true", 0)):
        for name in ("0.0.0.0_80", "virtualInbound"):
            listener = listener_in(mesh(text), name)
            assert listener.HasField("listener_filters_timeout")
            assert listener.listener_filters_timeout.ToTimedelta() == timedelta(seconds=seconds)
            assert listener.continue_on_listener_filters_timeout


@pytest.mark.proves(
    "MeshConfig.outboundTrafficPolicy",
    "MeshOutboundTrafficPolicy.mode=ALLOW_ANY",
    "MeshOutboundTrafficPolicy.mode=REGISTRY_ONLY",
    "MeshOutboundTrafficPolicy.mode=ALLOW_ANY_DYNAMIC_DNS",
)
@pytest.mark.parametrize(
    ("mode", "connections", "requests"),
    [
        ("ALLOW_ANY", "PassthroughCluster", "allow_any"),
        ("REGISTRY_ONLY", "BlackHoleCluster", "block_all"),
        ("ALLOW_ANY_DYNAMIC_DNS", "PassthroughCluster", "allow_any_dynamic_dns"),
    ],
)
def test_what_nobody_declared_passes_or_does_not(
    mode: str, connections: str, requests: str
) -> None:
    found = mesh(f"outboundTrafficPolicy: {{mode: {mode}}}")
    assert default_cluster(found, "virtualOutbound") == connections
    assert last_host(found) == requests
    assert ("AllowAnyDynamicDNSCluster" in found[CLUSTER]) is (mode == "ALLOW_ANY_DYNAMIC_DNS")


def test_requests_for_unknown_hosts_are_secured_only_where_they_are_resolved() -> None:
    tls = "tls: {mode: SIMPLE}"
    found = mesh(f"outboundTrafficPolicy: {{mode: ALLOW_ANY_DYNAMIC_DNS, {tls}}}")
    cluster = Cluster.FromString(found[CLUSTER]["AllowAnyDynamicDNSCluster"].body)
    assert cluster.transport_socket.name == "envoy.transport_sockets.tls"
    options = options_of(cluster).upstream_http_protocol_options
    # A server is asked for by the request's own host, and must show a certificate of that name.
    assert options.auto_sni
    assert options.auto_san_validation
    assert "file-root:system" in found[SECRET]
    other = mesh(f"outboundTrafficPolicy: {{mode: ALLOW_ANY, {tls}}}")
    passing = Cluster.FromString(other[CLUSTER]["PassthroughCluster"].body)
    assert not passing.HasField("transport_socket")
    assert other[SECRET] == {}


@pytest.mark.proves(
    "MeshConfig.inboundTrafficPolicy",
    "InboundTrafficPolicy.mode=PASSTHROUGH",
    "InboundTrafficPolicy.mode=LOCALHOST",
)
def test_applications_listen_at_their_own_address_or_at_localhost() -> None:
    for mode, kind in (("PASSTHROUGH", Cluster.ORIGINAL_DST), ("LOCALHOST", Cluster.STATIC)):
        found = mesh(f"inboundTrafficPolicy: {{mode: {mode}}}", **POD)
        cluster = Cluster.FromString(found[CLUSTER]["inbound|80||"].body)
        assert cluster.type == kind


@pytest.mark.proves(
    "MeshConfig.pathNormalization",
    "ProxyPathNormalization.normalization=DEFAULT",
    "ProxyPathNormalization.normalization=NONE",
    "ProxyPathNormalization.normalization=BASE",
    "ProxyPathNormalization.normalization=MERGE_SLASHES",
    "ProxyPathNormalization.normalization=DECODE_AND_MERGE_SLASHES",
)
@pytest.mark.parametrize(
    ("kind", "normalizes", "merges", "decodes"),
    [
        ("DEFAULT", True, False, False),
        ("NONE", False, False, False),
        ("BASE", True, False, False),
        ("MERGE_SLASHES", True, True, False),
        ("DECODE_AND_MERGE_SLASHES", True, True, True),
    ],
)
def test_paths_are_normalized_as_far_as_the_mesh_says(
    kind: str, normalizes: bool, merges: bool, decodes: bool
) -> None:
    found = mesh(f"pathNormalization: {{normalization: {kind}}}", **POD)
    unescaped = hcm_pb2.HttpConnectionManager.UNESCAPE_AND_FORWARD
    for name in ("0.0.0.0_80", "virtualInbound"):
        manager = manager_of(listener_in(found, name))
        assert manager.normalize_path.value is normalizes
        assert manager.merge_slashes is merges
        assert (manager.path_with_escaped_slashes_action == unescaped) is decodes


@pytest.mark.proves("MeshConfig.defaultVirtualServiceExportTo")
def test_rules_are_for_everybody_unless_the_mesh_keeps_them_at_home() -> None:
    for text, timeout in (('defaultVirtualServiceExportTo: ["."]', 0), ("enableAutoMtls: true", 3)):
        found = published(SERVICE, RULE, mesh_config(text), namespace="elsewhere")
        routes = RouteConfiguration.FromString(found[ROUTE]["80"].body)
        action = routes.virtual_hosts[0].routes[0].route
        assert action.timeout.ToTimedelta() == timedelta(seconds=timeout)


@pytest.mark.proves(
    "MeshConfig.trustDomain",
    "MeshConfig.trustDomainAliases",
    "MeshConfig.caCertificates",
    "CertificateData.trustDomains",
)
def test_servers_accept_identities_of_the_meshs_trust_domains() -> None:
    text = """
trustDomain: here.example
trustDomainAliases: [once.example]
caCertificates: [{pem: x, trustDomains: [theirs.example]}]
"""
    context = DownstreamTlsContext()
    chains = listener_in(mesh(text, **POD), "virtualInbound").filter_chains
    secured = next(c for c in chains if c.HasField("transport_socket"))
    assert secured.transport_socket.typed_config.Unpack(context)
    combined = context.common_tls_context.combined_validation_context
    names = combined.default_validation_context.match_typed_subject_alt_names
    assert [each.matcher.prefix for each in names] == [
        "spiffe://here.example/",
        "spiffe://once.example/",
        "spiffe://theirs.example/",
    ]


@pytest.mark.proves("MeshConfig.outboundClusterStatName", "MeshConfig.inboundClusterStatName")
def test_statistics_call_clusters_what_the_mesh_likes() -> None:
    text = """
outboundClusterStatName: "%SERVICE%/%SERVICE_NAME%/%SERVICE_FQDN%/%SERVICE_PORT%/%SUBSET_NAME%"
inboundClusterStatName: "%SERVICE%/%SERVICE_PORT_NAME%/%TARGET_PORT%"
"""
    subsets = rule("subsets: [{name: v1, labels: {version: v1}}]")
    found = published(SERVICE, subsets, mesh_config(text), **POD)
    host = "reviews.default.svc.cluster.local"
    outbound = Cluster.FromString(found[CLUSTER][f"outbound|80|v1|{host}"].body)
    assert outbound.alt_stat_name == f"reviews.default/reviews/{host}/80/v1;"
    inbound = Cluster.FromString(found[CLUSTER]["inbound|80||"].body)
    assert inbound.alt_stat_name == "reviews.default/http/80;"


def logs_of(listener: Listener) -> list[AccessLog]:
    """What writes lines, without what counts."""
    every = manager_of(listener).access_log
    return [each for each in every if each.name != "envoy.access_loggers.stats"]


@pytest.mark.proves(
    "MeshConfig.accessLogFile",
    "MeshConfig.accessLogFormat",
    "MeshConfig.accessLogEncoding=TEXT",
    "MeshConfig.accessLogEncoding=JSON",
    "MeshConfig.disableEnvoyListenerLog",
)
def test_the_mesh_says_where_and_how_requests_are_logged() -> None:
    assert not logs_of(listener_in(mesh("accessLogFile: ''"), "0.0.0.0_80"))
    at_file = 'accessLogFile: /var/log/proxy\naccessLogFormat: \'{"m": "%REQ(:METHOD)%"}\'\n'
    found = FileAccessLog()
    for encoding in ("TEXT", "JSON"):
        as_told = at_file + f"accessLogEncoding: {encoding}\ndisableEnvoyListenerLog: true"
        listener = listener_in(mesh(as_told), "0.0.0.0_80")
        assert not listener.access_log
        [log] = logs_of(listener)
        assert log.typed_config.Unpack(found)
        assert found.path == "/var/log/proxy"
        line = found.log_format
        if encoding == "JSON":
            assert line.json_format["m"] == "%REQ(:METHOD)%"
        else:
            assert line.text_format_source.inline_string == '{"m": "%REQ(:METHOD)%"}\n'
    assert listener_in(mesh(at_file), "0.0.0.0_80").access_log
