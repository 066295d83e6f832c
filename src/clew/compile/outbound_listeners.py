"""Outbound listeners as Envoy's messages: what each is made of, given what it serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from clew._pb.envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from clew._pb.envoy.config.core.v3.base_pb2 import TrafficDirection
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import (
    FilterChain,
    FilterChainMatch,
)
from clew._pb.envoy.config.listener.v3.listener_pb2 import AdditionalAddress, Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.access_log import compile_listener_access_log
from clew.compile.dynamic_forward_proxy import FORWARD_TO_NAMED_HOST
from clew.compile.http_connection_manager import GRPC_WEB, OFFER_HTTP, Direction, compile_hcm
from clew.compile.listener_filters import HTTP_INSPECTOR, inspectors
from clew.compile.resources import NOTHING, resource
from clew.compile.tcp_proxy import compile_tcp_proxy
from clew.compile.tcp_routes import Chain
from clew.compile.unknown_traffic import RESOLVING_CLUSTER, unknown_connections
from clew.compile.virtual_hosts import resolving_host
from clew.model import names
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import IpFamilies
from clew.model.xds import EnvoyResource

# What the HTTP inspector finds in plaintext.
_PLAIN_HTTP = ("http/1.1", "h2c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A listener without what it forwards. ``address``: an IP, or the path of a Unix socket.

    ``captured``: connections are handed over by the virtual listener, nothing is bound.
    """

    address: str
    port: int
    more_addresses: tuple[str, ...] = ()
    captured: bool = True

    @property
    def name(self) -> str:
        return names.listener(self.address, self.port) if self.port else self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSide:
    """How a listener speaks HTTP.

    ``detects``: services whose protocol is not declared are behind it. ``names_hosts``: requests
    may name hosts that the proxy must resolve. ``only``: whatever comes is HTTP.
    """

    routes: str
    detects: bool = False
    grpc_web: bool = False
    names_hosts: bool = False
    only: bool = False


def virtual_outbound(
    mesh: MeshConfig, unknown: str, transparent: bool, families: IpFamilies
) -> EnvoyResource:
    """The listener to which all outbound traffic is redirected.

    It hands connections to the listener of their original destination; those that have none go
    where unknown ones go; ``unknown`` is the cluster of unknown requests. Connections to the
    listener itself would come back for ever.
    Source: istio ``buildVirtualOutboundListener``.
    """
    main, *more = families.wildcards
    port = mesh.proxy_listen_port
    listener = Listener(
        name=names.VIRTUAL_OUTBOUND,
        address=_address(main, port),
        additional_addresses=[AdditionalAddress(address=_address(each, port)) for each in more],
        traffic_direction=TrafficDirection.OUTBOUND,
        access_log=compile_listener_access_log(mesh),
    )
    listener.use_original_dst.value = True
    if transparent:
        listener.transparent.value = True
    loop = FilterChainMatch()
    loop.destination_port.value = mesh.proxy_listen_port
    cluster = unknown_connections(unknown)
    listener.filter_chains.append(
        _forwarding("virtualOutbound-blackhole", names.BLACK_HOLE_CLUSTER, mesh, loop)
    )
    if unknown == RESOLVING_CLUSTER:
        listener.filter_chains.append(_resolving(mesh))
        listener.listener_filters.append(HTTP_INSPECTOR)
    listener.filter_chains.append(_forwarding("virtualOutbound-catchall-tcp", cluster, mesh, None))
    return resource(listener.name, listener, uses=frozenset({cluster, names.BLACK_HOLE_CLUSTER}))


