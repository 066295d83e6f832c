"""The listeners of a router: one per port and address that its Gateways declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from clew._pb.envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from clew._pb.envoy.config.core.v3.base_pb2 import TrafficDirection
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
)
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import (
    ProxyProtocol,
)
from clew._pb.envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import (
    TlsInspector,
)
from clew.compile.access_log import compile_listener_access_log
from clew.compile.destinations import destination_cluster
from clew.compile.downstream_tls import server_tls_socket
from clew.compile.gateway_servers import (
    GatewayPort,
    ServerKind,
    gateway_name,
    merge_servers,
    route_name,
    routed_hosts,
    server_hosts,
    server_kind,
)
from clew.compile.http_connection_manager import Direction, compile_hcm
from clew.compile.tcp_proxy import compile_tcp_proxy
from clew.compile.typed_config import typed_config
from clew.model.mesh_config import MeshConfig
from clew.model.service import Service
from clew.model.virtual_service import (
    L4MatchAttributes,
    RouteDestination,
    TLSMatchAttributes,
    VirtualService,
)
from clew.snapshot.hosts import covers
from clew.snapshot.scope import GatewayScope, GatewayServer

_TLS_INSPECTOR = ListenerFilter(
    name="envoy.filters.listener.tls_inspector", typed_config=typed_config(TlsInspector())
)
_PROXY_PROTOCOL = ListenerFilter(
    name="envoy.filters.listener.proxy_protocol", typed_config=typed_config(ProxyProtocol())
)
_FIRST_UNPRIVILEGED_PORT = 1024
# A client that does not finish its TLS handshake must not hold a connection for ever.
_HANDSHAKE_TIMEOUT = timedelta(seconds=15)


def compile_gateway_listeners(
    scope: GatewayScope, services: Mapping[str, Service]
) -> tuple[Listener, ...]:
    """The listeners of a router; ports with nothing to do, or that it may not bind, are left out.

    ``services`` by hostname resolve the ports of TCP and TLS destinations.

    Source: istio ``buildGatewayListeners``.
    """
    ports = (
        port
        for port in merge_servers(scope.servers)
        if not (scope.unprivileged and 0 < port.port < _FIRST_UNPRIVILEGED_PORT)
    )
    compiled = (_listener(port, scope, services) for port in ports)
    return tuple(listener for listener in compiled if listener.filter_chains)


def _listener(port: GatewayPort, scope: GatewayScope, services: Mapping[str, Service]) -> Listener:
    mesh = scope.mesh
    listener = Listener(
        name=port.name,
        address=_address(port, scope.bind_address),
        traffic_direction=TrafficDirection.OUTBOUND,
        continue_on_listener_filters_timeout=True,
        access_log=compile_listener_access_log(mesh),
    )
    topology = mesh.default_config.gateway_topology if mesh.default_config else None
    if topology and topology.proxy_protocol is not None:
        listener.listener_filters.append(_PROXY_PROTOCOL)
    listener.filter_chains.extend(_distinct(_chains(port, mesh, services)))
    if any(chain.filter_chain_match.server_names for chain in listener.filter_chains):
        listener.listener_filters.append(_TLS_INSPECTOR)
    return listener


def _address(port: GatewayPort, bind_address: str) -> Address:
    if port.bind.startswith("unix://"):
        return Address(pipe=Pipe(path=port.bind.removeprefix("unix://")))
    host = port.bind or bind_address or "0.0.0.0"
    return Address(socket_address=SocketAddress(address=host, port_value=port.port))


def _distinct(chains: Iterable[FilterChain]) -> Iterator[FilterChain]:
    """``chains`` without those whose names or absence of names came before.

    Envoy refuses a listener in which two chains match the same.
    """
    taken: set[str] = set()
    for chain in chains:
        wanted = list(chain.filter_chain_match.server_names) or [""]
        free = [name for name in wanted if name not in taken]
        if not free:
            continue
        taken.update(free)
        if free != wanted:
            chain.filter_chain_match.server_names[:] = free
        yield chain


def _chains(
    port: GatewayPort, mesh: MeshConfig, services: Mapping[str, Service]
) -> Iterator[FilterChain]:
    if server_kind(port.servers[0]) is ServerKind.HTTP:
        # All plaintext HTTP servers of a listener share one chain and one set of routes.
        yield FilterChain(filters=[_http(port.servers[0], mesh)])
        return
    for server in port.servers:
        yield from _server_chains(server, mesh, services)


def _server_chains(
    server: GatewayServer, mesh: MeshConfig, services: Mapping[str, Service]
) -> Iterator[FilterChain]:
    match server_kind(server):
        case ServerKind.HTTPS:
            yield _terminated(server, _http(server, mesh), mesh)
        case ServerKind.TLS:
            for tcp in _tcp_filters(server, mesh, services):
                yield _terminated(server, tcp, mesh)
        case ServerKind.PASSTHROUGH:
            yield from _passthrough_chains(server, mesh, services)
        case _:
            for tcp in _tcp_filters(server, mesh, services):
                yield FilterChain(filters=[tcp])


def _http(server: GatewayServer, mesh: MeshConfig) -> Filter:
    return compile_hcm(
        stat_prefix=f"outbound_0.0.0.0_{server.listen_port};.",
        rds_name=route_name(server),
        direction=Direction.GATEWAY,
        mesh=mesh,
    )


def _terminated(server: GatewayServer, inside: Filter, mesh: MeshConfig) -> FilterChain:
    chain = FilterChain(
        name=route_name(server),
        filter_chain_match=_server_names(server_hosts(server)),
        filters=[inside],
    )
    if server.server.tls is not None:
        socket = server_tls_socket(
            server.server.tls, mesh, http=server_kind(server) is ServerKind.HTTPS
        )
        if socket is not None:
            chain.transport_socket.CopyFrom(socket)
            chain.transport_socket_connect_timeout.FromTimedelta(_HANDSHAKE_TIMEOUT)
    return chain


def _server_names(hosts: Sequence[str]) -> FilterChainMatch:
    # "*" is the absence of a condition: Envoy has no wildcard for all names.
    return FilterChainMatch(server_names=[] if "*" in hosts else hosts)


def _tcp_filters(
    server: GatewayServer, mesh: MeshConfig, services: Mapping[str, Service]
) -> Iterator[Filter]:
    """The TCP proxy of the first route that is meant for this server, if there is one."""
    for service in server.virtual_services:
        if not routed_hosts(server, service):
            continue
        for route in service.spec.tcp:
            if not route.match or any(_applies(server, match) for match in route.match):
                yield _tcp_proxy(server, service, route.route, mesh, services)
                return


def _passthrough_chains(
    server: GatewayServer, mesh: MeshConfig, services: Mapping[str, Service]
) -> Iterator[FilterChain]:
    """One chain per SNI match of the VirtualServices; the TLS inside is not touched."""
    for service in server.virtual_services:
        hosts = routed_hosts(server, service)
        for route in service.spec.tls if hosts else ():
            for match in route.match:
                names = [sni for sni in match.sni_hosts if _within(sni, server)]
                if names and _applies(server, match):
                    yield FilterChain(
                        filter_chain_match=_server_names(names),
                        filters=[_tcp_proxy(server, service, route.route, mesh, services)],
                    )


def _within(sni: str, server: GatewayServer) -> bool:
    return any(covers(host, sni.lower()) for host in server_hosts(server))


def _applies(server: GatewayServer, match: L4MatchAttributes | TLSMatchAttributes) -> bool:
    return (match.port is None or match.port == server.server.port.number) and (
        not match.gateways or gateway_name(server) in match.gateways
    )


def _tcp_proxy(
    server: GatewayServer,
    service: VirtualService,
    destinations: Sequence[RouteDestination],
    mesh: MeshConfig,
    services: Mapping[str, Service],
) -> Filter:
    clusters = [
        (
            destination_cluster(each.destination, services, server.server.port.number),
            1 if each.weight is None else each.weight,
        )
        for each in destinations
    ]
    weighted = [cluster for cluster in clusters if cluster[1] > 0] or clusters[:1]
    meta = service.metadata
    prefix = weighted[0][0] if len(weighted) == 1 else f"{meta.name}.{meta.namespace}"
    return compile_tcp_proxy(stat_prefix=prefix, clusters=weighted, mesh=mesh)
