"""A proxy's resources with its own settings, where the mesh's defaults do not do.

Few proxies have any, and each resource is done by itself and remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from google.protobuf.message import Message

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import (
    HttpProtocolOptions,
)
from clew.compile.connection_pool import HTTP_OPTIONS
from clew.compile.connection_settings import limit_cluster, limit_listener
from clew.compile.memo import Memo
from clew.compile.proxy_headers import apply_headers_to_routes, keep_case
from clew.compile.resources import resource
from clew.compile.typed_config import typed_config
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_proxy_config import ConnectionSettings, MeshProxyConfig, ProxyHeaders
from clew.model.xds import CLUSTER, LISTENER, ROUTE, EnvoyResource, Published, TypeUrl

_NO_HEADERS = ProxyHeaders()
_NO_CONNECTIONS = ConnectionSettings()

_Change = Callable[[EnvoyResource, MeshProxyConfig], EnvoyResource]


def with_proxy_settings(published: Published, mesh: MeshConfig, memo: Memo) -> Published:
    """Return ``published`` with what connection managers do not hold of a proxy's settings."""
    config = mesh.default_config
    if config is None or not (config.proxy_headers or config.connection_settings):
        return published
    after = dict(published)
    for kind, change in _changes(config):
        after[kind] = {n: memo.call(change, r, config) for n, r in published[kind].items()}
    return after


def _changes(config: MeshProxyConfig) -> Iterator[tuple[TypeUrl, _Change]]:
    """What is to be done to the resources of a type, if there is anything."""
    headers = config.proxy_headers or _NO_HEADERS
    connections = config.connection_settings or _NO_CONNECTIONS
    if (
        connections.cluster_per_connection_buffer_limit_bytes is not None
        or headers.preserve_http1_header_case
    ):
        yield CLUSTER, _cluster
    if (
        connections.listener_per_connection_buffer_limit_bytes is not None
        or connections.listener_connection_limit is not None
    ):
        yield LISTENER, _listener
    if headers.attempt_count is not None or headers.x_forwarded_host is not None:
        yield ROUTE, _routes


def _cluster(before: EnvoyResource, config: MeshProxyConfig) -> EnvoyResource:
    cluster = Cluster.FromString(before.body)
    limit_cluster(cluster, config.connection_settings or _NO_CONNECTIONS)
    if (config.proxy_headers or _NO_HEADERS).preserve_http1_header_case:
        _keep_case(cluster)
    return _changed(before, cluster)


def _keep_case(cluster: Cluster) -> None:
    options = HttpProtocolOptions()
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].Unpack(options)
    match options.WhichOneof("upstream_protocol_options"):
        case "use_downstream_protocol_config":
            keep_case(options.use_downstream_protocol_config.http_protocol_options)
        case "auto_config":
            keep_case(options.auto_config.http_protocol_options)
        case _ if options.explicit_http_config.HasField("http2_protocol_options"):
            pass  # HTTP/2 has no upper case
        case _:
            keep_case(options.explicit_http_config.http_protocol_options)
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(typed_config(options))


def _listener(before: EnvoyResource, config: MeshProxyConfig) -> EnvoyResource:
    listener = Listener.FromString(before.body)
    limit_listener(listener, config.connection_settings or _NO_CONNECTIONS)
    return _changed(before, listener)


def _routes(before: EnvoyResource, config: MeshProxyConfig) -> EnvoyResource:
    routes = RouteConfiguration.FromString(before.body)
    apply_headers_to_routes(routes, config.proxy_headers or _NO_HEADERS)
    return _changed(before, routes)


def _changed(before: EnvoyResource, after: Message) -> EnvoyResource:
    return resource(before.name, after, uses=before.uses, sources=before.sources)
