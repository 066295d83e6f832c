"""Inbound clusters: from the proxy to the application beside it."""

from __future__ import annotations

from typing import Any

from clew._pb.envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.address_pb2 import (
    Address,
    BindConfig,
    ExtraSourceAddress,
    Pipe,
    SocketAddress,
)
from clew._pb.envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions as CommonOptions
from clew._pb.envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew._pb.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import (
    HttpProtocolOptions,
)
from clew.compile.stat_names import stat_name
from clew.compile.typed_config import typed_config
from clew.model import names
from clew.model.destination_rule import ConnectionPoolSettings, DestinationRule
from clew.model.mesh_config import InboundTrafficPolicyMode, MeshConfig
from clew.model.proxy import Interception, IpFamilies
from clew.model.service import Protocol
from clew.snapshot.scope import InboundPort, InboundScope

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Istio sets no limit until the user does, where Envoy's own defaults would be 1024 and 3 retries.
_UNLIMITED = 2**32 - 1
# Connections from these addresses are the proxy's own: capture rules let them through to the app.
_SOURCES = {"0.0.0.0": "127.0.0.6", "::": "::6"}


def compile_inbound_clusters(scope: InboundScope) -> tuple[Cluster, ...]:
    """One cluster per port, and the one for ports that nobody declared.

    Source: istio ``buildInboundClusters``.
    """
    ports = {port.target_port: port for port in reversed(scope.ports)}
    clusters = [_port_cluster(scope, port) for _, port in sorted(ports.items())]
    if scope.interception is not Interception.NONE:
        clusters.append(_passthrough_cluster(scope.mesh, scope.families))
    return tuple(clusters)


def _passthrough_cluster(mesh: MeshConfig, families: IpFamilies) -> Cluster:
    cluster = _cluster(names.INBOUND_PASSTHROUGH_CLUSTER, mesh, None)
    _to_original_destination(cluster, families)
    _speak(cluster, Protocol.AUTO, None)
    return cluster


def _port_cluster(scope: InboundScope, port: InboundPort) -> Cluster:
    pool = _connection_pool(port)
    cluster = _cluster(names.inbound_cluster(port.target_port), scope.mesh, pool)
    address = _application(scope, port)
    if address is not None:
        _to_address(cluster, address)
        if scope.ip and address.socket_address.address == scope.ip:
            _from_proxy(cluster, scope.families)
    else:
        _to_original_destination(cluster, scope.families)
        _to_declared_port(cluster, port)
    _speak(cluster, port.port.protocol, pool)
    if pattern := scope.mesh.inbound_cluster_stat_name:
        target = port.target_port
        cluster.alt_stat_name = f"{stat_name(pattern, port.service, port.port, target, '')};"
    cluster.metadata.filter_metadata["istio"].update(_services(port))
    return cluster


def _services(port: InboundPort) -> dict[str, Any]:
    """Source: Istio's cluster metadata. Metrics read ``service``, the first of them in one text."""
    named = [
        {"host": service.hostname, "name": service.name, "namespace": service.namespace}
        for service in (port.service, *port.sharing)
    ]
    return {"services": named, "service": ";".join(named[0].values())}


def _cluster(name: str, mesh: MeshConfig, pool: ConnectionPoolSettings | None) -> Cluster:
    cluster = Cluster(name=name, circuit_breakers=_circuit_breakers(pool))
    tcp = pool.tcp if pool else None
    timeout = (tcp.connect_timeout if tcp else None) or mesh.connect_timeout
    cluster.connect_timeout.FromTimedelta(timeout.timedelta)
    return cluster


def _to_original_destination(cluster: Cluster, families: IpFamilies) -> None:
    cluster.type = Cluster.ORIGINAL_DST
    cluster.lb_policy = Cluster.CLUSTER_PROVIDED
    _from_proxy(cluster, families)


def _from_proxy(cluster: Cluster, families: IpFamilies) -> None:
    """Without it, capture would take a connection to the workload's own address for a new one."""
    main, *more = (
        SocketAddress(address=_SOURCES[each], port_value=0) for each in families.wildcards
    )
    others = (ExtraSourceAddress(address=each) for each in more)
    bind = BindConfig(source_address=main, extra_source_addresses=others)
    cluster.upstream_bind_config.CopyFrom(bind)


def _to_declared_port(cluster: Cluster, port: InboundPort) -> None:
    """``defaultEndpoint: 0.0.0.0:8080`` is the address that the client chose, at this port."""
    _, number = _host_and_port(port.ingress.default_endpoint if port.ingress else "")
    if number and number != port.target_port:
        cluster.original_dst_lb_config.upstream_port_override.value = number


