"""Everything that one proxy gets: the one list of what is compiled, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew.compile.check import listener_clusters, route_clusters
from clew.compile.clusters import (
    CAPTURED,
    ROUTER,
    UNCAPTURED,
    Site,
    Upstream,
    black_hole_cluster,
    cluster_names,
    compile_clusters,
    discovery,
    passthrough_cluster,
)
from clew.compile.endpoint_facts import (
    Coverage,
    EndpointFacts,
    endpoint_facts,
    endpoints_of_port,
)
from clew.compile.endpoints import built_in_assignment, compile_assignment
from clew.compile.gateway_listeners import compile_gateway_listeners
from clew.compile.gateway_routes import compile_gateway_routes
from clew.compile.inbound_clusters import compile_inbound_clusters
from clew.compile.inbound_listeners import compile_inbound_listeners
from clew.compile.locality import Client
from clew.compile.memo import Memo
from clew.compile.outbound_plan import compile_outbound
from clew.compile.outbound_routes import services_by_hostname
from clew.compile.resources import resource
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception
from clew.model.service import (
    Endpoint,
    Locality,
    Protocol,
    Resolution,
    Service,
    ServicePort,
)
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, Published
from clew.snapshot.scope import GatewayScope, InboundScope, MutualTls, OutboundScope, ProxyScope

_BY_DNS = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)


def compile_proxy(scope: ProxyScope, memo: Memo) -> Published:
    """All resources of a proxy, by type. Equal scopes get equal bytes, whatever ``memo`` holds."""
    clusters, endpoints = _upstreams(scope, memo)
    listeners: list[EnvoyResource] = []
    routes: list[EnvoyResource] = []
    if scope.gateway is not None:
        for_gateway = memo.call(
            _gateway, scope.gateway, scope.outbound.services, scope.outbound.labels
        )
        listeners += for_gateway[0]
        routes += for_gateway[1]
    else:
        outbound = compile_outbound(scope.outbound, memo)
        listeners += outbound[0]
        routes += outbound[1]
    if scope.inbound is not None:
        for_inbound = memo.call(_inbound, scope.inbound)
        listeners += for_inbound[0]
        clusters += for_inbound[1]
    return {
        CLUSTER: _named(clusters),
        ENDPOINTS: _named(endpoints),
        LISTENER: _named(listeners),
        ROUTE: _named(routes),
    }


def compile_endpoints(
    scope: ProxyScope, hosts: frozenset[str], memo: Memo
) -> Mapping[str, EnvoyResource]:
    """The load assignments of these hosts only.

    For changes that touch nothing but endpoints, as long as ``endpoints_shape`` stays the same.
    """
    site = _site(scope)
    compiled = [
        assignment
        for each in _ports(scope.outbound, site)
        if each.service.hostname in hosts and each.how is Resolution.EDS
        for assignment in _assignments(each, scope.outbound, memo)
    ]
    return _named(compiled)


def endpoints_shape(scope: ProxyScope, hosts: frozenset[str], memo: Memo) -> object:
    """What clusters and listeners depend on of the endpoints of ``hosts``: equal if unaffected."""
    outbound = scope.outbound
    shapes: list[object] = []
    for each in _ports(outbound, _site(scope)):
        if each.service.hostname not in hosts:
            continue
        members = outbound.endpoints.get(each.service.key, ())
        if each.how is Resolution.EDS:
            own = memo.call(endpoints_of_port, members, each.port.name)
            facts = memo.call(endpoint_facts, own, outbound.trust_domain)
            shapes.append((each.service.key, each.port.number, facts))
        else:
            shapes.append((each.service.key, each.port.number, members))
    return shapes


@dataclass(frozen=True, slots=True)
class _Port:
    """One service port of the outbound side, and how its endpoints are found."""

    service: Service
    port: ServicePort
    rule: DestinationRule | None
    how: Resolution


def _site(scope: ProxyScope) -> Site:
    if scope.gateway is not None:
        return ROUTER
    uncaptured = scope.outbound.interception is Interception.NONE
    return UNCAPTURED if uncaptured else CAPTURED


def _client(each: _Port, outbound: OutboundScope, memo: Memo) -> Client:
    """Where the proxy is; one value for equal places, so that results for it are found again.

    Its labels are left out unless the port compares them with those of endpoints.
    """
    compares = memo.call(_compares_labels, each.service, each.rule, outbound.mesh)
    labels = frozenset(outbound.labels if compares else ())
    return memo.call(_client_at, outbound.network, labels, *outbound.locality)


def _client_at(
    network: str, labels: frozenset[tuple[str, str]], region: str, zone: str, subzone: str
) -> Client:
    return Client(Locality(region, zone, subzone), network, tuple(sorted(labels)))


def _compares_labels(service: Service, rule: DestinationRule | None, mesh: MeshConfig) -> bool:
    if service.traffic_distribution:
        return True
    policies = [rule.spec.traffic_policy] if rule is not None else []
    policies += [subset.traffic_policy for subset in rule.spec.subsets] if rule is not None else []
    declared = [policy for policy in policies if policy is not None]
    balancers = [policy.load_balancer for policy in declared]
    balancers += [level.load_balancer for p in declared for level in p.port_level_settings]
    settings = [b.locality_lb_setting for b in balancers if b is not None]
    return any(s is not None and s.failover_priority for s in (*settings, mesh.locality_lb_setting))


def _ports(outbound: OutboundScope, site: Site) -> Iterator[_Port]:
    rules = outbound.destination_rules
    for service in outbound.services:
        if service.resolution is Resolution.ALIAS:
            continue
        rule = rules.get(service.hostname)
        for port in service.ports:
            if port.protocol is not Protocol.UDP:
                yield _Port(service, port, rule, discovery(service, rule, port.number, site))


def _upstreams(scope: ProxyScope, memo: Memo) -> tuple[list[EnvoyResource], list[EnvoyResource]]:
    """Outbound clusters, and the load assignments of those that get them from the control plane."""
    outbound, site, mesh = scope.outbound, _site(scope), scope.outbound.mesh
    clusters: list[EnvoyResource] = []
    endpoints: list[EnvoyResource] = []
    for each in _ports(outbound, site):
        clusters += _clusters(each, outbound, site, memo)
        if each.how is Resolution.EDS:
            endpoints += _assignments(each, outbound, memo)
    clusters.append(memo.call(black_hole_cluster, mesh))
    if scope.gateway is None:
        clusters.append(memo.call(_passthrough, mesh, site.original_destination))
    return clusters, endpoints


def _passthrough(mesh: MeshConfig, original_destination: bool) -> EnvoyResource:
    return passthrough_cluster(mesh, original_destination=original_destination)


def _clusters(
    each: _Port, outbound: OutboundScope, site: Site, memo: Memo
) -> tuple[EnvoyResource, ...]:
    members = outbound.endpoints.get(each.service.key, ())
    own = memo.call(endpoints_of_port, members, each.port.name)
    facts = memo.call(endpoint_facts, own, outbound.trust_domain)
    mode = outbound.mutual_tls.get((each.service.hostname, each.port.number))
    upstream = memo.call(_upstream, each.service, each.port, mode, *_spread(facts))
    assignments: tuple[ClusterLoadAssignment, ...] = ()
    if each.how in _BY_DNS:
        client = _client(each, outbound, memo)
        assignments = memo.call(
            _built_in, each.service, each.port, each.rule, own, client, outbound.mesh
        )
    return memo.call(compile_clusters, upstream, each.rule, assignments, site, outbound.mesh)


def _spread(facts: EndpointFacts) -> tuple[Coverage, frozenset[str]]:
    return facts.coverage, facts.identities


def _upstream(
    service: Service,
    port: ServicePort,
    mode: MutualTls | None,
    coverage: Coverage,
    identities: frozenset[str],
) -> Upstream:
    return Upstream(service=service, port=port, mode=mode, coverage=coverage, identities=identities)


def _built_in(
    service: Service,
    port: ServicePort,
    rule: DestinationRule | None,
    endpoints: tuple[Endpoint, ...],
    client: Client,
    mesh: MeshConfig,
) -> tuple[ClusterLoadAssignment, ...]:
    return tuple(
        built_in_assignment(service, port, rule, subset, endpoints, client, mesh)
        for _, subset in cluster_names(service, port, rule)
    )


def _assignments(each: _Port, outbound: OutboundScope, memo: Memo) -> tuple[EnvoyResource, ...]:
    members = outbound.endpoints.get(each.service.key, ())
    own = memo.call(endpoints_of_port, members, each.port.name)
    client = _client(each, outbound, memo)
    return memo.call(
        _compiled_assignments, memo, each.service, each.port, each.rule, own, client, outbound.mesh
    )


def _compiled_assignments(
    memo: Memo,
    service: Service,
    port: ServicePort,
    rule: DestinationRule | None,
    endpoints: tuple[Endpoint, ...],
    client: Client,
    mesh: MeshConfig,
) -> tuple[EnvoyResource, ...]:
    return tuple(
        compile_assignment(memo, service, port, rule, subset, endpoints, client, mesh)
        for _, subset in cluster_names(service, port, rule)
    )


def _inbound(scope: InboundScope) -> tuple[list[EnvoyResource], list[EnvoyResource]]:
    listeners = [
        resource(listener.name, listener, uses=listener_clusters(listener))
        for listener in compile_inbound_listeners(scope)
    ]
    return listeners, [resource(c.name, c) for c in compile_inbound_clusters(scope)]


def _gateway(
    scope: GatewayScope, services: tuple[Service, ...], labels: tuple[tuple[str, str], ...]
) -> tuple[list[EnvoyResource], list[EnvoyResource]]:
    by_name = services_by_hostname(services)
    listeners = [
        resource(listener.name, listener, uses=listener_clusters(listener))
        for listener in compile_gateway_listeners(scope, by_name)
    ]
    routes = [
        resource(routes.name, routes, uses=route_clusters(routes))
        for routes in compile_gateway_routes(scope, by_name, labels)
    ]
    return listeners, routes


def _named(compiled: Iterable[EnvoyResource]) -> dict[str, EnvoyResource]:
    """By name, the first of each: what is declared earlier counts."""
    named: dict[str, EnvoyResource] = {}
    for each in compiled:
        named.setdefault(each.name, each)
    return named
