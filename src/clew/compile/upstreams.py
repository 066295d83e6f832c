"""A service as an upstream: the clusters of its ports and subsets, and their endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from clew.compile.clusters import (
    CAPTURED,
    EAST_WEST,
    ROUTER,
    UNCAPTURED,
    Site,
    Upstream,
    cluster_names,
    compile_clusters,
    discovery,
)
from clew.compile.endpoint_facts import (
    Coverage,
    EndpointFacts,
    endpoint_facts,
    endpoints_of_port,
)
from clew.compile.endpoints import built_in_assignment, compile_assignment
from clew.compile.locality import Client
from clew.compile.memo import Memo
from clew.compile.sni_clusters import sni_clusters, sni_name
from clew.compile.split_horizon import seen_from
from clew.model.destination_rule import DestinationRule, LoadBalancerSettings
from clew.model.gateway import ServerTLSMode
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception
from clew.model.service import Endpoint, Locality, Protocol, Resolution, Service, ServicePort
from clew.model.xds import EnvoyResource
from clew.snapshot.networks import Networks
from clew.snapshot.scope import MutualTls, OutboundScope, ProxyScope

_BY_DNS = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)


@dataclass(frozen=True, slots=True)
class Upstreams:
    """``endpoints`` are the load assignments of those ``clusters`` that ask for them."""

    clusters: tuple[EnvoyResource, ...]
    endpoints: tuple[EnvoyResource, ...]


def site_of(scope: ProxyScope) -> Site:
    """Where a proxy stands: in the way of captured traffic, or called by its own address."""
    if scope.gateway is not None:
        servers = (each.server.tls for each in scope.gateway.servers)
        passes = any(tls and tls.mode is ServerTLSMode.AUTO_PASSTHROUGH for tls in servers)
        return EAST_WEST if passes else ROUTER
    uncaptured = scope.outbound.interception is Interception.NONE
    return UNCAPTURED if uncaptured else CAPTURED


def compile_upstreams(
    services: Iterable[Service], outbound: OutboundScope, site: Site, memo: Memo
) -> Iterator[Upstreams]:
    """The clusters and endpoints of ``services``, compiled again only where something changed."""
    mesh = outbound.mesh
    place = memo.call(
        _Place,
        *outbound.locality,
        outbound.network,
        frozenset(outbound.network_view),
        outbound.networks,
        outbound.trust_domain,
        site,
        mesh,
    )
    compares_all = _compares_labels(mesh, None)
    for service in services:
        if service.resolution is Resolution.ALIAS:
            continue
        host = service.hostname
        rule = outbound.destination_rules.get(host)
        compares = (
            compares_all
            or service.traffic_distribution != ""
            or (rule is not None and memo.call(_compares_labels, mesh, rule))
        )
        yield memo.call(
            _compiled,
            memo,
            service,
            rule,
            outbound.endpoints.get(service.key, ()),
            # By value, since scopes that agree on these share the result.
            frozenset((p.number, outbound.mutual_tls.get((host, p.number))) for p in service.ports),
            frozenset(outbound.labels) if compares else frozenset(),
            outbound.node if service.by_node else "",
            place,
        )


def upstreams_shape(
    services: Iterable[Service], outbound: OutboundScope, site: Site, memo: Memo
) -> Mapping[tuple[str, int], EndpointFacts | tuple[Endpoint, ...]]:
    """What anything but the load assignments depends on of the endpoints of ``services``.

    While it stays the same, a change of endpoints is a matter of load assignments alone.
    """
    shape: dict[tuple[str, int], EndpointFacts | tuple[Endpoint, ...]] = {}
    for service in services:
        rule = outbound.destination_rules.get(service.hostname)
        members = outbound.endpoints.get(service.key, ())
        for port in _ports(service):
            own = memo.call(endpoints_of_port, members, port.name)
            by_us = discovery(service, rule, port.number, site) is Resolution.EDS
            facts = memo.call(endpoint_facts, own, outbound.trust_domain)
            shape[(service.hostname, port.number)] = facts if by_us else own
    return shape


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a proxy is, and in which mesh: one object for all proxies of which this is the same."""

    region: str
    zone: str
    subzone: str
    network: str
    view: frozenset[str]
    networks: Networks
    trust_domain: str
    site: Site
    mesh: MeshConfig


