"""Which outbound listeners a proxy has, what each serves, and which routes they ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from clew.compile.domains import short_forms
from clew.compile.memo import Memo
from clew.compile.outbound_listeners import (
    Frame,
    HttpSide,
    compile_listener,
    virtual_outbound,
)
from clew.compile.outbound_routes import (
    compile_port_routes,
    compile_service_routes,
    view_of,
)
from clew.compile.tcp_routes import Chain, chains_for
from clew.compile.unknown_traffic import RESOLVING_CLUSTER, unknown_requests
from clew.model.addresses import is_ip
from clew.model.proxy import Interception
from clew.model.service import Endpoint, Protocol, Resolution, Service, ServicePort
from clew.model.sidecar import CaptureMode, IstioEgressListener
from clew.model.xds import EnvoyResource
from clew.snapshot.protocols import parse_protocol
from clew.snapshot.scope import EgressListener, OutboundScope

_HTTP_PROXY_ROUTES = "http_proxy"
# Ports of the proxy itself, which no listener may take from it.
_FIRST_UNPRIVILEGED_PORT = 1024
_RESERVED = frozenset({15000, 15001, 15006, 15020, 15021, 15090})


@dataclass(slots=True, eq=False)
class _Slot:
    """What has been found so far for one listener.

    ``locked``: declared by a Sidecar with a port of its own, so the catch-all adds nothing.
    ``routed``: of which listener, port and (on a listener of its own) service its routes are.
    """

    frame: Frame
    egress: EgressListener
    http: str = ""
    routes_port: int = 0
    routed: Service | None = None
    detects: bool = False
    grpc_web: bool = False
    names_hosts: bool = False
    only_http: bool = False
    locked: bool = False
    chains: list[tuple[Chain, ...]] = field(default_factory=list)


# By address and port: a listener with several addresses is there several times.
_Slots = dict[tuple[str, int], _Slot]


def compile_outbound(
    scope: OutboundScope, memo: Memo
) -> tuple[list[EnvoyResource], list[EnvoyResource]]:
    """The outbound listeners of a sidecar, and the route configurations that they ask for.

    Source: istio ``buildSidecarOutboundListeners``.
    """
    slots: _Slots = {}
    unknown = unknown_requests(scope, memo)
    for egress in scope.egress:
        if egress.declared is not None and egress.declared.port is not None:
            _declared_port(slots, egress, egress.declared, scope, memo)
    for egress in scope.egress:
        if egress.declared is None or egress.declared.port is None:
            _all_ports(slots, egress, scope, memo)
    _local_ports(slots, scope, memo)
    _http_proxy(slots, scope)
    distinct = dict.fromkeys(slots.values())
    listeners = [_compiled(slot, unknown, scope, memo) for slot in distinct]
    if scope.interception is not Interception.NONE:
        transparent = scope.interception is Interception.TPROXY
        listeners.append(
            memo.call(virtual_outbound, scope.mesh, unknown, transparent, scope.families)
        )
    return listeners, list(_routes(slots, scope, memo))


def _compiled(slot: _Slot, unknown: str, scope: OutboundScope, memo: Memo) -> EnvoyResource:
    frame, http = slot.frame, None
    if slot.http:
        http = memo.call(
            _http_side,
            slot.http,
            slot.detects,
            slot.grpc_web,
            slot.names_hosts or unknown == RESOLVING_CLUSTER,
            slot.only_http and not slot.chains,
        )
    kept = memo.call(
        _frame, frame.address, frame.port, frozenset(frame.more_addresses), frame.captured
    )
    return memo.call(compile_listener, kept, http, unknown, scope.mesh, *slot.chains)


def _http_side(
    routes: str, detects: bool, grpc_web: bool, names_hosts: bool, only: bool
) -> HttpSide:
    return HttpSide(
        routes=routes, detects=detects, grpc_web=grpc_web, names_hosts=names_hosts, only=only
    )


def _frame(address: str, port: int, more: frozenset[str], captured: bool) -> Frame:
    return Frame(address=address, port=port, more_addresses=tuple(sorted(more)), captured=captured)


def _routes(slots: _Slots, scope: OutboundScope, memo: Memo) -> Iterator[EnvoyResource]:
    done: set[str] = set()
    for slot in slots.values():
        if not slot.http or slot.http in done:
            continue
        done.add(slot.http)
        view = view_of(slot.egress, scope, memo)
        if slot.routed is None:
            yield compile_port_routes(slot.http, slot.routes_port, view)
        else:
            yield compile_service_routes(slot.http, slot.routes_port, slot.routed, view)


def _declared_port(
    slots: _Slots,
    egress: EgressListener,
    declared: IstioEgressListener,
    scope: OutboundScope,
    memo: Memo,
) -> None:
    """A Sidecar's listener with a port of its own: its services and no others."""
    if declared.port is None:
        return
    number = declared.port.number or 0
    proxied = declared.port.protocol.upper() == "HTTP_PROXY"
    protocol = Protocol.HTTP if proxied else parse_protocol(declared.port.protocol)
    # Nothing can be captured on its way to a Unix socket.
    captured = _is_captured(declared, scope) and not declared.bind.startswith("unix://")
    if _taken(declared.bind, number, scope, captured=captured):
        return
    if protocol.is_http:
        at = (declared.bind,) if declared.bind else _everywhere(scope, captured=captured)
        slot = _slot(slots, at[0], number, egress, captured=captured, more=at[1:])
        slot.http = str(number) if number else declared.bind
        slot.routes_port = 0 if proxied else number
        slot.only_http = not captured
    else:
        for service in egress.services:
            port = service.port(number) or (service.ports[0] if service.ports else None)
            if port is not None and service.resolution is not Resolution.ALIAS:
                own = ServicePort(name=port.name, number=number, protocol=protocol)
                bind = declared.bind or ("" if captured else scope.families.loopback)
                _add_port(slots, egress, service, own, scope, memo, bind=bind, captured=captured)
    for (_, taken), slot in slots.items():
        slot.locked |= taken == number and slot.egress is egress


