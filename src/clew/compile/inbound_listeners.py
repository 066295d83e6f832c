"""Inbound listeners: one behind traffic capture for all ports, or one per port without it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta

from clew._pb.envoy.config.core.v3.address_pb2 import Address, SocketAddress
from clew._pb.envoy.config.core.v3.base_pb2 import TrafficDirection
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from clew._pb.envoy.config.listener.v3.listener_pb2 import AdditionalAddress, Listener
from clew._pb.envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import (
    HttpInspector,
)
from clew._pb.envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from clew._pb.envoy.extensions.filters.listener.original_src.v3.original_src_pb2 import OriginalSrc
from clew._pb.envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import (
    TlsInspector,
)
from clew._pb.envoy.type.v3.range_pb2 import Int32Range
from clew.compile.access_log import compile_listener_access_log
from clew.compile.downstream_tls import mesh_downstream_socket, server_tls_socket
from clew.compile.http_connection_manager import GRPC_WEB, Direction, HttpFilter, compile_hcm
from clew.compile.inbound_chains import (
    Handling,
    Intake,
    intakes,
    needs_http_inspector,
    needs_tls_inspector,
)
from clew.compile.inbound_routes import compile_inbound_route
from clew.compile.policy_filters import compile_http_policies, compile_network_policies
from clew.compile.tcp_proxy import compile_tcp_proxy, connection_filters
from clew.compile.typed_config import typed_config
from clew.model import names
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception
from clew.model.service import Protocol
from clew.model.sidecar import CaptureMode
from clew.snapshot.scope import InboundPort, InboundScope, MutualTls

# The mark of connections that the proxy makes with the client's address, for the TPROXY rules.
_ORIGINAL_SOURCE_MARK = 1337
_FIRST_UNPRIVILEGED_PORT = 1024
# Leads nowhere, so no policy is about it.
BLACK_HOLE_CHAIN = "virtualInbound-blackhole"


def compile_inbound_listeners(scope: InboundScope) -> tuple[Listener, ...]:
    """The listeners of a sidecar's server side.

    Source: istio ``buildInboundListeners``.
    """
    if scope.interception is Interception.NONE:
        return tuple(_bound_listener(scope, p) for p in scope.ports if _may_bind(p, scope))
    captured = tuple(port for port in scope.ports if not _binds_itself(port))
    bound = tuple(port for port in scope.ports if _binds_itself(port) and _may_bind(port, scope))
    return (
        _virtual_inbound(scope, captured),
        *(_bound_listener(scope, port) for port in bound),
    )


def _may_bind(port: InboundPort, scope: InboundScope) -> bool:
    return not scope.unprivileged or port.target_port >= _FIRST_UNPRIVILEGED_PORT


def _binds_itself(port: InboundPort) -> bool:
    return port.ingress is not None and port.ingress.capture_mode is CaptureMode.NONE


def _virtual_inbound(scope: InboundScope, ports: tuple[InboundPort, ...]) -> Listener:
    """The listener to which all of the workload's inbound traffic is redirected.

    Ports come and go as filter chains, which Envoy replaces in place. Only a port that must not be
    inspected changes the listener itself, and with it every connection.
    """
    mesh = scope.mesh
    main, *more = scope.families.wildcards
    number = mesh.proxy_inbound_listen_port
    listener = _listener(names.VIRTUAL_INBOUND, main, number, mesh)
    listener.additional_addresses.extend(
        AdditionalAddress(address=_address(each, number)) for each in more
    )
    listener.listener_filters.extend(_capture_filters(scope.interception))
    listener.listener_filters.extend(_inspectors(scope, ports))
    if scope.interception is Interception.TPROXY:
        listener.transparent.value = True
    listener.filter_chains.append(_blackhole(mesh))
    listener.filter_chains.extend(_passthrough_chains(scope))
    for port in ports:
        listener.filter_chains.extend(_port_chains(port, port.target_port, scope))
    return listener


def _bound_listener(scope: InboundScope, port: InboundPort) -> Listener:
    """A listener in front of one port of the application, for want of traffic capture."""
    address = (port.ingress.bind if port.ingress else "") or scope.ip or scope.families.wildcards[0]
    name = names.listener(address, port.target_port)
    listener = _listener(name, address, port.target_port, scope.mesh)
    if _inspects_tls(port):
        listener.listener_filters.append(_TLS_INSPECTOR)
    if port.port.protocol is Protocol.AUTO:
        listener.listener_filters.append(_HTTP_INSPECTOR)
    listener.filter_chains.extend(_port_chains(port, None, scope))
    return listener


def _listener(name: str, address: str, port: int, mesh: MeshConfig) -> Listener:
    listener = Listener(
        name=name,
        address=_address(address, port),
        traffic_direction=TrafficDirection.INBOUND,
        continue_on_listener_filters_timeout=True,
        access_log=compile_listener_access_log(mesh),
    )
    timeout = mesh.protocol_detection_timeout
    listener.listener_filters_timeout.FromTimedelta(timeout.timedelta if timeout else timedelta(0))
    return listener


def _address(address: str, port: int) -> Address:
    return Address(socket_address=SocketAddress(address=address, port_value=port))


def _listener_filter(
    name: str, config: HttpInspector | OriginalDst | OriginalSrc | TlsInspector
) -> ListenerFilter:
    return ListenerFilter(name=name, typed_config=typed_config(config))


_TLS_INSPECTOR = _listener_filter(
    "envoy.filters.listener.tls_inspector", TlsInspector(initial_read_buffer_size={"value": 512})
)
_HTTP_INSPECTOR = _listener_filter("envoy.filters.listener.http_inspector", HttpInspector())
_ORIGINAL_DST = _listener_filter("envoy.filters.listener.original_dst", OriginalDst())
_ORIGINAL_SRC = _listener_filter(
    "envoy.filters.listener.original_src", OriginalSrc(mark=_ORIGINAL_SOURCE_MARK)
)


def _capture_filters(interception: Interception) -> tuple[ListenerFilter, ...]:
    if interception is Interception.TPROXY:
        return (_ORIGINAL_DST, _ORIGINAL_SRC)
    return (_ORIGINAL_DST,)


def _inspectors(scope: InboundScope, ports: tuple[InboundPort, ...]) -> list[ListenerFilter]:
    inspects = {n: needs_tls_inspector(mode) for n, mode in scope.passthrough_port_mutual_tls}
    inspects |= {p.target_port: _inspects_tls(p) for p in ports}
    not_http = {p.target_port for p in ports if not needs_http_inspector(p.port.protocol)}
    tls = {number for number, wanted in inspects.items() if wanted}
    if needs_tls_inspector(scope.passthrough_mutual_tls):
        return [_except(_TLS_INSPECTOR, inspects.keys() - tls), _except(_HTTP_INSPECTOR, not_http)]
    # Where TLS is nobody's business, a connection that starts with it is like any other.
    found = [_only(_TLS_INSPECTOR, tls)] if tls else []
    return [*found, _except(_HTTP_INSPECTOR, not_http)]


def _except(inspector: ListenerFilter, ports: Collection[int]) -> ListenerFilter:
    """``inspector``, switched off for ``ports``."""
    if not ports:
        return inspector
    return _disabled(inspector, _any_of(sorted(ports)))


def _only(inspector: ListenerFilter, ports: Collection[int]) -> ListenerFilter:
    """``inspector``, switched off for all but ``ports``."""
    others = ListenerFilterChainMatchPredicate(not_match=_any_of(sorted(ports)))
    return _disabled(inspector, others)


def _disabled(
    inspector: ListenerFilter, where: ListenerFilterChainMatchPredicate
) -> ListenerFilter:
    disabled = ListenerFilter()
    disabled.CopyFrom(inspector)
    disabled.filter_disabled.CopyFrom(where)
    return disabled


def _any_of(ports: list[int]) -> ListenerFilterChainMatchPredicate:
    rules = [
        ListenerFilterChainMatchPredicate(
            destination_port_range=Int32Range(start=port, end=port + 1)
        )
        for port in ports
    ]
    if len(rules) == 1:
        return rules[0]
    return ListenerFilterChainMatchPredicate(
        or_match=ListenerFilterChainMatchPredicate.MatchSet(rules=rules)
    )


def _blackhole(mesh: MeshConfig) -> FilterChain:
    """Connections to the listener's own port: passed on, they would come back for ever."""
    match = FilterChainMatch()
    match.destination_port.value = mesh.proxy_inbound_listen_port
    cluster = names.BLACK_HOLE_CLUSTER
    return FilterChain(
        name=BLACK_HOLE_CHAIN,
        filter_chain_match=match,
        filters=[compile_tcp_proxy(stat_prefix=cluster, clusters=[(cluster, 1)], mesh=mesh)],
    )


