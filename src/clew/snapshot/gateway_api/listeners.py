"""Listeners of Gateways and ListenerSets: for which hosts, kinds and namespaces they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from clew.model.gateway import Port, Server
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.gateway_api.listener import Listener, RouteGroupKind, TLSModeType
from clew.model.gateway_api.listener_set import ListenerSet
from clew.model.gateway_api.references import GATEWAY_GROUP
from clew.snapshot.gateway_api.classes import (
    EAST_WEST_CONTROLLER,
    MESH_CONTROLLER,
    ClassKind,
)
from clew.snapshot.gateway_api.conditions import NO_ERRORS, RESOLVED, Condition, Problem, accepted
from clew.snapshot.gateway_api.grants import Referrer
from clew.snapshot.gateway_api.listener_tls import ListenerTLS, listener_tls
from clew.snapshot.gateway_api.selection import chosen_namespaces
from clew.snapshot.gateway_api.sources import Sources

Owner = KubernetesGateway | ListenerSet

_AMBIENT = (MESH_CONTROLLER, EAST_WEST_CONTROLLER)
_TUNNEL = "HBONE"
PROTOCOLS = ("HTTP", "HTTPS", "TLS", "TCP", "UDP")
_NO_CONFLICTS = Condition("Conflicted", False, "NoConflicts", NO_ERRORS)
_CONFLICT = "Listener has a conflict with another listener attached to the same Gateway"
# A Gateway needs a host; of this namespace, which cannot be, no route is.
_NO_NAMESPACE = "~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """One listener. ``hosts`` name the namespaces whose routes may bind: ``namespace/host``.

    ``server`` is None while nothing is served. ``conflict``: why another listener goes first.
    """

    owner: Owner
    listener: Listener
    hosts: tuple[str, ...]
    kinds: tuple[RouteGroupKind, ...]
    server: Server | None
    conditions: tuple[Condition, ...]
    conflict: str = ""

    @property
    def valid(self) -> bool:
        """Whether no condition speaks against it."""
        return all(c.holds != (c.type == "Conflicted") for c in self.conditions)


def build_listeners(
    owner: Owner, gateway: KubernetesGateway, kind: ClassKind, sources: Sources
) -> tuple[Listening, ...]:
    """Return the listeners of a Gateway, or of a ListenerSet of it."""
    referrer = Referrer(GATEWAY_GROUP, owner.kind, owner.metadata.namespace)
    return tuple(
        _listening(owner, each, kind, listener_tls(each, gateway, referrer, sources), sources)
        for each in owner.spec.listeners
    )


def _listening(
    owner: Owner, listener: Listener, kind: ClassKind, tls: ListenerTLS, sources: Sources
) -> Listening:
    supported = _supported_kinds(listener)
    wanted = listener.allowed_routes.kinds
    kinds = tuple(k for k in supported if not wanted or k in wanted)
    protocol = _protocol_problem(listener, owner, kind)
    hosts = _hosts(listener, owner.metadata.namespace, sources)
    serves = protocol is None and tls.problem is None
    # HTTPS without a word on TLS serves nothing, although nothing speaks against it.
    silent = listener.protocol in ("HTTPS", "TLS") and tls.settings is None
    port = Port(name="default", number=listener.port, protocol=listener.protocol)
    return Listening(
        owner=owner,
        listener=listener,
        hosts=hosts,
        kinds=kinds,
        server=Server(port=port, hosts=hosts, tls=tls.settings) if serves and not silent else None,
        conditions=tuple(_conditions(tls, protocol, len(kinds) == len(wanted) or not wanted)),
    )


def _conditions(tls: ListenerTLS, protocol: Problem | None, kinds: bool) -> Iterator[Condition]:
    if protocol is not None:
        yield protocol.refuses("Accepted")
    elif tls.problem is not None and tls.refuses_listener:
        yield Problem("NoValidCACertificate", tls.problem.message).refuses("Accepted")
    else:
        yield accepted(NO_ERRORS)
    yield _NO_CONFLICTS
    if tls.problem is not None:
        yield Condition("Programmed", False, "Invalid", "Bad TLS configuration")
    else:
        yield Condition("Programmed", True, "Programmed", NO_ERRORS)
    if not kinds:
        yield Condition("ResolvedRefs", False, "InvalidRouteKinds", "Invalid route kinds")
    elif tls.problem is not None:
        yield tls.problem.refuses("ResolvedRefs")
    else:
        yield replace(RESOLVED, message=NO_ERRORS)


def _supported_kinds(listener: Listener) -> tuple[RouteGroupKind, ...]:
    match listener.protocol:
        case "HTTP" | "HTTPS":
            names: tuple[str, ...] = ("HTTPRoute", "GRPCRoute")
        case "TCP":
            names = ("TCPRoute",)
        case "UDP":
            names = ("UDPRoute",)
        case "TLS" if listener.tls and listener.tls.mode is TLSModeType.PASSTHROUGH:
            names = ("TLSRoute",)
        case "TLS":
            names = ("TCPRoute", "TLSRoute")
        case _:
            names = ()
    return tuple(RouteGroupKind(kind=name) for name in names)


def _protocol_problem(listener: Listener, owner: Owner, kind: ClassKind) -> Problem | None:
    protocol = listener.protocol
    if kind.controller in _AMBIENT:
        if protocol == _TUNNEL and (listener.port == 15008 or len(owner.spec.listeners) > 1):
            return None
        if protocol == _TUNNEL or kind.controller == MESH_CONTROLLER:
            text = 'Expected a single listener on port 15008 with protocol "HBONE"'
            return Problem("UnsupportedProtocol", text)
    if protocol in PROTOCOLS:
        return None
    text = f'protocol "{protocol}" is unsupported'
    if (upper := protocol.upper()) in PROTOCOLS:
        text += f'. hint: "{upper}" (uppercase) may be supported'
    return Problem("UnsupportedProtocol", text)


def _hosts(listener: Listener, namespace: str, sources: Sources) -> tuple[str, ...]:
    host = listener.hostname or "*"
    allowed = listener.allowed_routes.namespaces
    chosen = chosen_namespaces(allowed.from_, allowed.selector, namespace, sources)
    return tuple(f"{name}/{host}" for name in chosen or (_NO_NAMESPACE,))


def without_conflicts(listening: Iterable[Listening]) -> tuple[Listening, ...]:
    """Return all listeners of one Gateway, in order of precedence, with those that lose marked.

    One port has one protocol, and each host of it one listener. Those of UDP are other ports.
    """
    protocols: dict[tuple[int, bool], str] = {}
    taken: set[tuple[tuple[int, bool], str]] = set()
    found: list[Listening] = []
    for each in listening:
        port = (each.listener.port, each.listener.protocol == "UDP")
        host = each.listener.hostname or ""
        protocol = protocols.setdefault(port, _family(each.listener.protocol))
        if protocol != _family(each.listener.protocol):
            found.append(_loser(each, "ProtocolConflict"))
        elif (port, host) in taken:
            found.append(_loser(each, "HostnameConflict"))
        else:
            taken.add((port, host))
            found.append(each)
    return tuple(found)


def _family(protocol: str) -> str:
    """HTTPS and TLS are told apart by the name of the server, so they share a port."""
    return "TLS" if protocol in ("HTTPS", "TLS") else protocol


def _loser(listening: Listening, reason: str) -> Listening:
    conditions = (
        Condition("Accepted", False, reason, _CONFLICT),
        Condition("Conflicted", True, reason, _CONFLICT),
        Condition("Programmed", False, reason, _CONFLICT),
    )
    return replace(listening, server=None, conditions=conditions, conflict=reason)
