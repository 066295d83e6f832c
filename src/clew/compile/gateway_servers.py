"""Which servers of a router's Gateways share a listener, which share routes, which lose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from enum import Enum

from clew.model import names
from clew.model.diagnostic import Diagnostic
from clew.model.gateway import ServerTLSMode
from clew.model.service import Protocol
from clew.model.status import CONFLICTING_GATEWAYS, object_error
from clew.model.virtual_service import VirtualService
from clew.snapshot.hosts import covers
from clew.snapshot.protocols import parse_protocol
from clew.snapshot.scope import GatewayScope, GatewayServer

_UNTERMINATED = (ServerTLSMode.PASSTHROUGH, ServerTLSMode.AUTO_PASSTHROUGH)

# Port, address, and whether it is one of UDP, whose ports are others than those of TCP.
_Address = tuple[int, str, bool]


class ServerKind(Enum):
    """How a server's connections are handled."""

    HTTP = "http"
    HTTPS = "https"  # TLS ends here, HTTP inside
    TLS = "tls"  # TLS ends here, any bytes inside
    PASSTHROUGH = "passthrough"  # TLS goes on to the backend
    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPort:
    """One listener of a router: the servers it carries, all of which fit together."""

    port: int
    bind: str
    servers: tuple[GatewayServer, ...]

    @property
    def name(self) -> str:
        return names.listener(self.bind or "0.0.0.0", self.port)

    @property
    def is_udp(self) -> bool:
        return server_kind(self.servers[0]) is ServerKind.UDP


def server_kind(server: GatewayServer) -> ServerKind:
    protocol = parse_protocol(server.server.port.protocol)
    settings = server.server.tls
    if protocol.is_tls:
        if settings is None or settings.mode is None or settings.mode in _UNTERMINATED:
            return ServerKind.PASSTHROUGH
        return ServerKind.HTTPS if protocol.value == "HTTPS" else ServerKind.TLS
    if protocol.is_http:
        return ServerKind.HTTP
    return ServerKind.UDP if protocol is Protocol.UDP else ServerKind.TCP


def merge_servers(servers: Iterable[GatewayServer]) -> tuple[GatewayPort, ...]:
    """The listeners of a router, by port and address, and the servers that each carries.

    The oldest Gateway decides what a port is for. A younger server that does not fit is left out:
    plaintext HTTP joins plaintext HTTP, TLS joins TLS unless a host is taken, TCP and UDP join
    nothing.

    Source: istio ``mergeGateways``.
    """
    merged: dict[_Address, list[GatewayServer]] = {}
    taken: dict[_Address, set[str]] = {}
    for server in servers:
        address = _address(server)
        present, hosts = merged.setdefault(address, []), taken.setdefault(address, set())
        if not present or _fits(server, present[0], hosts):
            present.append(server)
            hosts.update(server_hosts(server))
    return tuple(
        GatewayPort(port=port, bind=bind, servers=tuple(carried))
        for (port, bind, _), carried in sorted(merged.items())
    )


def _address(server: GatewayServer) -> _Address:
    return server.listen_port, server.server.bind, server_kind(server) is ServerKind.UDP


def dropped_servers(scope: GatewayScope) -> Iterator[Diagnostic]:
    """Yield the servers that are left out because an older Gateway has their port or host."""
    merged = {_address(port.servers[0]): port.servers for port in merge_servers(scope.servers)}
    carried = {id(server) for servers in merged.values() for server in servers}
    for server in scope.servers:
        if id(server) in carried:
            continue
        oldest = merged[_address(server)][0]
        yield object_error(
            server.gateway.key,
            f"server {server.server.port.name!r} on port {server.server.port.number} "
            f"is not in force: Gateway {gateway_name(oldest)}, which is older, "
            "has the port for another protocol or the same host",
            field=f"spec.servers[{server.gateway.spec.servers.index(server.server)}]",
            code=CONFLICTING_GATEWAYS,
        )


def _fits(server: GatewayServer, oldest: GatewayServer, taken: Set[str]) -> bool:
    """Whether ``server`` may join a listener whose servers have ``taken`` their hosts."""
    kind, others = server_kind(server), server_kind(oldest)
    if kind is ServerKind.HTTP or others is ServerKind.HTTP:
        return kind is others
    if ServerKind.TCP in (kind, others) or kind is ServerKind.UDP:
        return False
    return taken.isdisjoint(server_hosts(server))


def server_hosts(server: GatewayServer) -> tuple[str, ...]:
    """The server's hosts without the namespaces from which they may be routed."""
    hosts = (host.rpartition("/")[2].lower() for host in server.server.hosts)
    return tuple(dict.fromkeys(hosts))


def routed_hosts(server: GatewayServer, service: VirtualService) -> tuple[str, ...]:
    """The hosts that ``service`` may route here: of each pair the more specific one.

    Source: istio ``pickMatchingGatewayHosts``.
    """
    matching: dict[str, None] = {}
    for allowed in _allowed_hosts(server, service.metadata.namespace):
        for host in service.spec.hosts:
            if covers(allowed, host):
                matching[host.lower()] = None
            elif covers(host, allowed):
                matching[allowed] = None
    return tuple(matching)


def _allowed_hosts(server: GatewayServer, namespace: str) -> Iterator[str]:
    """The server's hosts that a VirtualService of ``namespace`` may bind."""
    for declared in server.server.hosts:
        scope, _, host = declared.rpartition("/")
        if scope == ".":
            scope = server.gateway.metadata.namespace
        if scope in ("", "*", namespace):
            yield host.lower()


def speaks_http3(server: GatewayServer) -> bool:
    """Whether a server of HTTPS is offered over QUIC too, which asks no client for certificates.

    Source: istio ``PILOT_ENABLE_QUIC_LISTENERS``; here the Service's UDP port says it all.
    """
    tls = server.server.tls
    simple = tls is not None and tls.mode is ServerTLSMode.SIMPLE
    return server.datagrams and simple and server_kind(server) is ServerKind.HTTPS


def gateway_name(server: GatewayServer) -> str:
    """``namespace/name``, as resolved VirtualServices name it."""
    meta = server.gateway.metadata
    return f"{meta.namespace}/{meta.name}"


def route_name(server: GatewayServer) -> str:
    """The RDS name of an HTTP server's routes, shared by plaintext servers of one listener.

    Source: istio ``GatewayRDSRouteName``.
    """
    port, bind = server.listen_port, server.server.bind
    if server_kind(server) is ServerKind.HTTP:
        return f"http.{port}.{bind}" if bind else f"http.{port}"
    meta = server.gateway.metadata
    return f"https.{port}.{server.server.port.name}.{meta.name}.{meta.namespace}"
