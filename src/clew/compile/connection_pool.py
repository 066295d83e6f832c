"""A DestinationRule's ``connectionPool``: limits, timeouts and the HTTP version upstream."""

from __future__ import annotations

from enum import Enum

from clew._pb.envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.common.matcher.v3.matcher_pb2 import MatchPredicate
from clew._pb.envoy.config.core.v3.address_pb2 import TcpKeepalive as EnvoyTcpKeepalive
from clew._pb.envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, HttpProtocolOptions
from clew._pb.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import (
    HttpProtocolOptions as UpstreamHttpOptions,
)
from clew.compile.typed_config import typed_config
from clew.model.destination_rule import (
    ConnectionPoolSettings,
    HTTPSettings,
    OutlierDetection,
    RetryBudget,
    TcpKeepalive,
    TCPSettings,
)
from clew.model.mesh_config import MeshConfig

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Istio sets no limit until the user does, where Envoy's own defaults would be 1024 and 3 retries.
UNLIMITED = 2**32 - 1

_NO_HTTP = HTTPSettings()
_NO_TCP = TCPSettings()


class Version(Enum):
    """What a cluster speaks to its endpoints."""

    TCP = "bytes only"
    HTTP1 = "HTTP/1.1"
    HTTP2 = "HTTP/2"
    AS_CLIENT = "what the client spoke"


def apply_connection_pool(
    cluster: Cluster,
    pool: ConnectionPoolSettings | None,
    budget: RetryBudget | None,
    mesh: MeshConfig,
) -> None:
    """Set limits, connect timeout and keepalive.

    Source: istio ``applyConnectionPool``.
    """
    tcp = (pool.tcp if pool else None) or _NO_TCP
    http = (pool.http if pool else None) or _NO_HTTP
    cluster.connect_timeout.FromTimedelta((tcp.connect_timeout or mesh.connect_timeout).timedelta)
    thresholds = cluster.circuit_breakers.thresholds.add(track_remaining=True)
    thresholds.max_connections.value = tcp.max_connections or UNLIMITED
    thresholds.max_pending_requests.value = http.http1_max_pending_requests or UNLIMITED
    thresholds.max_requests.value = http.http2_max_requests or UNLIMITED
    thresholds.max_retries.value = http.max_retries or UNLIMITED
    if budget is not None:
        _apply_budget(thresholds, budget)
    for keepalive in (mesh.tcp_keepalive, tcp.tcp_keepalive):
        if keepalive is not None:
            _apply_keepalive(cluster.upstream_connection_options.tcp_keepalive, keepalive)


def apply_version(
    cluster: Cluster,
    version: Version,
    pool: ConnectionPoolSettings | None,
    outlier: OutlierDetection | None = None,
    *,
    server_name_from_host: bool = False,
    verify_server_name: bool = False,
) -> None:
    """Set the HTTP version and what belongs to it.

    ``server_name_from_host``: TLS asks for the host that the request is for.
    """
    http = (pool.http if pool else None) or _NO_HTTP
    options = UpstreamHttpOptions()
    _apply_common(options.common_http_protocol_options, pool)
    match version:
        case Version.TCP:
            if not options.common_http_protocol_options.ListFields():
                return
            options.explicit_http_config.http_protocol_options.SetInParent()
        case Version.HTTP1:
            options.explicit_http_config.http_protocol_options.SetInParent()
        case Version.HTTP2:
            _apply_http2(options.explicit_http_config.http2_protocol_options, http)
        case Version.AS_CLIENT:
            options.use_downstream_protocol_config.http_protocol_options.SetInParent()
            _apply_http2(options.use_downstream_protocol_config.http2_protocol_options, http)
    if server_name_from_host:
        options.upstream_http_protocol_options.auto_sni = True
        options.upstream_http_protocol_options.auto_san_validation = verify_server_name
    if outlier is not None and outlier.outlier_detection_http_error_codes:
        _apply_error_codes(options, outlier.outlier_detection_http_error_codes)
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(typed_config(options))


def _apply_budget(thresholds: CircuitBreakers.Thresholds, budget: RetryBudget) -> None:
    """Source: Istio's defaults: retries may be a fifth of the requests, and always three."""
    share = 20.0 if budget.percent is None else budget.percent
    thresholds.retry_budget.budget_percent.value = share
    least = 3 if budget.min_retry_concurrency is None else budget.min_retry_concurrency
    thresholds.retry_budget.min_retry_concurrency.value = least
    if budget.budget_interval is not None:
        thresholds.retry_budget.budget_interval.FromTimedelta(budget.budget_interval.timedelta)


def _apply_keepalive(target: EnvoyTcpKeepalive, keepalive: TcpKeepalive) -> None:
    if keepalive.probes is not None:
        target.keepalive_probes.value = keepalive.probes
    if keepalive.time is not None:
        target.keepalive_time.value = int(keepalive.time.seconds)
    if keepalive.interval is not None:
        target.keepalive_interval.value = int(keepalive.interval.seconds)


def _apply_common(options: HttpProtocolOptions, pool: ConnectionPoolSettings | None) -> None:
    http = (pool.http if pool else None) or _NO_HTTP
    tcp = (pool.tcp if pool else None) or _NO_TCP
    if (idle := http.idle_timeout or tcp.idle_timeout) is not None:
        options.idle_timeout.FromTimedelta(idle.timedelta)
    if tcp.max_connection_duration is not None:
        options.max_connection_duration.FromTimedelta(tcp.max_connection_duration.timedelta)
    if http.max_requests_per_connection:
        options.max_requests_per_connection.value = http.max_requests_per_connection


def _apply_http2(options: Http2ProtocolOptions, http: HTTPSettings) -> None:
    # WebSockets travel over HTTP/2 as extended CONNECT.
    options.allow_connect = True
    if http.max_concurrent_streams:
        options.max_concurrent_streams.value = http.max_concurrent_streams
    if (keepalive := http.http2_keep_alive) is not None:
        if keepalive.interval is not None:
            options.connection_keepalive.interval.FromTimedelta(keepalive.interval.timedelta)
        if keepalive.timeout is not None:
            options.connection_keepalive.timeout.FromTimedelta(keepalive.timeout.timedelta)


def _apply_error_codes(options: UpstreamHttpOptions, codes: tuple[int, ...]) -> None:
    """Count these statuses as errors of the endpoint, rather than Envoy's 5xx."""
    matcher = options.outlier_detection.error_matcher
    if len(codes) == 1:
        _match_status(matcher, codes[0])
        return
    for code in codes:
        _match_status(matcher.or_match.rules.add(), code)


def _match_status(matcher: MatchPredicate, code: int) -> None:
    header = matcher.http_response_headers_match.headers.add(name=":status")
    header.string_match.exact = str(code)
