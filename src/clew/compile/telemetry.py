"""Listeners with what a proxy tells of its traffic: metrics, access logs and traces.

Each listener is done by itself and remembered. Connection managers and TCP proxies are compiled
without: what is told of traffic changes nothing of where it goes.
"""

from __future__ import annotations

from collections.abc import Iterator

from clew._pb.envoy.config.core.v3.base_pb2 import TrafficDirection
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import (
    TcpProxy,
    UpstreamConnectMode,
)
from clew.compile.memo import Memo
from clew.compile.peer import REMEMBER_PEER
from clew.compile.resources import resource
from clew.compile.stats import connection_stats, request_stats
from clew.compile.typed_config import typed_config
from clew.model.metrics import PEER_HEADER
from clew.model.xds import LISTENER, EnvoyResource, Published
from clew.snapshot.scope import ProxyScope
from clew.snapshot.telemetries import NO_TELEMETRY, SideTelemetry, TelemetryInForce

# What a client may send before the application is connected.
_EARLY_BYTES = 64 * 1024


def with_telemetry(published: Published, scope: ProxyScope, memo: Memo) -> Published:
    """Return ``published`` with all that is told of the proxy's traffic."""
    if scope.telemetry == NO_TELEMETRY:
        return published
    listeners = {
        name: memo.call(_listener, each, scope.telemetry)
        for name, each in published[LISTENER].items()
    }
    return {**published, LISTENER: listeners}


def _listener(before: EnvoyResource, telemetry: TelemetryInForce) -> EnvoyResource:
    listener = Listener.FromString(before.body)
    server = listener.traffic_direction == TrafficDirection.INBOUND
    side = telemetry.server if server else telemetry.client
    for chain in _chains(listener):
        for each in chain.filters:
            _tell_requests(each, side, server=server, known=_knows_clients(chain))
            _tell_connections(each, side, server=server, known=_knows_clients(chain))
    return resource(before.name, listener, uses=before.uses, sources=before.sources)


def _chains(listener: Listener) -> Iterator[FilterChain]:
    yield from listener.filter_chains
    if listener.HasField("default_filter_chain"):
        yield listener.default_filter_chain


def _knows_clients(chain: FilterChain) -> bool:
    return chain.HasField("transport_socket")


def _tell_requests(each: Filter, side: SideTelemetry, *, server: bool, known: bool) -> None:
    manager = hcm_pb2.HttpConnectionManager()
    if not each.typed_config.Unpack(manager):
        return
    manager.access_log.extend(request_stats(side.metrics, server=server))
    if server:
        if known and side.metrics:
            manager.http_filters.insert(0, REMEMBER_PEER)
        # The application is not to see it, whoever sent it.
        manager.route_config.request_headers_to_remove.append(PEER_HEADER)
    each.typed_config.CopyFrom(typed_config(manager))


def _tell_connections(each: Filter, side: SideTelemetry, *, server: bool, known: bool) -> None:
    proxy = TcpProxy()
    if not each.typed_config.Unpack(proxy):
        return
    stats = connection_stats(side.metrics, server=server)
    if not stats:
        return
    proxy.access_log.extend(stats)
    proxy.access_log_options.flush_access_log_on_connected = True
    if server and known:
        # Else a connection would be counted before it is known whose it is.
        proxy.upstream_connect_mode = UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE
        proxy.max_early_data_bytes.value = _EARLY_BYTES
    each.typed_config.CopyFrom(typed_config(proxy))
