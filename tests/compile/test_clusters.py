from __future__ import annotations

from dataclasses import replace

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from clew._pb.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import (
    HttpProtocolOptions,
)
from clew.compile.connection_pool import HTTP_OPTIONS
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception
from clew.model.service import Endpoint, Protocol, Resolution, Service
from clew.model.xds import CLUSTER, ENDPOINTS
from clew.snapshot.scope import MutualTls, OutboundScope
from tests.compile.scopes import (
    cluster,
    compiled,
    endpoint,
    outbound,
    resources,
    service,
    with_endpoints,
)

REVIEWS = service("reviews")
NAME = "outbound|8080||reviews.default.svc.cluster.local"


def scope_of(*endpoints: Endpoint, rule: str = "", to: Service = REVIEWS) -> OutboundScope:
    scope = with_endpoints(outbound(to), to, *endpoints)
    if not rule:
        return scope
    text = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        f"metadata: {{name: rule, namespace: default}}\nspec: {{host: {to.hostname}, {rule}}}"
    )
    [declared] = resources(text)
    assert isinstance(declared, DestinationRule)
    return replace(scope, destination_rules={to.hostname: declared})


def options(of: Cluster) -> HttpProtocolOptions:
    found = HttpProtocolOptions()
    of.typed_extension_protocol_options[HTTP_OPTIONS].Unpack(found)
    return found


def speaks(of: Cluster) -> str:
    found = options(of)
    if found.HasField("use_downstream_protocol_config"):
        return "as client"
    explicit = found.explicit_http_config
    return "HTTP/2" if explicit.HasField("http2_protocol_options") else "HTTP/1.1"


def tls(of: Cluster) -> UpstreamTlsContext:
    found = UpstreamTlsContext()
    assert of.transport_socket.typed_config.Unpack(found)
    return found


def test_between_sidecars_requests_travel_over_http2_and_mtls_only() -> None:
    found = cluster(scope_of(endpoint()), NAME)
    assert speaks(found) == "HTTP/2"
    assert "h2" in tls(found).common_tls_context.alpn_protocols
    assert not found.transport_socket_matches


def test_with_no_sidecar_behind_it_a_service_is_called_in_plain_http1() -> None:
    found = cluster(scope_of(endpoint(mutual_tls=False)), NAME)
    assert speaks(found) == "HTTP/1.1"
    assert not found.HasField("transport_socket")


def test_where_only_some_endpoints_have_sidecars_each_is_called_its_own_way() -> None:
    found = cluster(scope_of(endpoint(), endpoint("172.16.0.2", mutual_tls=False)), NAME)
    assert speaks(found) == "HTTP/1.1"
    plain, others = found.transport_socket_matches
    assert (plain.name, dict(plain.match)) == ("tlsMode-disabled", {"tlsMode": "disabled"})
    assert (others.name, dict(others.match)) == ("tlsMode-istio", {})


def test_the_server_must_be_one_of_the_identities_of_its_endpoints() -> None:
    found = cluster(scope_of(endpoint(service_account="reviews")), NAME)
    validation = tls(found).common_tls_context.combined_validation_context
    matchers = validation.default_validation_context.match_typed_subject_alt_names
    assert [m.matcher.exact for m in matchers] == ["spiffe://cluster.local/ns/default/sa/reviews"]


def test_mtls_is_not_automatic_where_the_server_disables_it() -> None:
    scope = replace(scope_of(endpoint()), mutual_tls={(REVIEWS.hostname, 8080): MutualTls.DISABLE})
    assert not cluster(scope, NAME).HasField("transport_socket")


def test_mtls_is_not_automatic_when_the_mesh_says_so() -> None:
    scope = replace(scope_of(endpoint()), mesh=MeshConfig(enable_auto_mtls=False))
    assert not cluster(scope, NAME).HasField("transport_socket")


def test_a_destination_rule_may_keep_http1_between_sidecars() -> None:
    rule = "trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}"
    assert speaks(cluster(scope_of(endpoint(), rule=rule), NAME)) == "HTTP/1.1"


@pytest.mark.parametrize(
    ("protocol", "version"),
    [(Protocol.GRPC, "HTTP/2"), (Protocol.HTTP2, "HTTP/2"), (Protocol.AUTO, "as client")],
)
def test_a_declared_protocol_is_spoken_to_plain_endpoints_too(
    protocol: Protocol, version: str
) -> None:
    to = service("reviews", protocol)
    assert speaks(cluster(scope_of(endpoint(mutual_tls=False), to=to), NAME)) == version


def test_nothing_is_limited_until_the_user_says_so() -> None:
    [thresholds] = cluster(scope_of(endpoint()), NAME).circuit_breakers.thresholds
    limits = (
        thresholds.max_connections,
        thresholds.max_pending_requests,
        thresholds.max_requests,
        thresholds.max_retries,
    )
    assert {limit.value for limit in limits} == {2**32 - 1}
    assert thresholds.track_remaining


