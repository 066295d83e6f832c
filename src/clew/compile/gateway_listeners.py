"""The listeners of a router: one per port and address that its Gateways declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from clew._pb.envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from clew._pb.envoy.config.core.v3.base_pb2 import TrafficDirection, TransportSocket
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    ListenerFilter,
)
from clew._pb.envoy.config.listener.v3.listener_pb2 import AdditionalAddress, Listener
from clew._pb.envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import (
    ProxyProtocol,
)
from clew._pb.envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import (
    TlsInspector,
)
from clew.compile.access_log import compile_listener_access_log
from clew.compile.downstream_tls import quic_socket, server_tls_socket
from clew.compile.gateway_connections import (
    Known,
    compile_connections,
    compile_passthrough,
    compile_terminated,
    server_name_match,
)
from clew.compile.gateway_datagrams import compile_datagrams
from clew.compile.gateway_servers import (
    GatewayPort,
    ServerKind,
    merge_servers,
    route_name,
    server_hosts,
    server_kind,
    speaks_http3,
)
from clew.compile.http_connection_manager import Direction, compile_hcm
from clew.compile.policy_filters import compile_http_policies, compile_network_policies
from clew.compile.typed_config import typed_config
from clew.model.mesh_config import MeshConfig
from clew.snapshot.scope import GatewayScope, GatewayServer

_TLS_INSPECTOR = ListenerFilter(
    name="envoy.filters.listener.tls_inspector", typed_config=typed_config(TlsInspector())
)
_PROXY_PROTOCOL = ListenerFilter(
    name="envoy.filters.listener.proxy_protocol", typed_config=typed_config(ProxyProtocol())
)
_FIRST_UNPRIVILEGED_PORT = 1024
HTTP_CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"
# A client that does not finish its TLS handshake must not hold a connection for ever.
_HANDSHAKE_TIMEOUT = timedelta(seconds=15)


def compile_gateway_listeners(scope: GatewayScope, known: Known) -> tuple[Listener, ...]:
    """The listeners of a router; ports with nothing to do, or that it may not bind, are left out.

    Source: istio ``buildGatewayListeners``.
    """
    ports = [
        port
        for port in merge_servers(scope.servers)
        if not (scope.unprivileged and 0 < port.port < _FIRST_UNPRIVILEGED_PORT)
    ]
    datagrams = [port for port in ports if port.is_udp]
    taken = {(port.port, port.bind) for port in datagrams}
    streams = [port for port in ports if not port.is_udp]
    compiled = [_listener(port, scope, known) for port in streams]
    compiled += [_quic_listener(p, scope) for p in streams if (p.port, p.bind) not in taken]
    return (
        *(listener for listener in compiled if listener.filter_chains),
        *(each for port in datagrams for each in _datagram_listeners(port, scope)),
    )


def _listener(port: GatewayPort, scope: GatewayScope, known: Known) -> Listener:
    mesh = scope.mesh
    main, *more = _addresses(port, scope)
    listener = Listener(
        name=port.name,
        address=main,
        additional_addresses=[AdditionalAddress(address=each) for each in more],
        traffic_direction=TrafficDirection.OUTBOUND,
        continue_on_listener_filters_timeout=True,
        access_log=compile_listener_access_log(mesh),
    )
    topology = mesh.default_config.gateway_topology if mesh.default_config else None
    if topology and topology.proxy_protocol is not None:
        listener.listener_filters.append(_PROXY_PROTOCOL)
    listener.filter_chains.extend(_distinct(_chains(port, scope, known)))
    _guard_connections(listener, scope)
    if any(chain.filter_chain_match.server_names for chain in listener.filter_chains):
        listener.listener_filters.append(_TLS_INSPECTOR)
    return listener


def _guard_connections(listener: Listener, scope: GatewayScope) -> None:
    """Put what policies ask for in front of whatever forwards connections."""
    guarding = compile_network_policies(scope.authorization, scope.mesh)
    for chain in listener.filter_chains if guarding else ():
        if all(each.name != HTTP_CONNECTION_MANAGER for each in chain.filters):
            filters = [*guarding, *chain.filters]
            del chain.filters[:]
            chain.filters.extend(filters)


def _quic_listener(port: GatewayPort, scope: GatewayScope) -> Listener:
    """The same port for HTTP/3, to which responses over TCP invite."""
    listener = _udp_listener(port, scope)
    listener.udp_listener_config.quic_options.SetInParent()
    listener.udp_listener_config.downstream_socket_config.prefer_gro.value = True
    listener.filter_chains.extend(_distinct(_quic_chains(port, scope)))
    return listener


def _datagram_listeners(port: GatewayPort, scope: GatewayScope) -> Iterator[Listener]:
    for forwarding in compile_datagrams(port.servers[0]):
        listener = _udp_listener(port, scope)
        listener.listener_filters.append(forwarding)
        yield listener


def _udp_listener(port: GatewayPort, scope: GatewayScope) -> Listener:
    main, *more = _addresses(port, scope)
    listener = Listener(
        name=f"udp_{port.name}",
        address=main,
        additional_addresses=[AdditionalAddress(address=each) for each in more],
        traffic_direction=TrafficDirection.OUTBOUND,
        access_log=compile_listener_access_log(scope.mesh),
    )
    for address in (listener.address, *(more.address for more in listener.additional_addresses)):
        address.socket_address.protocol = SocketAddress.UDP
    listener.udp_listener_config.SetInParent()
    return listener


def _addresses(port: GatewayPort, scope: GatewayScope) -> list[Address]:
    """Where the port is bound: as declared, else at the router's place, else everywhere."""
    if port.bind.startswith("unix://"):
        return [Address(pipe=Pipe(path=port.bind.removeprefix("unix://")))]
    own = port.bind or scope.bind_address
    return [
        Address(socket_address=SocketAddress(address=each, port_value=port.port))
        for each in ((own,) if own else scope.families.wildcards)
    ]


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


