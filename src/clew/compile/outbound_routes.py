"""Outbound route configurations: which virtual hosts a listener port has, and who gets a domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.memo import Memo
from clew.compile.resources import NOTHING, encode, resource_of
from clew.compile.rule_routes import Client, rule_routes
from clew.compile.unknown_traffic import unknown_requests
from clew.compile.virtual_hosts import (
    HostPlan,
    catch_all,
    host_plan,
    plain_plan,
    service_plan,
)
from clew.model.service import Protocol, Resolution, Service
from clew.model.virtual_service import VirtualService
from clew.model.xds import EnvoyResource
from clew.snapshot.hosts import covers, is_wildcard
from clew.snapshot.scope import EgressListener, OutboundScope
from clew.snapshot.virtual_services import MESH

_MAX_DIRECT_RESPONSE = 1024 * 1024
# Hosts that only VirtualServices know are served on HTTP's own port.
_PORT_OF_UNKNOWN_HOSTS = 80


@dataclass(frozen=True, slots=True)
class Registry:
    """The services that one listener may see. ``by_port``: those that may speak HTTP there."""

    by_port: Mapping[int, tuple[Service, ...]]
    hosts_by_port: Mapping[int, frozenset[str]]
    aliases: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Rulebook:
    """VirtualServices with HTTP rules in lookup order, by exact host, and the wildcards.

    The longest wildcard comes first, since the most specific one wins.
    """

    ordered: tuple[VirtualService, ...]
    exact: Mapping[str, tuple[VirtualService, ...]]
    wildcards: tuple[tuple[str, VirtualService], ...]

    def for_host(self, hostname: str) -> Iterator[VirtualService]:
        """Those that speak of a host, the best first."""
        yield from self.exact.get(hostname, ())
        for pattern, rules in self.wildcards:
            if covers(pattern, hostname):
                yield rules


@dataclass(frozen=True, slots=True)
class View:
    """What one listener sees, indexed."""

    scope: OutboundScope
    registry: Registry
    rulebook: Rulebook
    client: Client
    memo: Memo


def view_of(egress: EgressListener, scope: OutboundScope, memo: Memo) -> View:
    services = memo.call(services_by_hostname, scope.services)
    return View(
        scope,
        memo.call(_registry, egress.services),
        memo.call(_rulebook, egress.virtual_services),
        Client(scope.namespace, scope.labels, services, scope.destination_rules, scope.mesh),
        memo,
    )


def compile_port_routes(name: str, port: int, view: View) -> EnvoyResource:
    """The routes of a listener for all HTTP services on a port; port 0 is for all ports.

    A domain belongs to the first virtual host that claims it.
    Source: istio ``BuildSidecarOutboundVirtualHosts``.
    """
    known = _known_hosts(port, view.registry)
    taken: set[str] = set()
    bodies: dict[str, bytes] = {}
    kept: list[HostPlan] = []
    for plan in _plans(port, view):
        if plan.name in bodies:
            continue
        if taken.isdisjoint(plan.claims) and known.isdisjoint(plan.short):
            bodies[plan.name] = plan.body
            taken |= plan.claims
        elif free := _free(plan, taken, known):
            bodies[plan.name] = plan.with_domains(free)
            taken.update(free)
        else:
            continue
        kept.append(plan)
    last = view.memo.call(catch_all, unknown_requests(view.scope, view.memo))
    in_order = [bodies[host] for host in sorted(bodies)]
    return _configuration(name, [*in_order, last.body], [*kept, last], match_port=port == 0)


def compile_service_routes(name: str, port: int, service: Service, view: View) -> EnvoyResource:
    """The routes of a listener that only one service has: all requests are for it."""
    plan = _owned_plan(service, port, view, any_port=False)[1]
    return _configuration(name, [plan.with_domains(["*"])], [plan], match_port=False)


def service_route_configuration(
    name: str, port: int, service: Service, scope: OutboundScope, memo: Memo
) -> RouteConfiguration:
    """The same as a message, under the first listener that sees the service."""
    egress = next((e for e in scope.egress if service in e.services), EgressListener())
    compiled = compile_service_routes(name, port, service, view_of(egress, scope, memo))
    return RouteConfiguration.FromString(compiled.body)


def _configuration(
    name: str, bodies: Sequence[bytes], plans: Sequence[HostPlan], *, match_port: bool
) -> EnvoyResource:
    head = RouteConfiguration(name=name, ignore_port_in_host_matching=not match_port)
    head.validate_clusters.value = False
    head.max_direct_response_body_size_bytes.value = _MAX_DIRECT_RESPONSE
    return resource_of(
        name,
        encode(head) + b"".join(bodies),
        uses=frozenset().union(*(plan.routes.uses for plan in plans)),
        sources=frozenset().union(*(plan.routes.sources for plan in plans)),
    )


def _free(plan: HostPlan, taken: set[str], known: frozenset[str]) -> list[str]:
    return [
        domain
        for domain in plan.domains
        if domain not in taken and not (domain in plan.short and domain in known)
    ]


def _plans(port: int, view: View) -> Iterator[HostPlan]:
    if port:
        yield from _port_plans(port, view, any_port=False)
        return
    for each in sorted({*view.registry.by_port, _PORT_OF_UNKNOWN_HOSTS}):
        yield from _port_plans(each, view, any_port=True)


def _port_plans(port: int, view: View, *, any_port: bool) -> Iterator[HostPlan]:
    """Virtual hosts in the order of their claims: VirtualServices', then the other services'."""
    owned: dict[int, list[HostPlan]] = {}
    rest: list[HostPlan] = []
    for service in view.registry.by_port.get(port, ()):
        owner, plan = _owned_plan(service, port, view, any_port=any_port)
        (rest if owner is None else owned.setdefault(id(owner), [])).append(plan)
    for rules in view.rulebook.ordered:
        yield from _rule_hosts(rules, port, view, any_port=any_port)
        yield from owned.get(id(rules), ())
    yield from rest


def _rule_hosts(
    rules: VirtualService, port: int, view: View, *, any_port: bool
) -> Iterator[HostPlan]:
    """Virtual hosts of the rule's hosts that are no services on this port."""
    known = view.registry.hosts_by_port.get(port, frozenset())
    strangers = [host for host in rules.spec.hosts if not _among(host, known)]
    if not strangers:
        return
    serves = any(
        covers(host, service.hostname)
        for host in rules.spec.hosts
        for service in view.registry.by_port.get(port, ())
    )
    if not serves and port != _PORT_OF_UNKNOWN_HOSTS:
        return
    routes = rule_routes(rules, port, MESH, view.client, view.memo, tls=False)
    if routes:
        for host in strangers:
            yield view.memo.call(host_plan, host, port, any_port, routes)