def test_the_least_busy_endpoint_is_chosen_unless_declared() -> None:
    assert cluster(scope_of(endpoint()), NAME).lb_policy == Cluster.LEAST_REQUEST


def test_each_subset_is_a_cluster_with_its_own_endpoints_and_server_name() -> None:
    rule = "subsets: [{name: v1, labels: {version: v1}}]"
    scope = scope_of(
        endpoint(labels={"version": "v1"}),
        endpoint("172.16.0.2", labels={"version": "v2"}),
        rule=rule,
    )
    found = cluster(scope, "outbound|8080|v1|reviews.default.svc.cluster.local")
    assert tls(found).sni == "outbound_.8080_.v1_.reviews.default.svc.cluster.local"
    assert found.metadata.filter_metadata["istio"]["subset"] == "v1"


def test_a_subset_overrides_one_by_one_and_a_port_as_a_whole() -> None:
    rule = """trafficPolicy: {
        loadBalancer: {simple: RANDOM},
        connectionPool: {tcp: {maxConnections: 7}},
        portLevelSettings: [{port: {number: 8081}, loadBalancer: {simple: ROUND_ROBIN}}]},
      subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {
        connectionPool: {tcp: {maxConnections: 3}}}}]"""
    to = service("reviews", Protocol.HTTP, Protocol.HTTP)
    scope = scope_of(endpoint(), rule=rule, to=to)
    host = "reviews.default.svc.cluster.local"
    subset, other = (
        cluster(scope, f"outbound|8080|v1|{host}"),
        cluster(scope, f"outbound|8081||{host}"),
    )
    assert subset.lb_policy == Cluster.RANDOM
    assert subset.circuit_breakers.thresholds[0].max_connections.value == 3
    assert other.lb_policy == Cluster.ROUND_ROBIN
    assert other.circuit_breakers.thresholds[0].max_connections.value == 2**32 - 1


def test_once_endpoints_are_ejected_the_others_are_never_overruled_by_panic() -> None:
    rule = "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3, interval: 1s}}"
    found = cluster(scope_of(endpoint(), rule=rule), NAME)
    assert found.outlier_detection.consecutive_5xx.value == 3
    assert found.common_lb_config.HasField("healthy_panic_threshold")
    assert found.common_lb_config.healthy_panic_threshold.value == 0


def test_tls_to_the_outside_asks_for_the_host_of_the_request() -> None:
    to = service("api", hostname="api.example.com", mesh_external=True, resolution=Resolution.DNS)
    found = cluster(
        scope_of(endpoint("api.example.com"), rule="trafficPolicy: {tls: {mode: SIMPLE}}", to=to),
        "outbound|8080||api.example.com",
    )
    assert found.type == Cluster.STRICT_DNS
    assert options(found).upstream_http_protocol_options.auto_sni
    assert options(found).upstream_http_protocol_options.auto_san_validation


def test_a_cluster_resolved_by_dns_is_left_out_while_it_has_no_endpoint() -> None:
    to = service("api", hostname="api.example.com", mesh_external=True, resolution=Resolution.DNS)
    assert "outbound|8080||api.example.com" not in compiled(scope_of(to=to))[CLUSTER]


def test_a_headless_service_goes_where_the_client_wanted_unless_that_is_the_proxy() -> None:
    to = service("db", resolution=Resolution.PASSTHROUGH, headless=True, addresses=())
    name = "outbound|8080||db.default.svc.cluster.local"
    scope = scope_of(endpoint(), to=to)
    assert cluster(scope, name).type == Cluster.ORIGINAL_DST
    uncaptured = replace(scope, interception=Interception.NONE)
    assert cluster(uncaptured, name).type == Cluster.EDS
    assert name in compiled(uncaptured)[ENDPOINTS]


def test_a_headless_service_has_mtls_where_all_of_its_instances_accept_it() -> None:
    to = service("db", resolution=Resolution.PASSTHROUGH, headless=True, addresses=())
    name = "outbound|8080||db.default.svc.cluster.local"
    everywhere = cluster(scope_of(endpoint(), endpoint("172.16.0.2"), to=to), name)
    assert tls(everywhere).sni == "outbound_.8080_._.db.default.svc.cluster.local"
    plain = endpoint("172.16.0.2", mutual_tls=False)
    for found in (scope_of(endpoint(), plain, to=to), scope_of(to=to)):
        assert not cluster(found, name).HasField("transport_socket")
        assert not cluster(found, name).transport_socket_matches


def test_a_new_endpoint_of_a_known_identity_leaves_the_cluster_alone() -> None:
    before, after = scope_of(endpoint()), scope_of(endpoint(), endpoint("172.16.0.2"))
    assert compiled(before)[CLUSTER] == compiled(after)[CLUSTER]
    assert compiled(before)[ENDPOINTS] != compiled(after)[ENDPOINTS]


def test_udp_ports_have_no_cluster() -> None:
    scope = scope_of(endpoint(), to=service("dns", Protocol.UDP))
    assert compiled(scope)[CLUSTER].keys() == {"BlackHoleCluster", "PassthroughCluster"}
