"""How a proxy handles its clients' connections: ``connectionSettings`` of its settings."""

from __future__ import annotations

from collections.abc import Mapping

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.network.connection_limit.v3.connection_limit_pb2 import (
    ConnectionLimit,
)
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.typed_config import typed_config
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_proxy_config import (
    ConnectionSettings,
    HeadersWithUnderscoresAction,
    PathWithEscapedSlashesAction,
)

HttpConnectionManager = hcm_pb2.HttpConnectionManager

_UNSET = ConnectionSettings()


def connection_settings(mesh: MeshConfig) -> ConnectionSettings:
    return (mesh.default_config.connection_settings if mesh.default_config else None) or _UNSET


def apply_connection_settings(manager: HttpConnectionManager, settings: ConnectionSettings) -> None:
    """Set timeouts, limits of HTTP/2 and what is done with odd paths and headers.

    What is not set stays as it is. Source: istio ``applyConnectionSettingsToHCM``.
    """
    if settings == _UNSET:
        return
    common = manager.common_http_protocol_options
    for target, name, duration in (
        (common, "idle_timeout", settings.http_idle_timeout),
        (common, "max_connection_duration", settings.http_max_connection_duration),
        (common, "max_stream_duration", settings.http_max_stream_duration),
        (manager, "stream_idle_timeout", settings.http_stream_idle_timeout),
        (manager, "request_timeout", settings.http_request_timeout),
        (manager, "request_headers_timeout", settings.http_request_headers_timeout),
        (manager, "drain_timeout", settings.http_drain_timeout),
    ):
        if duration is not None:
            getattr(target, name).FromTimedelta(duration.timedelta)
    _apply_http2(manager, settings)
    _apply_paths_and_headers(manager, settings)


def _apply_http2(manager: HttpConnectionManager, settings: ConnectionSettings) -> None:
    options = manager.http2_protocol_options
    for target, value in (
        ("max_concurrent_streams", settings.http_max_concurrent_streams),
        ("initial_stream_window_size", settings.http2_initial_stream_window_size),
        ("initial_connection_window_size", settings.http2_initial_connection_window_size),
    ):
        if value is not None:
            getattr(options, target).value = value


def _apply_paths_and_headers(manager: HttpConnectionManager, settings: ConnectionSettings) -> None:
    underscores = _UNDERSCORES.get(settings.http_headers_with_underscores_action or "")
    if underscores is not None:
        manager.common_http_protocol_options.headers_with_underscores_action = underscores
    if settings.http_merge_slashes is not None:
        manager.merge_slashes = settings.http_merge_slashes
    slashes = _ESCAPED_SLASHES.get(settings.http_path_with_escaped_slashes_action or "")
    if slashes is not None:
        manager.path_with_escaped_slashes_action = slashes


_UNDERSCORES: Mapping[str, HttpProtocolOptions.HeadersWithUnderscoresAction] = {
    HeadersWithUnderscoresAction.HEADERS_WITH_UNDERSCORES_ALLOW: HttpProtocolOptions.ALLOW,
    HeadersWithUnderscoresAction.HEADERS_WITH_UNDERSCORES_REJECT_REQUEST: (
        HttpProtocolOptions.REJECT_REQUEST
    ),
    HeadersWithUnderscoresAction.HEADERS_WITH_UNDERSCORES_DROP_HEADER: (
        HttpProtocolOptions.DROP_HEADER
    ),
}
_ESCAPED_SLASHES: Mapping[str, HttpConnectionManager.PathWithEscapedSlashesAction] = {
    PathWithEscapedSlashesAction.KEEP_UNCHANGED: HttpConnectionManager.KEEP_UNCHANGED,
    PathWithEscapedSlashesAction.REJECT_REQUEST: HttpConnectionManager.REJECT_REQUEST,
    PathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT: (
        HttpConnectionManager.UNESCAPE_AND_REDIRECT
    ),
    PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD: HttpConnectionManager.UNESCAPE_AND_FORWARD,
}


def limit_listener(listener: Listener, settings: ConnectionSettings) -> None:
    """Bound the buffers and the number of clients' connections.

    Connections are counted by each filter chain: Envoy has no such limit for a whole listener
    that the control plane could set.
    """
    if (buffer := settings.listener_per_connection_buffer_limit_bytes) is not None:
        listener.per_connection_buffer_limit_bytes.value = buffer
    limit = settings.listener_connection_limit
    if limit and not listener.HasField("udp_listener_config"):
        for chain in listener.filter_chains:
            chain.filters.insert(0, _limit(listener.name, limit))


def limit_cluster(cluster: Cluster, settings: ConnectionSettings) -> None:
    if (buffer := settings.cluster_per_connection_buffer_limit_bytes) is not None:
        cluster.per_connection_buffer_limit_bytes.value = buffer


def _limit(name: str, connections: int) -> Filter:
    config = ConnectionLimit(stat_prefix=name)
    config.max_connections.value = connections
    return Filter(name="envoy.filters.network.connection_limit", typed_config=typed_config(config))
