"""A router's filter chains that forward connections: TCP, TLS by server name, mTLS passed on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
)
from clew.compile.clusters import cluster_names
from clew.compile.gateway_servers import gateway_name, routed_hosts, server_hosts
from clew.compile.inbound_chains import MESH_PROTOCOLS
from clew.compile.sni_clusters import sni_name
from clew.compile.tcp_proxy import compile_tcp_proxy
from clew.compile.tcp_routes import compile_forwarding
from clew.model.destination_rule import DestinationRule
from clew.model.gateway import ServerTLSMode
from clew.model.mesh_config import MeshConfig
from clew.model.route_semantics import is_of_gateway_api
from clew.model.service import Protocol, Resolution, Service
from clew.model.virtual_service import (
    L4MatchAttributes,
    RouteDestination,
    TLSMatchAttributes,
    VirtualService,
)
from clew.snapshot.hosts import covers
from clew.snapshot.scope import GatewayServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a router knows of destinations, by hostname."""

    services: Mapping[str, Service]
    destination_rules: Mapping[str, DestinationRule]
    mesh: MeshConfig


def compile_connections(server: GatewayServer, known: Known) -> Iterator[Filter]:
    """The TCP proxy of the first rule that is meant for this server, if there is one."""
    for service, destinations in first_rule(server):
        yield _forwarding(server, service, destinations, known)


def first_rule(
    server: GatewayServer,
) -> Iterator[tuple[VirtualService, tuple[RouteDestination, ...]]]:
    """Yield the first rule that is meant for all that comes to this server, if there is one."""
    for service in server.virtual_services:
        if not routed_hosts(server, service):
            continue
        for route in service.spec.tcp:
            if not route.route:
                continue
            if not route.match or any(_applies(server, match) for match in route.match):
                yield service, route.route
                return


def _forwarding(
    server: GatewayServer,
    service: VirtualService,
    destinations: Sequence[RouteDestination],
    known: Known,
) -> Filter:
    return compile_forwarding(
        service,
        destinations,
        server.server.port.number,
        known.services,
        known.destination_rules,
        known.mesh,
    )


def compile_passthrough(server: GatewayServer, known: Known) -> Iterator[FilterChain]:
    """The chains of a server that does not end TLS."""
    tls = server.server.tls
    if tls is not None and tls.mode is ServerTLSMode.AUTO_PASSTHROUGH:
        yield from _mesh_chains(server, known)
        return
    yield from _named_chains(server, server.virtual_services, known)


def compile_terminated(server: GatewayServer, known: Known) -> Iterator[FilterChain]:
    """The chains of a server that ends TLS, by the name that its clients ask for.

    Only a TLSRoute of the Gateway API looks at names there.
    """
    routes = (service for service in server.virtual_services if is_of_gateway_api(service))
    yield from _named_chains(server, routes, known)


def _named_chains(
    server: GatewayServer, services: Iterable[VirtualService], known: Known
) -> Iterator[FilterChain]:
    for service in services:
        for route in service.spec.tls if routed_hosts(server, service) else ():
            for match in route.match if route.route else ():
                if _applies(server, match):
                    yield FilterChain(
                        filter_chain_match=server_name_match(match.sni_hosts),
                        filters=[_forwarding(server, service, route.route, known)],
                    )


def server_name_match(hosts: tuple[str, ...]) -> FilterChainMatch:
    # "*" is the absence of a condition: Envoy has no wildcard for all names.
    lower = tuple(dict.fromkeys(host.lower() for host in hosts))
    return FilterChainMatch(server_names=[] if "*" in lower else lower)


def _mesh_chains(server: GatewayServer, known: Known) -> Iterator[FilterChain]:
    """One chain for each cluster that a mesh client may name in its handshake.

    Source: istio ``builtAutoPassthroughFilterChains``.
    """
    allowed = server_hosts(server)
    for service in known.services.values():
        hidden = service.mesh_external or service.resolution is Resolution.ALIAS
        if hidden or not any(covers(host, service.hostname.lower()) for host in allowed):
            continue
        rule = known.destination_rules.get(service.hostname)
        for port in service.ports:
            if port.protocol is not Protocol.UDP:
                for _, subset in cluster_names(service, port, rule):
                    yield _mesh_chain(sni_name(service, port, subset), known.mesh)


def _mesh_chain(cluster: str, mesh: MeshConfig) -> FilterChain:
    return FilterChain(
        filter_chain_match=FilterChainMatch(
            server_names=[cluster.lower()], application_protocols=MESH_PROTOCOLS
        ),
        filters=[compile_tcp_proxy(stat_prefix=cluster, clusters=[(cluster, 1)], mesh=mesh)],
    )


def _applies(server: GatewayServer, match: L4MatchAttributes | TLSMatchAttributes) -> bool:
    return (match.port is None or match.port == server.server.port.number) and (
        not match.gateways or gateway_name(server) in match.gateways
    )
