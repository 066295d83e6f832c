"""The routes of a router: what its Gateways expose, as VirtualServices say."""

from __future__ import annotations

from collections.abc import Mapping

from clew._pb.envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.destinations import destination_balancer, destination_cluster
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
from clew.compile.http_routes import compile_http_routes
from clew.compile.route_match import is_catch_all
from clew.model import names
from clew.model.destination_rule import DestinationRule
from clew.model.service import Service
from clew.model.virtual_service import Destination, VirtualService
from clew.snapshot.scope import GatewayScope, GatewayServer

_MAX_DIRECT_RESPONSE = 1024 * 1024


def compile_gateway_routes(
    scope: GatewayScope,
    services: Mapping[str, Service],
    labels: tuple[tuple[str, str], ...] = (),
    rules: Mapping[str, DestinationRule] | None = None,
) -> tuple[RouteConfiguration, ...]:
    """One route configuration per RDS name that the router's listeners ask for.

    ``services`` by hostname resolve the ports of destinations, ``labels`` are the router's own,
    ``rules`` by hostname say what of a request decides its endpoint.

    Source: istio ``buildGatewayHTTPRouteConfig``.
    """
    return tuple(
        _route_configuration(name, servers, scope, services, labels, rules or {})
        for port in merge_servers(scope.servers)
        for name, servers in _by_route_name(port).items()
    )


def _by_route_name(port: GatewayPort) -> dict[str, list[GatewayServer]]:
    """HTTP servers of one listener by the routes they use: plaintext ones share theirs."""
    grouped: dict[str, list[GatewayServer]] = {}
    for server in port.servers:
        if server_kind(server) in (ServerKind.HTTP, ServerKind.HTTPS):
            grouped.setdefault(route_name(server), []).append(server)
    return grouped


def _route_configuration(
    name: str,
    servers: list[GatewayServer],
    scope: GatewayScope,
    services: Mapping[str, Service],
    labels: tuple[tuple[str, str], ...],
    rules: Mapping[str, DestinationRule],
) -> RouteConfiguration:
    hosts: dict[str, VirtualHost] = {}
    for server in servers:
        for virtual_service in server.virtual_services:
            routes = _routes(server, virtual_service, scope, services, labels, rules)
            for host in routed_hosts(server, virtual_service) if routes else ():
                _virtual_host(hosts, host, server).routes.extend(routes)
        if _redirects_to_https(server):
            for host in server_hosts(server):
                _virtual_host(hosts, host, server).require_tls = VirtualHost.ALL
    configuration = RouteConfiguration(
        name=name,
        virtual_hosts=[_ordered(host) for _, host in sorted(hosts.items())]
        or [_nothing(servers[0].server.port.number)],
        ignore_port_in_host_matching=True,
    )
    configuration.validate_clusters.value = False
    configuration.max_direct_response_body_size_bytes.value = _MAX_DIRECT_RESPONSE
    return configuration


def _routes(
    server: GatewayServer,
    virtual_service: VirtualService,
    scope: GatewayScope,
    services: Mapping[str, Service],
    labels: tuple[tuple[str, str], ...],
    rules: Mapping[str, DestinationRule],
) -> list[Route]:
    port = server.server.port.number

    def cluster_of(destination: Destination) -> str:
        return destination_cluster(destination, services, port)

    return compile_http_routes(
        virtual_service,
        port=port,
        gateway=gateway_name(server),
        namespace=scope.namespace,
        labels=labels,
        cluster_of=cluster_of,
        mesh=scope.mesh,
        balancer_of=lambda destination: destination_balancer(
            destination, cluster_of(destination), rules, scope.mesh
        ),
    )


def _virtual_host(hosts: dict[str, VirtualHost], host: str, server: GatewayServer) -> VirtualHost:
    """The virtual host of ``host``, made when it is first needed."""
    if host not in hosts:
        hosts[host] = VirtualHost(
            name=names.virtual_host(host, server.server.port.number),
            domains=[host],
            include_request_attempt_count=True,
        )
    return hosts[host]


def _redirects_to_https(server: GatewayServer) -> bool:
    settings = server.server.tls
    return (
        server_kind(server) is ServerKind.HTTP
        and settings is not None
        and bool(settings.https_redirect)
    )


def _ordered(host: VirtualHost) -> VirtualHost:
    """``host`` with the routes that take everything at the end.

    Several VirtualServices may add to one host, and each may end in a catch-all that would hide
    the routes of the next.
    """
    ordered = sorted(host.routes, key=lambda route: is_catch_all(route.match))
    host.routes.clear()
    host.routes.extend(ordered)
    return host


def _nothing(port: int) -> VirtualHost:
    """What a port answers while no VirtualService is bound to it: 404."""
    return VirtualHost(name=f"blackhole:{port}", domains=["*"])