def _chains(port: GatewayPort, scope: GatewayScope, known: Known) -> Iterator[FilterChain]:
    if server_kind(port.servers[0]) is ServerKind.HTTP:
        # All plaintext HTTP servers of a listener share one chain and one set of routes.
        yield FilterChain(filters=[_http(port.servers[0], scope)])
        return
    for server in port.servers:
        yield from _server_chains(server, scope, known)


def _server_chains(
    server: GatewayServer, scope: GatewayScope, known: Known
) -> Iterator[FilterChain]:
    match server_kind(server):
        case ServerKind.HTTPS:
            yield _terminated(server, _http(server, scope), known.mesh)
        case ServerKind.TLS:
            for chain in compile_terminated(server, known):
                yield _with_tls(chain, server, known.mesh)
            for forwarding in compile_connections(server, known):
                yield _terminated(server, forwarding, known.mesh)
        case ServerKind.PASSTHROUGH:
            yield from compile_passthrough(server, known)
        case _:
            for forwarding in compile_connections(server, known):
                yield FilterChain(filters=[forwarding])


def _quic_chains(port: GatewayPort, scope: GatewayScope) -> Iterator[FilterChain]:
    for server in port.servers:
        tls = server.server.tls
        if tls is not None and speaks_http3(server):
            manager = _http(server, scope, http3=True)
            yield _ending_tls(server, manager, quic_socket(tls, scope.mesh))


def _http(server: GatewayServer, scope: GatewayScope, *, http3: bool = False) -> Filter:
    return compile_hcm(
        stat_prefix=server.server.name or f"outbound_0.0.0.0_{server.listen_port};.",
        rds_name=route_name(server),
        direction=Direction.GATEWAY,
        mesh=scope.mesh,
        extra_filters=compile_http_policies(
            scope.authorization, scope.token_rules, scope.mesh, router=True
        ),
        http3=http3,
    )


def _terminated(server: GatewayServer, inside: Filter, mesh: MeshConfig) -> FilterChain:
    return _ending_tls(server, inside, _socket(server, mesh))


def _socket(server: GatewayServer, mesh: MeshConfig) -> TransportSocket | None:
    tls = server.server.tls
    http = server_kind(server) is ServerKind.HTTPS
    return server_tls_socket(tls, mesh, http=http) if tls is not None else None


def _with_tls(chain: FilterChain, server: GatewayServer, mesh: MeshConfig) -> FilterChain:
    socket = _socket(server, mesh)
    if socket is not None:
        chain.transport_socket.CopyFrom(socket)
        chain.transport_socket_connect_timeout.FromTimedelta(_HANDSHAKE_TIMEOUT)
    return chain


def _ending_tls(
    server: GatewayServer, inside: Filter, socket: TransportSocket | None
) -> FilterChain:
    chain = FilterChain(
        name=route_name(server),
        filter_chain_match=server_name_match(server_hosts(server)),
        filters=[inside],
        transport_socket=socket,
    )
    if socket is not None:
        chain.transport_socket_connect_timeout.FromTimedelta(_HANDSHAKE_TIMEOUT)
    return chain