def _among(host: str, known: frozenset[str]) -> bool:
    if not is_wildcard(host):
        return host in known
    return any(covers(host, name) for name in known)


def _owned_plan(
    service: Service, port: int, view: View, *, any_port: bool
) -> tuple[VirtualService | None, HostPlan]:
    """The virtual host of a service, and the VirtualService that decides what it does, if any."""
    scope, memo, hostname = view.scope, view.memo, service.hostname
    aliases = view.registry.aliases.get(hostname, NOTHING)
    for rules in view.rulebook.for_host(hostname):
        routes = rule_routes(rules, port, MESH, view.client, view.memo, tls=False)
        # Rules may all be for other ports, clients or gateways.
        if routes:
            return rules, memo.call(
                service_plan, service, port, scope.dns_domain, aliases, any_port, routes
            )
    rule = scope.destination_rules.get(hostname)
    return None, memo.call(
        plain_plan, service, port, rule, scope.dns_domain, aliases, any_port, scope.mesh
    )


def services_by_hostname(services: tuple[Service, ...]) -> dict[str, Service]:
    return {service.hostname: service for service in services}


def _known_hosts(port: int, registry: Registry) -> frozenset[str]:
    ports = [port] if port else list(registry.by_port)
    return frozenset(
        service.hostname for each in ports for service in registry.by_port.get(each, ())
    )


def _registry(services: tuple[Service, ...]) -> Registry:
    by_port: dict[int, list[Service]] = {}
    hosts: dict[int, set[str]] = {}
    aliases: dict[str, set[str]] = {}
    for service in services:
        if service.resolution is Resolution.ALIAS:
            aliases.setdefault(service.external_name, set()).add(service.hostname)
            continue
        for port in service.ports:
            hosts.setdefault(port.number, set()).add(service.hostname)
            if port.protocol.is_http or port.protocol is Protocol.AUTO:
                by_port.setdefault(port.number, []).append(service)
    return Registry(
        {port: tuple(found) for port, found in by_port.items()},
        {port: frozenset(found) for port, found in hosts.items()},
        {host: frozenset(found) for host, found in aliases.items()},
    )


def _rulebook(virtual_services: tuple[VirtualService, ...]) -> Rulebook:
    ordered = tuple(vs for vs in virtual_services if vs.spec.http)
    exact: dict[str, list[VirtualService]] = {}
    wildcards: list[tuple[str, VirtualService]] = []
    for rules in ordered:
        for host in rules.spec.hosts:
            if is_wildcard(host):
                wildcards.append((host, rules))
            else:
                exact.setdefault(host, []).append(rules)
    wildcards.sort(key=lambda pair: -len(pair[0]))
    return Rulebook(
        ordered, {host: tuple(found) for host, found in exact.items()}, tuple(wildcards)
    )
