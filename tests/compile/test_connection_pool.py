from __future__ import annotations

import pytest

from clew._pb.envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from tests.compile.meshes import cluster_of, mesh_config, options_of, policy


def thresholds(cluster: Cluster) -> CircuitBreakers.Thresholds:
    [found] = cluster.circuit_breakers.thresholds
    return found


def speaks(cluster: Cluster) -> str:
    options = options_of(cluster)
    if options.HasField("use_downstream_protocol_config"):
        return "as client"
    explicit = options.explicit_http_config
    return str(explicit.WhichOneof("protocol_config"))


@pytest.mark.proves(
    "TrafficPolicy.connectionPool",
    "ConnectionPoolSettings.tcp",
    "ConnectionPoolSettings.http",
    "TCPSettings.maxConnections",
    "HTTPSettings.http1MaxPendingRequests",
    "HTTPSettings.http2MaxRequests",
    "HTTPSettings.maxRetries",
)
def test_limits_are_circuit_breakers() -> None:
    found = thresholds(
        cluster_of(
            policy(
                """connectionPool: {tcp: {maxConnections: 1},
                http: {http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4}}"""
            )
        )
    )
    assert found.max_connections.value == 1
    assert found.max_pending_requests.value == 2
    assert found.max_requests.value == 3
    assert found.max_retries.value == 4


@pytest.mark.proves("TCPSettings.connectTimeout", "MeshConfig.connectTimeout")
def test_a_connect_timeout_comes_from_the_rule_else_from_the_mesh() -> None:
    mesh = mesh_config("connectTimeout: 7s")
    rule = policy("connectionPool: {tcp: {connectTimeout: 30ms}}")
    assert cluster_of().connect_timeout.ToMilliseconds() == 10_000
    assert cluster_of(mesh).connect_timeout.ToMilliseconds() == 7_000
    assert cluster_of(mesh, rule).connect_timeout.ToMilliseconds() == 30


@pytest.mark.proves(
    "TCPSettings.tcpKeepalive",
    "TcpKeepalive.probes",
    "TcpKeepalive.time",
    "TcpKeepalive.interval",
    "MeshConfig.tcpKeepalive",
)
def test_what_a_rule_says_of_keepalive_goes_before_what_the_mesh_says() -> None:
    mesh = mesh_config("tcpKeepalive: {probes: 9, time: 10s}")
    rule = policy("connectionPool: {tcp: {tcpKeepalive: {time: 3s, interval: 2s}}}")
    found = cluster_of(mesh, rule).upstream_connection_options.tcp_keepalive
    assert found.keepalive_probes.value == 9
    assert found.keepalive_time.value == 3
    assert found.keepalive_interval.value == 2
    assert not cluster_of().HasField("upstream_connection_options")


@pytest.mark.proves(
    "TCPSettings.maxConnectionDuration",
    "TCPSettings.idleTimeout",
    "HTTPSettings.idleTimeout",
    "HTTPSettings.maxRequestsPerConnection",
)
def test_connections_have_a_lifetime_and_the_http_idle_timeout_goes_first() -> None:
    tcp = "tcp: {maxConnectionDuration: 90s, idleTimeout: 5s}"
    common = options_of(
        cluster_of(policy(f"connectionPool: {{{tcp}}}"))
    ).common_http_protocol_options
    assert common.max_connection_duration.seconds == 90
    assert common.idle_timeout.seconds == 5
    http = "http: {idleTimeout: 4s, maxRequestsPerConnection: 8}"
    common = options_of(
        cluster_of(policy(f"connectionPool: {{{tcp}, {http}}}"))
    ).common_http_protocol_options
    assert common.idle_timeout.seconds == 4
    assert common.max_requests_per_connection.value == 8