def _compiled(
    memo: Memo,
    service: Service,
    rule: DestinationRule | None,
    members: tuple[Endpoint, ...],
    modes: frozenset[tuple[int, MutualTls | None]],
    labels: frozenset[tuple[str, str]],
    node: str,
    place: _Place,
) -> Upstreams:
    network, site, mesh = place.network, place.site, place.mesh
    locality = Locality(place.region, place.zone, place.subzone)
    client = Client(locality, network, tuple(sorted(labels)), node)
    mode_by_port = dict(modes)
    clusters: list[EnvoyResource] = []
    endpoints: list[EnvoyResource] = []
    for port in _ports(service):
        own = memo.call(endpoints_of_port, members, port.name)
        how = discovery(service, rule, port.number, site)
        facts = memo.call(endpoint_facts, own, place.trust_domain)
        upstream = memo.call(
            _upstream, service, port, mode_by_port[port.number], facts.coverage, facts.identities
        )
        if place.networks.gateways or place.view:
            own = memo.call(seen_from, network, place.view, own, place.networks)
        subsets = [subset for _, subset in cluster_names(service, port, rule)]
        mixed = facts.coverage is Coverage.SOME
        if how is not Resolution.EDS:
            built_in = (
                built_in_assignment(service, port, rule, subset, own, client, mesh, marks=mixed)
                for subset in subsets
                if how in _BY_DNS
            )
            clusters += compile_clusters(upstream, rule, tuple(built_in), site, mesh)
            continue
        endpoints += (
            compile_assignment(service, port, rule, subset, own, client, mesh, marks=mixed)
            for subset in subsets
            if discovery(service, rule, port.number, site, subset) is Resolution.EDS
        )
        ours = memo.call(compile_clusters, upstream, rule, (), site, mesh)
        clusters += ours
        if site.passes_mesh_tls and not service.mesh_external:
            clusters += memo.call(sni_clusters, service, port, ours)
            # Whatever comes without mTLS could not be passed on: nobody would know of it.
            own = tuple(e for e in own if e.mutual_tls)
            endpoints += (
                compile_assignment(service, port, rule, subset, own, client, mesh, name)
                for subset in subsets
                for name in (sni_name(service, port, subset),)
            )
    return Upstreams(tuple(clusters), tuple(endpoints))


def _ports(service: Service) -> Iterator[ServicePort]:
    return (port for port in service.ports if port.protocol is not Protocol.UDP)


def _upstream(
    service: Service,
    port: ServicePort,
    mode: MutualTls | None,
    coverage: Coverage,
    identities: frozenset[str],
) -> Upstream:
    """One value for equal facts, so that clusters are not compiled for every new endpoint."""
    return Upstream(service=service, port=port, mode=mode, coverage=coverage, identities=identities)


def _compares_labels(mesh: MeshConfig, rule: DestinationRule | None) -> bool:
    """Whether the proxy's own labels have a say in which endpoints it prefers."""
    places = (mesh, *(_balancers(rule) if rule is not None else ()))
    settings = (s for p in places for s in (p.locality_lb_setting, p.zone_aware_lb_setting))
    return any(setting is not None and setting.failover_priority for setting in settings)


def _balancers(rule: DestinationRule) -> Iterator[LoadBalancerSettings]:
    policies = (rule.spec.traffic_policy, *(s.traffic_policy for s in rule.spec.subsets))
    for policy in policies:
        if policy is not None:
            levels = (policy.load_balancer, *(p.load_balancer for p in policy.port_level_settings))
            yield from (balancer for balancer in levels if balancer is not None)