def _to_address(cluster: Cluster, address: Address) -> None:
    cluster.type = Cluster.STATIC
    endpoint = LbEndpoint(endpoint=Endpoint(address=address))
    cluster.load_assignment.CopyFrom(
        ClusterLoadAssignment(
            cluster_name=cluster.name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        )
    )


def _application(scope: InboundScope, port: InboundPort) -> Address | None:
    """Where the application listens; None: at the address that the client connected to."""
    declared = port.ingress.default_endpoint if port.ingress else ""
    if declared.startswith("unix://"):
        return Address(pipe=Pipe(path=declared.removeprefix("unix://")))
    host, number = _host_and_port(declared)
    loopback = scope.families.loopback
    if host in ("127.0.0.1", "::1"):
        return _socket(host if scope.families is IpFamilies.BOTH else loopback, number)
    if scope.interception is Interception.NONE:
        return _socket(
            loopback, number or dict(scope.app_ports).get(port.target_port, port.target_port)
        )
    if host in _SOURCES and (own := _own_address(scope, host)):
        return _socket(own, number)
    policy = scope.mesh.inbound_traffic_policy
    if policy and policy.mode is InboundTrafficPolicyMode.LOCALHOST:
        return _socket(loopback, port.target_port)
    return None


def _own_address(scope: InboundScope, wildcard: str) -> str:
    """The workload's first address of the wildcard's kind, else its first."""
    alike = (each for each in scope.ips if (":" in each) is (":" in wildcard))
    return next(alike, scope.ip)


def _host_and_port(endpoint: str) -> tuple[str, int]:
    host, _, number = endpoint.rpartition(":")
    return host.strip("[]"), int(number) if number.isdigit() else 0


def _socket(host: str, port: int) -> Address:
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def _connection_pool(port: InboundPort) -> ConnectionPoolSettings | None:
    """The Sidecar's settings, else those of the service's DestinationRule."""
    return port.connection_pool or _destination_pool(port.destination_rule, port.port.number)


def _destination_pool(rule: DestinationRule | None, port: int) -> ConnectionPoolSettings | None:
    policy = rule.spec.traffic_policy if rule else None
    if policy is None:
        return None
    for level in policy.port_level_settings:
        if level.port and level.port.number == port:
            return level.connection_pool
    return policy.connection_pool


def _circuit_breakers(pool: ConnectionPoolSettings | None) -> CircuitBreakers:
    http = pool.http if pool else None
    tcp = pool.tcp if pool else None
    thresholds = CircuitBreakers.Thresholds(track_remaining=True)
    thresholds.max_connections.value = (tcp.max_connections if tcp else None) or _UNLIMITED
    thresholds.max_pending_requests.value = (
        http.http1_max_pending_requests if http else None
    ) or _UNLIMITED
    thresholds.max_requests.value = (http.http2_max_requests if http else None) or _UNLIMITED
    thresholds.max_retries.value = (http.max_retries if http else None) or _UNLIMITED
    return CircuitBreakers(thresholds=[thresholds])


def _speak(cluster: Cluster, protocol: Protocol, pool: ConnectionPoolSettings | None) -> None:
    """What the application hears: HTTP/1.1 or HTTP/2 as declared, else what the client spoke.

    Clients of a declared HTTP port arrive over the mesh's HTTP/2, which says nothing about them,
    unless a DestinationRule keeps them from it. HTTP/1.1 is Envoy's default: where nothing else is
    to be said, nothing is, and an EnvoyFilter may still set ``http2_protocol_options``.
    """
    options = HttpProtocolOptions()
    lifetime = _connection_lifetime(pool)
    as_client = pool is not None and pool.http is not None and pool.http.use_client_protocol
    if protocol.is_http2 or protocol is Protocol.GRPC_WEB:
        options.explicit_http_config.http2_protocol_options.allow_connect = True
    elif protocol.is_http and not as_client:
        if not lifetime.ListFields():
            return
        options.explicit_http_config.http_protocol_options.SetInParent()
    elif protocol.is_http or protocol is Protocol.AUTO:
        options.use_downstream_protocol_config.http_protocol_options.SetInParent()
        options.use_downstream_protocol_config.http2_protocol_options.allow_connect = True
    else:
        return
    options.common_http_protocol_options.CopyFrom(lifetime)
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(typed_config(options))


def _connection_lifetime(pool: ConnectionPoolSettings | None) -> CommonOptions:
    http = pool.http if pool else None
    tcp = pool.tcp if pool else None
    options = CommonOptions()
    idle = (http.idle_timeout if http else None) or (tcp.idle_timeout if tcp else None)
    if idle:
        options.idle_timeout.FromTimedelta(idle.timedelta)
    if http and http.max_requests_per_connection:
        options.max_requests_per_connection.value = http.max_requests_per_connection
    if tcp and tcp.max_connection_duration:
        options.max_connection_duration.FromTimedelta(tcp.max_connection_duration.timedelta)
    return options