@pytest.mark.proves(
    "HTTPSettings.maxConcurrentStreams",
    "HTTPSettings.http2KeepAlive",
    "HTTP2KeepAlive.interval",
    "HTTP2KeepAlive.timeout",
)
def test_http2_connections_have_streams_and_pings() -> None:
    text = """connectionPool: {http: {maxConcurrentStreams: 11,
        http2KeepAlive: {interval: 30s, timeout: 5s}}}"""
    http2 = options_of(
        cluster_of(policy(text), port=81)
    ).explicit_http_config.http2_protocol_options
    assert http2.max_concurrent_streams.value == 11
    assert http2.connection_keepalive.interval.seconds == 30
    assert http2.connection_keepalive.timeout.seconds == 5


@pytest.mark.proves("HTTPSettings.useClientProtocol")
@pytest.mark.parametrize("port", [80, 81, 83])
def test_the_clients_protocol_may_be_kept(port: int) -> None:
    rule = policy("connectionPool: {http: {useClientProtocol: true}}")
    assert speaks(cluster_of(rule, port=port)) == "as client"


_PLAIN = "tls: {mode: DISABLE}"


@pytest.mark.proves(
    "HTTPSettings.h2UpgradePolicy",
    "HTTPSettings.h2UpgradePolicy=UPGRADE",
    "HTTPSettings.h2UpgradePolicy=DEFAULT",
    "MeshConfig.h2UpgradePolicy",
    "MeshConfig.h2UpgradePolicy=UPGRADE",
    "MeshConfig.h2UpgradePolicy=DO_NOT_UPGRADE",
)
@pytest.mark.parametrize(
    ("mesh", "rule", "port", "version"),
    [
        ("DO_NOT_UPGRADE", "DEFAULT", 80, "http_protocol_options"),
        ("DO_NOT_UPGRADE", "UPGRADE", 80, "http2_protocol_options"),
        ("UPGRADE", "DEFAULT", 80, "http2_protocol_options"),
        ("UPGRADE", "DO_NOT_UPGRADE", 80, "http_protocol_options"),
        # A port of an unknown protocol is upgraded by whoever names it only.
        ("UPGRADE", "DEFAULT", 83, "as client"),
        ("UPGRADE", "UPGRADE", 83, "http2_protocol_options"),
    ],
)
def test_http1_is_upgraded_by_the_rule_else_by_the_mesh(
    mesh: str, rule: str, port: int, version: str
) -> None:
    found = cluster_of(
        mesh_config(f"h2UpgradePolicy: {mesh}"),
        policy(f"connectionPool: {{http: {{h2UpgradePolicy: {rule}}}}}, {_PLAIN}"),
        port=port,
    )
    assert speaks(found) == version


@pytest.mark.proves("HTTPSettings.h2UpgradePolicy=DO_NOT_UPGRADE")
def test_a_rule_may_keep_http1_between_sidecars() -> None:
    rule = policy("connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}")
    assert speaks(cluster_of()) == "http2_protocol_options"
    assert speaks(cluster_of(rule)) == "http_protocol_options"


@pytest.mark.proves(
    "TrafficPolicy.retryBudget",
    "RetryBudget.percent",
    "RetryBudget.budgetInterval",
    "RetryBudget.minRetryConcurrency",
)
def test_a_retry_budget_has_istios_defaults() -> None:
    found = thresholds(
        cluster_of(policy("retryBudget: {percent: 55, budgetInterval: 2s, minRetryConcurrency: 7}"))
    ).retry_budget
    assert found.budget_percent.value == 55
    assert found.budget_interval.seconds == 2
    assert found.min_retry_concurrency.value == 7
    bare = thresholds(cluster_of(policy("retryBudget: {minRetryConcurrency: 4}"))).retry_budget
    assert bare.budget_percent.value == 20
    assert thresholds(cluster_of(policy("retryBudget: {percent: 1}"))).retry_budget == (
        CircuitBreakers.Thresholds.RetryBudget(
            budget_percent={"value": 1}, min_retry_concurrency={"value": 3}
        )
    )