def _all_ports(slots: _Slots, egress: EgressListener, scope: OutboundScope, memo: Memo) -> None:
    """The catch-all: every port of every service it sees."""
    declared = egress.declared
    captured = _is_captured(declared, scope)
    if not captured and (declared is None or declared.capture_mode is not CaptureMode.NONE):
        # Without traffic capture only what is asked for has a port of its own on the host.
        return
    bind = (declared.bind if declared else "") or ("" if captured else scope.families.loopback)
    for service in egress.services:
        if service.resolution is Resolution.ALIAS:
            continue
        for port in service.ports:
            if port.protocol is not Protocol.UDP:
                _add_port(slots, egress, service, port, scope, memo, bind=bind, captured=captured)


def _everywhere(scope: OutboundScope, *, captured: bool) -> tuple[str, ...]:
    return scope.families.wildcards if captured else (scope.families.loopback,)


def _is_captured(declared: IstioEgressListener | None, scope: OutboundScope) -> bool:
    if declared is not None and declared.capture_mode is CaptureMode.NONE:
        return False
    return scope.interception is not Interception.NONE


def _slot(
    slots: _Slots,
    address: str,
    port: int,
    egress: EgressListener,
    *,
    captured: bool,
    more: tuple[str, ...] = (),
) -> _Slot:
    """The listener at an address and port; a new one has those addresses that are free."""
    free = [each for each in (address, *more) if (each, port) not in slots]
    if not free:
        return slots[address, port]
    frame = Frame(address=free[0], port=port, more_addresses=tuple(free[1:]), captured=captured)
    slot = _Slot(frame, egress)
    slots |= {(each, port): slot for each in free}
    return slot


def _add_port(
    slots: _Slots,
    egress: EgressListener,
    service: Service,
    port: ServicePort,
    scope: OutboundScope,
    memo: Memo,
    *,
    bind: str,
    captured: bool,
) -> None:
    """Add one service port to the listeners that must serve it."""
    if port.protocol.is_http:
        at = (bind,) if bind else scope.families.wildcards
        if _taken(at[0], port.number, scope, captured=captured):
            return
        slot = _slot(slots, at[0], port.number, egress, captured=captured, more=at[1:])
        if not slot.locked:
            _serve_http(slot, str(port.number), port, service)
        return
    for address, more, ranges in _places(service, port, scope, bind):
        if _taken(address, port.number, scope, captured=captured):
            continue
        slot = _slot(slots, address, port.number, egress, captured=captured, more=more)
        if slot.locked:
            continue
        shared = address == scope.families.wildcards[0]
        slot.chains.append(chains_for(service, port, ranges, shared, egress, scope, memo))
        if port.protocol is Protocol.AUTO:
            own = "" if shared else f"{service.hostname}:{port.number}"
            if own and not slot.http:
                slot.routed = service
            _serve_http(slot, own or str(port.number), port, service)