def compile_listener(
    frame: Frame,
    http: HttpSide | None,
    unknown: str,
    mesh: MeshConfig,
    *chains: tuple[Chain, ...],
) -> EnvoyResource:
    """One outbound listener: HTTP if any, then connections by address and name, then the rest.

    Of chains that would take the same connections the first counts. Fields of the listener itself
    depend only on ports and protocols: changing them would drain all its connections.
    Source: istio ``buildListener`` and ``mergeTCPFilterChains``.
    """
    listener = _listener(frame, mesh)
    distinct = list(_distinct(chains))
    for chain in distinct:
        if chain.key:
            listener.filter_chains.append(chain.message)
    fallback = next((chain.message for chain in distinct if not chain.key), None)
    uses = frozenset[str]().union(*(chain.uses for chain in distinct))
    if http is not None:
        listener.filter_chains.append(_http_chain(frame, http, mesh))
        if fallback is None and not http.only:
            cluster = unknown_connections(unknown)
            fallback = _forwarding("PassthroughFilterChain", cluster, mesh, None)
            uses |= {cluster}
    elif fallback is None:
        cluster = unknown_connections(unknown)
        fallback = _forwarding("PassthroughFilterChain", cluster, mesh, None)
        uses |= {cluster}
    if fallback is not None:
        listener.default_filter_chain.CopyFrom(fallback)
    _inspect(listener, mesh)
    sources = frozenset[str]().union(*(chain.sources for chain in distinct))
    return resource(listener.name, listener, uses=uses, sources=sources or NOTHING)


def _distinct(groups: Sequence[tuple[Chain, ...]]) -> Iterator[Chain]:
    seen: set[bytes] = set()
    for chains in groups:
        for chain in chains:
            if chain.key not in seen:
                seen.add(chain.key)
                yield chain


def _listener(frame: Frame, mesh: MeshConfig) -> Listener:
    listener = Listener(
        name=frame.name,
        address=_address(frame.address, frame.port),
        additional_addresses=[
            AdditionalAddress(address=_address(address, frame.port))
            for address in frame.more_addresses
        ],
        traffic_direction=TrafficDirection.OUTBOUND,
        access_log=compile_listener_access_log(mesh),
    )
    if frame.captured:
        listener.bind_to_port.value = False
    return listener


def _address(address: str, port: int) -> Address:
    if not port:
        return Address(pipe=Pipe(path=address.removeprefix("unix://")))
    return Address(socket_address=SocketAddress(address=address, port_value=port))


def _http_chain(frame: Frame, http: HttpSide, mesh: MeshConfig) -> FilterChain:
    prefix = f"outbound_{names.listener(frame.address, frame.port)};."
    extra = [
        *([GRPC_WEB] if http.grpc_web else []),
        *([OFFER_HTTP] if http.detects else []),
        *([FORWARD_TO_NAMED_HOST] if http.names_hosts else []),
    ]
    manager = compile_hcm(
        stat_prefix=prefix,
        rds_name=http.routes,
        direction=Direction.OUTBOUND,
        mesh=mesh,
        extra_filters=tuple(extra),
        allow_absolute_url=http.only,
    )
    chain = FilterChain(filters=[manager])
    if not http.only:
        # So anything else on the port passes as it is.
        chain.filter_chain_match.application_protocols.extend(_PLAIN_HTTP)
        chain.filter_chain_match.transport_protocol = "raw_buffer"
    return chain


def _resolving(mesh: MeshConfig) -> FilterChain:
    """HTTP to an unknown address goes to the host that the request names."""
    routes = RouteConfiguration(
        name=RESOLVING_CLUSTER, virtual_hosts=[resolving_host()], ignore_port_in_host_matching=True
    )
    routes.validate_clusters.value = False
    manager = compile_hcm(
        stat_prefix=RESOLVING_CLUSTER,
        route_config=routes,
        direction=Direction.OUTBOUND,
        mesh=mesh,
        extra_filters=(FORWARD_TO_NAMED_HOST,),
    )
    match = FilterChainMatch(application_protocols=_PLAIN_HTTP)
    return FilterChain(
        name="virtualOutbound-catchall-tcp-http", filter_chain_match=match, filters=[manager]
    )


def _forwarding(
    name: str, cluster: str, mesh: MeshConfig, match: FilterChainMatch | None
) -> FilterChain:
    proxy = compile_tcp_proxy(stat_prefix=cluster, clusters=[(cluster, 1)], mesh=mesh)
    return FilterChain(name=name, filter_chain_match=match, filters=[proxy])


def _inspect(listener: Listener, mesh: MeshConfig) -> None:
    listener.listener_filters.extend(
        inspectors(chain.filter_chain_match for chain in listener.filter_chains)
    )
    if listener.listener_filters:
        timeout = mesh.protocol_detection_timeout
        listener.continue_on_listener_filters_timeout = True
        listener.listener_filters_timeout.FromTimedelta(
            timeout.timedelta if timeout is not None else timedelta(0)
        )
