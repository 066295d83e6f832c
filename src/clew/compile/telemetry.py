"""Listeners with what a proxy tells of its traffic: metrics, access logs and traces.

Each listener is done by itself and remembered. Connection managers and TCP proxies are compiled
without: what is told of traffic changes nothing of where it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    LogTypeFilter,
)
from clew._pb.envoy.config.core.v3.base_pb2 import TrafficDirection
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.data.accesslog.v3.accesslog_pb2 import AccessLogType
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import (
    TcpProxy,
    UpstreamConnectMode,
)
from clew.compile.access_log import with_condition
from clew.compile.access_log_providers import compile_access_logs, compile_listener_access_logs
from clew.compile.collectors import Hosts, collector_clusters, collector_hosts
from clew.compile.memo import Memo
from clew.compile.resources import resource
from clew.compile.stats import connection_stats, request_stats
from clew.compile.tracing import apply_tracing
from clew.compile.typed_config import typed_config
from clew.model.mesh_config import MeshConfig
from clew.model.service import Service
from clew.model.xds import CLUSTER, LISTENER, EnvoyResource, Published, ResourcesByName
from clew.snapshot.scope import ProxyScope
from clew.snapshot.telemetries import NO_TELEMETRY, SideTelemetry, TelemetryInForce

_NOT_AT_THE_START = AccessLogFilter(
    log_type_filter=LogTypeFilter(types=[AccessLogType.TcpUpstreamConnected], exclude=True)
)
# What a client may send before the application is connected.
_EARLY_BYTES = 64 * 1024


def with_telemetry(published: Published, scope: ProxyScope, memo: Memo) -> Published:
    """Return ``published`` with all that is told of the proxy's traffic."""
    telemetry, outbound = scope.telemetry, scope.outbound
    if telemetry == NO_TELEMETRY:
        return published
    hosts = memo.call(_collectors, telemetry, outbound.services)
    if not collector_clusters(telemetry, dict(hosts)) <= published[CLUSTER].keys():
        hosts = _reachable(telemetry, hosts, published[CLUSTER])
    told = memo.call(_told, telemetry, outbound.mesh, hosts)
    listeners = {
        name: memo.call(_listener, each, told) for name, each in published[LISTENER].items()
    }
    return {**published, LISTENER: listeners}


def _reachable(
    telemetry: TelemetryInForce, hosts: frozenset[tuple[str, str]], clusters: ResourcesByName
) -> frozenset[tuple[str, str]]:
    """Those with a cluster: Envoy refuses a listener that tells one which is not there."""
    return frozenset(
        each for each in hosts if collector_clusters(telemetry, dict([each])) <= clusters.keys()
    )


def _collectors(
    telemetry: TelemetryInForce, services: tuple[Service, ...]
) -> frozenset[tuple[str, str]]:
    """Equal as long as the services of providers are the same, whatever else changes."""
    by_host: dict[str, tuple[Service, ...]] = {}
    for service in services:
        by_host[service.hostname] = (*by_host.get(service.hostname, ()), service)
    return collector_hosts(telemetry, by_host)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Logs:
    """The loggers that write lines, or send them."""

    listener: Sequence[AccessLog]
    requests: Sequence[AccessLog]
    connections: Sequence[AccessLog]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Side:
    """What is told of the traffic to a workload (``server``) or from it: made once, and then put
    into each listener.

    ``logs`` None: what MeshConfig's ``accessLogFile`` says, which is there already.
    """

    server: bool
    logs: _Logs | None
    request_stats: Sequence[AccessLog]
    connection_stats: Sequence[AccessLog]
    trace: Callable[[hcm_pb2.HttpConnectionManager], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What is told on both sides, and the clusters that it is sent to."""

    client: _Side
    server: _Side
    uses: frozenset[str]


def _told(
    telemetry: TelemetryInForce, mesh: MeshConfig, found: frozenset[tuple[str, str]]
) -> _Told:
    hosts = dict(found)
    return _Told(
        _side(telemetry.client, mesh, hosts, server=False),
        _side(telemetry.server, mesh, hosts, server=True),
        collector_clusters(telemetry, hosts),
    )


def _side(telemetry: SideTelemetry, mesh: MeshConfig, hosts: Hosts, *, server: bool) -> _Side:
    logs = None
    if (wanted := telemetry.access_logs) is not None:
        logs = _Logs(
            listener=compile_listener_access_logs(wanted, mesh, hosts),
            requests=compile_access_logs(wanted, mesh, hosts, http=True),
            connections=compile_access_logs(wanted, mesh, hosts, http=False),
        )
    return _Side(
        server=server,
        logs=logs,
        request_stats=request_stats(telemetry.metrics, server=server),
        connection_stats=connection_stats(telemetry.metrics, server=server),
        trace=partial(apply_tracing, found=telemetry.tracing, mesh=mesh, hosts=hosts),
    )


def _listener(before: EnvoyResource, told: _Told) -> EnvoyResource:
    listener = Listener.FromString(before.body)
    server = listener.traffic_direction == TrafficDirection.INBOUND
    side = told.server if server else told.client
    if side.logs is not None:
        listener.ClearField("access_log")
        listener.access_log.extend(side.logs.listener)
    for chain in _chains(listener):
        for each in chain.filters:
            _tell_requests(each, side)
            _tell_connections(each, side, known=_knows_clients(chain))
    uses = before.uses | told.uses
    return resource(before.name, listener, uses=uses, sources=before.sources)


def _chains(listener: Listener) -> Iterator[FilterChain]:
    yield from listener.filter_chains
    if listener.HasField("default_filter_chain"):
        yield listener.default_filter_chain


def _knows_clients(chain: FilterChain) -> bool:
    return chain.HasField("transport_socket")


def _tell_requests(each: Filter, side: _Side) -> None:
    manager = hcm_pb2.HttpConnectionManager()
    if not each.typed_config.Unpack(manager):
        return
    if side.logs is not None:
        manager.ClearField("access_log")
        manager.access_log.extend(side.logs.requests)
    manager.access_log.extend(side.request_stats)
    side.trace(manager)
    each.typed_config.CopyFrom(typed_config(manager))


def _tell_connections(each: Filter, side: _Side, *, known: bool) -> None:
    proxy = TcpProxy()
    if not each.typed_config.Unpack(proxy):
        return
    if side.logs is not None:
        proxy.ClearField("access_log")
        proxy.access_log.extend(side.logs.connections)
    if side.connection_stats:
        # What writes lines writes one for each connection, as it ends.
        lines = [with_condition(log, _NOT_AT_THE_START) for log in proxy.access_log]
        proxy.ClearField("access_log")
        proxy.access_log.extend([*lines, *side.connection_stats])
        proxy.access_log_options.flush_access_log_on_connected = True
        if side.server and known:
            # Else a connection would be counted before it is known whose it is.
            proxy.upstream_connect_mode = UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE
            proxy.max_early_data_bytes.value = _EARLY_BYTES
    each.typed_config.CopyFrom(typed_config(proxy))
