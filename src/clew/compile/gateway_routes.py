"""The routes of a router: what its Gateways expose, as VirtualServices say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from clew._pb.envoy.config.core.v3.base_pb2 import HeaderValueOption
from clew._pb.envoy.config.route.v3.route_components_pb2 import Route, RouteMatch, VirtualHost
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile import wire
from clew.compile.gateway_servers import (
    GatewayPort,
    ServerKind,
    gateway_name,
    merge_servers,
    route_name,
    routed_hosts,
    server_hosts,
    server_kind,
    speaks_http3,
)
from clew.compile.memo import Memo
from clew.compile.resources import encode, resource_of
from clew.compile.rule_routes import Client, Routes, rule_routes
from clew.model import names
from clew.model.route_semantics import is_of_gateway_api
from clew.model.xds import EnvoyResource
from clew.snapshot.hosts import covers
from clew.snapshot.scope import GatewayScope, GatewayServer

_MAX_DIRECT_RESPONSE = 1024 * 1024
_VIRTUAL_HOSTS = RouteConfiguration.DESCRIPTOR.fields_by_name["virtual_hosts"].number


@dataclass(slots=True)
class Host:
    """A virtual host in the making: what VirtualServices say of it, in order of precedence."""

    port: int
    routes: list[Routes] = field(default_factory=list)
    requires_tls: bool = False


def compile_gateway_routes(
    scope: GatewayScope, client: Client, memo: Memo
) -> tuple[EnvoyResource, ...]:
    """One route configuration per RDS name that the router's listeners ask for.

    Source: istio ``buildGatewayHTTPRouteConfig``.
    """
    return tuple(
        _route_configuration(name, servers, _elsewhere(servers, port), client, memo)
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


def _elsewhere(servers: Sequence[GatewayServer], port: GatewayPort) -> frozenset[str]:
    """Hosts that clients who reached these servers by TLS must ask for on another connection.

    They are other servers' of the port. Source: Gateway API ``GatewaySpec.listeners``, RFC 9110.
    """
    first = servers[0]
    if server_kind(first) is not ServerKind.HTTPS or not is_of_gateway_api(first.gateway):
        return frozenset()
    own = {host for server in servers for host in server_hosts(server)}
    others = {host for server in port.servers for host in server_hosts(server)} - own
    within = {host for host in others if any(covers(mine, host) for mine in own)}
    return frozenset(within if "*" in own else within | {"*"})


def _route_configuration(
    name: str,
    servers: Sequence[GatewayServer],
    elsewhere: frozenset[str],
    client: Client,
    memo: Memo,
) -> EnvoyResource:
    hosts = _hosts(servers, client, memo)
    head = RouteConfiguration(name=name, ignore_port_in_host_matching=True)
    head.validate_clusters.value = False
    head.max_direct_response_body_size_bytes.value = _MAX_DIRECT_RESPONSE
    if any(speaks_http3(server) for server in servers):
        head.response_headers_to_add.append(_offer_http3(servers[0].server.port.number))
    port = servers[0].server.port.number
    if elsewhere:
        own = {host for server in servers for host in server_hosts(server)}
        head.virtual_hosts.extend(
            _misdirected(host, port) for host in sorted(elsewhere - hosts.keys())
        )
        head.virtual_hosts.extend(_nothing(port, host) for host in sorted(own - hosts.keys()))
    elif not hosts:
        head.virtual_hosts.append(_nothing(port))
    routes = {id(each): each for host in hosts.values() for each in host.routes}.values()
    return resource_of(
        name,
        encode(head) + b"".join(_virtual_host(name, hosts[name]) for name in sorted(hosts)),
        uses=frozenset().union(*(each.uses for each in routes)),
        sources=frozenset().union(*(each.sources for each in routes)),
    )


def _hosts(servers: Iterable[GatewayServer], client: Client, memo: Memo) -> dict[str, Host]:
    hosts: dict[str, Host] = {}
    for server in servers:
        port = server.server.port.number
        gateway, tls = gateway_name(server), server_kind(server) is ServerKind.HTTPS
        for rules in server.virtual_services:
            routes = rule_routes(rules, port, gateway, client, memo, tls=tls)
            for host in routed_hosts(server, rules) if routes else ():
                found = hosts.setdefault(host, Host(port))
                found.routes.append(routes)
                found.requires_tls |= _redirects_to_https(server)
        if _redirects_to_https(server):
            for host in server_hosts(server):
                hosts.setdefault(host, Host(port)).requires_tls = True
    return hosts


def _virtual_host(domain: str, host: Host) -> bytes:
    """The virtual host as a part of its route configuration.

    Several VirtualServices may add to one, and each may end in a catch-all that would hide the
    routes of the next: those come last.
    """
    head = VirtualHost(
        name=names.virtual_host(domain, host.port),
        domains=[domain],
        include_request_attempt_count=True,
    )
    if host.requires_tls:
        head.require_tls = VirtualHost.ALL
    bodies = (each.body for each in host.routes)
    ends = (each.catch_all for each in host.routes)
    return wire.field(_VIRTUAL_HOSTS, b"".join((encode(head), *bodies, *ends)))


def _offer_http3(port: int) -> HeaderValueOption:
    option = HeaderValueOption(append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
    option.header.key = "alt-svc"
    option.header.value = f'h3=":{port}"; ma=86400'
    return option


def _redirects_to_https(server: GatewayServer) -> bool:
    settings = server.server.tls
    return (
        server_kind(server) is ServerKind.HTTP
        and settings is not None
        and bool(settings.https_redirect)
    )


def _misdirected(host: str, port: int) -> VirtualHost:
    answer = Route(name="misdirected", match=RouteMatch(prefix="/"))
    answer.direct_response.status = 421
    name = f"misdirected:{names.virtual_host(host, port)}"
    return VirtualHost(name=name, domains=[host], routes=[answer])


def _nothing(port: int, host: str = "*") -> VirtualHost:
    """What a port answers while no VirtualService is bound to it: 404."""
    name = f"blackhole:{port}" if host == "*" else f"blackhole:{names.virtual_host(host, port)}"
    return VirtualHost(name=name, domains=[host])
