"""Virtual hosts: the routes of one host, and the domains that it would like to have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from clew._pb.envoy.config.route.v3.route_components_pb2 import (
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile import wire
from clew.compile.domains import bracketed, service_domains
from clew.compile.load_balancing import hash_policies
from clew.compile.resources import NOTHING, encode, sources
from clew.compile.retries import compile_retries
from clew.compile.rule_routes import Routes, encoded_routes
from clew.compile.traffic_policy import policy_for
from clew.compile.unknown_traffic import RESOLVING_CLUSTER
from clew.model import names
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.service import Service

_FIELDS = VirtualHost.DESCRIPTOR.fields_by_name
_DOMAINS = _FIELDS["domains"].number
_VIRTUAL_HOSTS = RouteConfiguration.DESCRIPTOR.fields_by_name["virtual_hosts"].number
# X-Envoy-Attempt-Count tells the application which try it is.
_REST = encode(VirtualHost(include_request_attempt_count=True))


@dataclass(frozen=True, slots=True)
class HostPlan:
    """A virtual host before domains have been shared out.

    ``short``: those of ``domains`` that give way to a host of that name. ``body``: the virtual
    host with all its domains, ready to be part of a route configuration.
    """

    name: str
    domains: tuple[str, ...]
    claims: frozenset[str]
    short: frozenset[str]
    routes: Routes
    body: bytes

    def with_domains(self, domains: Iterable[str]) -> bytes:
        """The same virtual host with other domains."""
        return _joined(self.name, domains, self.routes)


def service_plan(
    service: Service,
    port: int,
    dns_domain: str,
    aliases: frozenset[str],
    any_port: bool,
    routes: Routes,
) -> HostPlan:
    """The virtual host of a service port. ``any_port``: see ``_with_port``."""
    domains, short = service_domains(service, dns_domain, sorted(aliases))
    return _plan(service.hostname, port, domains, short, any_port, routes)


def plain_plan(
    service: Service,
    port: int,
    rule: DestinationRule | None,
    dns_domain: str,
    aliases: frozenset[str],
    any_port: bool,
    mesh: MeshConfig,
) -> HostPlan:
    """The same for a service that no VirtualService speaks of."""
    routes = service_routes(service, port, rule, mesh)
    return service_plan(service, port, dns_domain, aliases, any_port, routes)


def host_plan(host: str, port: int, any_port: bool, routes: Routes) -> HostPlan:
    """The virtual host of a host that only VirtualServices know."""
    return _plan(host, port, [bracketed(host)], NOTHING, any_port, routes)


def service_routes(
    service: Service, port: int, rule: DestinationRule | None, mesh: MeshConfig
) -> Routes:
    """What happens to requests for a service that no VirtualService speaks of."""
    host = service.external_name or service.hostname
    hashing = hash_policies(policy_for(rule, port, "", mesh).load_balancer)
    route = plain_route(names.outbound_cluster(port, host), mesh, hashing)
    route.decorator.operation = f"{service.hostname}:{port}/*"
    return encoded_routes([route], sources(service, rule))


def catch_all(unknown: str) -> HostPlan:
    """What happens to hosts that nobody declared, whose cluster is ``unknown``.

    Source: istio ``buildCatchAllVirtualHost``.
    """
    match unknown:
        case names.BLACK_HOLE_CLUSTER:
            route = Route(name="block_all", match=RouteMatch(prefix="/"))
            route.direct_response.status = 502
        case _ if unknown == RESOLVING_CLUSTER:
            route = _unlimited("allow_any_dynamic_dns", unknown)
        case _:
            route = _unlimited("allow_any", unknown)
    routes = encoded_routes([route], NOTHING)
    body = _joined(route.name, ["*"], routes)
    return HostPlan(route.name, ("*",), frozenset("*"), NOTHING, routes, body)


def resolving_host() -> VirtualHost:
    """The virtual host of all requests that go to the host they name."""
    route = _unlimited("allow_any_dynamic_dns", RESOLVING_CLUSTER)
    return VirtualHost(name=route.name, domains=["*"], routes=[route])


def _unlimited(name: str, cluster: str) -> Route:
    action = RouteAction(cluster=cluster)
    _wait_for_ever(action)
    return Route(name=name, match=RouteMatch(prefix="/"), route=action)


def plain_route(cluster: str, mesh: MeshConfig, hashing: Sequence[RouteAction.HashPolicy]) -> Route:
    """Everything to one cluster, with the mesh's retries and no timeout."""
    action = RouteAction(cluster=cluster, hash_policy=hashing)
    _wait_for_ever(action)
    retries = compile_retries(None, mesh.default_http_retry_policy, hashed=bool(hashing))
    if retries is not None:
        action.retry_policy.CopyFrom(retries)
    return Route(name="default", match=RouteMatch(prefix="/"), route=action)


def _wait_for_ever(action: RouteAction) -> None:
    # Envoy's own default is 15 s; for Istio, no timeout means none, which Envoy spells 0 s.
    action.timeout.FromTimedelta(timedelta(0))
    action.max_grpc_timeout.FromTimedelta(timedelta(0))


def _plan(
    host: str,
    port: int,
    domains: list[str],
    short: frozenset[str],
    any_port: bool,
    routes: Routes,
) -> HostPlan:
    # Envoy compares hosts in lower case, and refuses two domains that differ only in it.
    lower = [domain.lower() for domain in domains]
    wanted = tuple(_with_port(lower, port) if any_port else lower)
    name = names.virtual_host(host.lower(), port)
    body = _joined(name, wanted, routes)
    return HostPlan(name, wanted, frozenset(wanted), short, routes, body)


def _with_port(domains: Iterable[str], port: int) -> Iterator[str]:
    """Where requests for all ports arrive, the port is part of the host, unless it is 80."""
    for domain in domains:
        if port == 80:
            yield domain
        yield f"{domain}:{port}"


def _joined(name: str, domains: Iterable[str], routes: Routes) -> bytes:
    host = wire.field(1, name.encode()) + wire.text_fields(_DOMAINS, domains)
    return wire.field(_VIRTUAL_HOSTS, host + routes.body + routes.catch_all + _REST)