def _passthrough_chains(scope: InboundScope) -> Iterator[FilterChain]:
    """Chains of ports that no service declares, those with an mTLS mode of their own last."""
    covered = {port.target_port for port in scope.ports}
    modes: list[tuple[int | None, MutualTls]] = [(None, scope.passthrough_mutual_tls)]
    modes += [(n, mode) for n, mode in scope.passthrough_port_mutual_tls if n not in covered]
    for number, mode in modes:
        for intake in intakes(mode, Protocol.AUTO):
            http = intake.handling is Handling.HTTP
            yield _chain(
                name="virtualInbound-catchall-http" if http else names.VIRTUAL_INBOUND,
                match=intake.match(number),
                intake=intake,
                filters=_passthrough_filters(intake, number or 0, scope),
                mesh=scope.mesh,
            )


def _passthrough_filters(intake: Intake, number: int, scope: InboundScope) -> list[Filter]:
    cluster, mesh = names.INBOUND_PASSTHROUGH_CLUSTER, scope.mesh
    if intake.handling is Handling.TCP:
        forwarding = compile_tcp_proxy(stat_prefix=cluster, clusters=[(cluster, 1)], mesh=mesh)
        return [*compile_network_policies(scope.authorization, mesh), forwarding]
    routes = compile_inbound_route(
        cluster=cluster,
        port=number,
        operation=f"{cluster}/*",
        protocol=Protocol.AUTO,
        mesh=mesh,
    )
    manager = compile_hcm(
        stat_prefix=cluster,
        route_config=routes,
        direction=Direction.INBOUND,
        mesh=mesh,
        extra_filters=_http_policies(scope),
    )
    return [manager]


