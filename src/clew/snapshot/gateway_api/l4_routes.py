"""Rules of TCPRoutes, TLSRoutes and UDPRoutes as destinations of what comes in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clew.model.gateway_api.references import BackendRef
from clew.model.gateway_api.tcp_route import KubernetesTCPRoute, TCPRouteRule
from clew.model.gateway_api.tls_route import KubernetesTLSRoute, TLSRouteRule
from clew.model.gateway_api.udp_route import UDPRoute, UDPRouteRule
from clew.model.virtual_service import RouteDestination
from clew.snapshot.gateway_api.backends import NOWHERE, resolve_backend
from clew.snapshot.gateway_api.conditions import Problem
from clew.snapshot.gateway_api.sources import Sources

L4Route = KubernetesTCPRoute | KubernetesTLSRoute | UDPRoute


@dataclass(frozen=True, slots=True)
class Connections:
    """Destinations by position of the rule. ``problem``: the last that was found."""

    destinations: dict[int, tuple[RouteDestination, ...]]
    problem: Problem | None = None


def convert_connections(route: L4Route, sources: Sources, *, mesh: bool) -> Connections:
    """Return where the connections go that each rule takes."""
    found: dict[int, tuple[RouteDestination, ...]] = {}
    problem: Problem | None = None
    rules: tuple[TCPRouteRule | TLSRouteRule | UDPRouteRule, ...] = route.spec.rules
    for position, rule in enumerate(rules):
        found[position], told = _destinations(rule.backend_refs, route, sources, mesh=mesh)
        problem = told or problem
    return Connections(found, problem)


def _destinations(
    references: Iterable[BackendRef], route: L4Route, sources: Sources, *, mesh: bool
) -> tuple[tuple[RouteDestination, ...], Problem | None]:
    wanted = [reference for reference in references if reference.weight]
    backends = [resolve_backend(each, route, sources, granted=not mesh) for each in wanted]
    problems = [backend.problem for backend in backends if backend.problem]
    destinations = tuple(
        RouteDestination(
            destination=backend.destination,
            weight=reference.weight if len(wanted) > 1 else None,
        )
        for reference, backend in zip(wanted, backends, strict=True)
    )
    # Without any weight there is nowhere to go, and connections end at once.
    told = problems[-1] if problems else None
    return destinations or (RouteDestination(destination=NOWHERE),), told