def _taken(address: str, port: int, scope: OutboundScope, *, captured: bool) -> bool:
    """Whether a listener would be in the proxy's own way, or is not for it to bind."""
    if not captured and scope.unprivileged and 0 < port < _FIRST_UNPRIVILEGED_PORT:
        return True
    return port in _RESERVED and address in scope.families.wildcards


def _serve_http(slot: _Slot, routes: str, port: ServicePort, service: Service) -> None:
    slot.http = slot.http or routes
    slot.routes_port = port.number
    slot.detects |= port.protocol is Protocol.AUTO
    slot.grpc_web |= port.protocol is Protocol.GRPC_WEB
    slot.names_hosts |= service.resolution is Resolution.DYNAMIC_DNS


def _places(
    service: Service, port: ServicePort, scope: OutboundScope, bind: str
) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Addresses at which connections to a port are recognised, with ranges they must be in.

    A service is known by its virtual IPs, a headless one by its endpoints' addresses, and one
    with neither only by its port.
    """
    if bind:
        yield bind, (), ""
        return
    anywhere = scope.families.wildcards
    reachable = scope.families.among(service.addresses)
    single = tuple(a for a in reachable if "/" not in a)
    ranges = tuple(a for a in reachable if "/" in a)
    if single:
        yield single[0], single[1:], ""
    if ranges:
        yield anywhere[0], anywhere[1:], ",".join(ranges)
    if service.addresses:
        return
    if service.resolution is not Resolution.PASSTHROUGH:
        yield anywhere[0], anywhere[1:], ""
        return
    found = _endpoint_addresses(scope.endpoints.get(service.key, ()), port)
    if not found and not service.kubernetes and service.selector is None:
        yield anywhere[0], anywhere[1:], ""
    for address in found:
        # The application's connections to its own address do not come by here.
        if address not in scope.own_ips:
            yield address, (), ""


def _endpoint_addresses(endpoints: tuple[Endpoint, ...], port: ServicePort) -> list[str]:
    return list(
        dict.fromkeys(
            address
            for e in endpoints
            if e.port_name == port.name
            for address in (e.address, *e.more_addresses)
            if is_ip(address)
        )
    )


def _local_ports(slots: _Slots, scope: OutboundScope, memo: Memo) -> None:
    """Without capture: a bound listener for each upstream that the workload asked for by name."""
    for local in scope.local_ports:
        for egress in scope.egress:
            service = _called(local.hostname, egress.services, scope.dns_domain)
            port = service.port(local.port) if service is not None else None
            if service is None or port is None:
                continue
            slot = _slot(slots, local.address, local.local_port, egress, captured=False)
            if not port.protocol.is_http:
                slot.chains.append(chains_for(service, port, "", False, egress, scope, memo))
            if port.protocol.is_http or port.protocol is Protocol.AUTO:
                _serve_http(slot, f"{service.hostname}:{port.number}", port, service)
                slot.routed = service
                slot.only_http = port.protocol.is_http
            break


def _called(name: str, services: Sequence[Service], dns_domain: str) -> Service | None:
    """The service that a client in ``dns_domain`` means by ``name``, in full or short."""
    for service in services:
        if name == service.hostname or name in short_forms(service.hostname, dns_domain):
            return service
    return None


def _http_proxy(slots: _Slots, scope: OutboundScope) -> None:
    """Without capture: the port to which HTTP clients send requests for any host."""
    if not scope.http_proxy_port or not scope.egress:
        return
    slot = _slot(
        slots, scope.families.loopback, scope.http_proxy_port, scope.egress[-1], captured=False
    )
    slot.http = _HTTP_PROXY_ROUTES
    slot.routes_port = 0
    slot.only_http = True
    slot.detects = True
    slot.names_hosts = True