def _http_policies(scope: InboundScope) -> tuple[HttpFilter, ...]:
    return compile_http_policies(scope.authorization, scope.token_rules, scope.mesh, router=False)


def _port_chains(
    port: InboundPort, match: int | None, scope: InboundScope
) -> Iterator[FilterChain]:
    """The chains of one port, matched by the port ``match`` unless it has its own listener."""
    for intake in _port_intakes(port):
        chain = _chain(
            name=names.listener("0.0.0.0", port.target_port),
            match=intake.match(match),
            intake=intake,
            filters=_port_filters(port, intake, scope),
            mesh=scope.mesh,
        )
        _end_users_tls(chain, port, scope.mesh)
        yield chain


def _port_intakes(port: InboundPort) -> tuple[Intake, ...]:
    if _ends_users_tls(port):
        handling = Handling.HTTP if port.port.protocol.is_http else Handling.TCP
        return (Intake(handling, "tls"),)
    return intakes(port.mutual_tls, port.port.protocol)


def _ends_users_tls(port: InboundPort) -> bool:
    """Source: Istio: ``Sidecar.ingress.tls`` counts where mesh mTLS is disabled."""
    ingress = port.ingress
    return ingress is not None and ingress.tls is not None and port.mutual_tls is MutualTls.DISABLE


def _inspects_tls(port: InboundPort) -> bool:
    return needs_tls_inspector(port.mutual_tls) or _ends_users_tls(port)


def _end_users_tls(chain: FilterChain, port: InboundPort, mesh: MeshConfig) -> None:
    if not _ends_users_tls(port) or port.ingress is None or port.ingress.tls is None:
        return
    socket = server_tls_socket(port.ingress.tls, mesh, http=port.port.protocol.is_http)
    if socket is not None:
        chain.transport_socket.CopyFrom(socket)


def _chain(
    *,
    name: str,
    match: FilterChainMatch,
    intake: Intake,
    filters: list[Filter],
    mesh: MeshConfig,
) -> FilterChain:
    chain = FilterChain(name=name, filter_chain_match=match, filters=filters)
    if intake.mutual_tls:
        chain.transport_socket.CopyFrom(mesh_downstream_socket(mesh))
    return chain


def _port_filters(port: InboundPort, intake: Intake, scope: InboundScope) -> list[Filter]:
    cluster, mesh = names.inbound_cluster(port.target_port), scope.mesh
    if intake.handling is Handling.TCP:
        forwarding = compile_tcp_proxy(stat_prefix=cluster, clusters=[(cluster, 1)], mesh=mesh)
        guarding = compile_network_policies(scope.authorization, mesh)
        return [*guarding, *connection_filters(port.port.protocol, forwarding, cluster)]
    routes = compile_inbound_route(
        cluster=cluster,
        port=port.port.number,
        operation=f"{port.service.hostname}:{port.port.number}/*",
        protocol=port.port.protocol,
        mesh=mesh,
    )
    translation = (GRPC_WEB,) if port.port.protocol is Protocol.GRPC_WEB else ()
    manager = compile_hcm(
        stat_prefix=f"inbound_0.0.0.0_{port.target_port};.",
        route_config=routes,
        direction=Direction.INBOUND,
        mesh=mesh,
        extra_filters=(*_http_policies(scope), *translation),
    )
    return [manager]
