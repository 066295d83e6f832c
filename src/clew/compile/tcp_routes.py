"""TLS and TCP rules of VirtualServices: filter chains of a listener that forwards connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from clew._pb.envoy.config.core.v3.address_pb2 import CidrRange
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
)
from clew.compile.destinations import destination_cluster
from clew.compile.dynamic_forward_proxy import resolve_server_name
from clew.compile.http_routes import provenance
from clew.compile.memo import Memo
from clew.compile.resources import encode, sources
from clew.compile.tcp_proxy import compile_tcp_proxy, connection_filters
from clew.compile.traffic_policy import policy_for
from clew.model import names
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.service import Resolution, Service, ServicePort
from clew.model.virtual_service import (
    L4MatchAttributes,
    RouteDestination,
    TLSMatchAttributes,
    VirtualService,
)
from clew.snapshot.hosts import covers, is_wildcard
from clew.snapshot.scope import EgressListener, OutboundScope
from clew.snapshot.virtual_services import MESH, destinations


@dataclass(frozen=True, slots=True)
class Chain:
    """One filter chain. ``key``: chains with equal ones would take the same connections."""

    message: FilterChain
    key: bytes
    uses: frozenset[str]
    sources: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a listener forwards to unless a rule says otherwise.

    ``port``: the listener's. ``ranges``: which addresses it stands for, if it stands for more
    than its own. ``by_name``: other hosts share the listener, so TLS connections are told apart by
    the name they ask for.
    """

    service: Service
    service_port: ServicePort
    port: int
    ranges: tuple[str, ...] = ()
    by_name: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules that speak of a target's host, and what they depend on."""

    virtual_services: tuple[VirtualService, ...]
    services: Mapping[str, Service]
    destination_rules: Mapping[str, DestinationRule]
    namespace: str
    labels: Mapping[str, str]
    mesh: MeshConfig


def chains_for(
    service: Service,
    port: ServicePort,
    ranges: str,
    by_name: bool,
    egress: EgressListener,
    scope: OutboundScope,
    memo: Memo,
) -> tuple[Chain, ...]:
    """The chains of a service port on one listener, compiled again only if what they need changes.

    ``ranges`` are joined by commas.
    """
    index = memo.call(_by_host, egress.virtual_services)
    rules = [*index.get(service.hostname, ())]
    rules += [vs for h, found in index.items() if _wild(h, service.hostname) for vs in found]
    hosts = sorted({service.hostname}.union(*(destinations(vs) for vs in rules)))
    known = memo.call(_by_hostname, scope.services)
    needs: list[object] = []
    for host in hosts:
        needs += (known.get(host), scope.destination_rules.get(host))
    return memo.call(
        _chains,
        service,
        port,
        ranges,
        by_name,
        scope.namespace,
        scope.labels if rules else (),
        scope.mesh,
        len(rules),
        *rules,
        *needs,
    )


def _chains(
    service: Service,
    port: ServicePort,
    ranges: str,
    by_name: bool,
    namespace: str,
    labels: tuple[tuple[str, str], ...],
    mesh: MeshConfig,
    count: int,
    *needs: VirtualService | Service | DestinationRule | None,
) -> tuple[Chain, ...]:
    """``needs``: ``count`` VirtualServices, then the services and rules of their destinations."""
    rest = needs[count:]
    rules = Rules(
        virtual_services=tuple(n for n in needs[:count] if isinstance(n, VirtualService)),
        services={s.hostname: s for s in rest if isinstance(s, Service)},
        destination_rules={
            s.hostname: rule
            for s, rule in zip(rest[::2], rest[1::2], strict=True)
            if isinstance(s, Service) and isinstance(rule, DestinationRule)
        },
        namespace=namespace,
        labels=dict(labels),
        mesh=mesh,
    )
    target = Target(
        service=service,
        service_port=port,
        port=port.number,
        ranges=tuple(ranges.split(",")) if ranges else (),
        by_name=by_name,
    )
    return compile_chains(target, rules)


def _by_host(
    virtual_services: tuple[VirtualService, ...],
) -> dict[str, tuple[VirtualService, ...]]:
    """VirtualServices with TLS or TCP rules, by host."""
    found: dict[str, list[VirtualService]] = {}
    for rules in virtual_services:
        for host in rules.spec.hosts if rules.spec.tls or rules.spec.tcp else ():
            found.setdefault(host, []).append(rules)
    return {host: tuple(rules) for host, rules in found.items()}


def _by_hostname(services: tuple[Service, ...]) -> dict[str, Service]:
    return {service.hostname: service for service in services}


def _wild(pattern: str, hostname: str) -> bool:
    return pattern != hostname and is_wildcard(pattern) and covers(pattern, hostname)


def compile_chains(target: Target, rules: Rules) -> tuple[Chain, ...]:
    """The chains of one service port: its rules', then the one without rules unless covered.

    Source: istio ``buildSidecarOutboundTCPTLSFilterChainOpts``.
    """
    if target.service_port.protocol.is_tls:
        return tuple(_tls_chains(target, rules))
    return tuple(_tcp_chains(target, rules))


def _tls_chains(target: Target, rules: Rules) -> Iterator[Chain]:
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for service in rules.virtual_services:
        for route in service.spec.tls:
            for match in route.match:
                predicates = (match.sni_hosts, match.destination_subnets)
                if not _holds(match, target.port, rules) or predicates in seen:
                    continue
                seen.add(predicates)
                ranges = match.destination_subnets or target.ranges
                yield _routed(service, route.route, match.sni_hosts, ranges, target, rules)
    if not seen:
        hosts = (target.service.hostname,) if target.by_name else ()
        yield _direct(target, rules, hosts)


def _tcp_chains(target: Target, rules: Rules) -> Iterator[Chain]:
    for service in rules.virtual_services:
        for route in service.spec.tcp:
            matches = [m for m in route.match if _holds(m, target.port, rules)]
            if route.match and not matches:
                continue
            if not route.match or any(not m.destination_subnets for m in matches):
                yield _routed(service, route.route, (), target.ranges, target, rules)
                return
            subnets = tuple(s for m in matches for s in m.destination_subnets)
            yield _routed(service, route.route, (), subnets, target, rules)
            if sorted(subnets) == sorted(target.ranges):
                return
    yield _direct(target, rules, ())


def _holds(match: L4MatchAttributes | TLSMatchAttributes, port: int, rules: Rules) -> bool:
    """Whether the conditions hold that are known before any connection."""
    if match.gateways and MESH not in match.gateways:
        return False
    if match.port is not None and match.port != port:
        return False
    if match.source_namespace and match.source_namespace != rules.namespace:
        return False
    return match.source_labels.items() <= rules.labels.items()


def _routed(
    service: VirtualService,
    destinations: Sequence[RouteDestination],
    server_names: Sequence[str],
    ranges: Sequence[str],
    target: Target,
    rules: Rules,
) -> Chain:
    known = rules.destination_rules
    proxy = compile_forwarding(
        service, destinations, target.port, rules.services, known, rules.mesh
    )
    to = rules.services.get(destinations[0].destination.host)
    before = _resolving(to, target)
    clusters = _shares(destinations, target.port, rules.services)
    protocol, prefix = target.service_port.protocol, _stat_prefix(service, clusters)
    chain = FilterChain(
        filters=[*before, *connection_filters(protocol, proxy, prefix)],
        metadata=provenance(service),
    )
    return _chain(chain, server_names, ranges, clusters, sources(service, target.service))


def compile_forwarding(
    service: VirtualService,
    destinations: Sequence[RouteDestination],
    port: int,
    services: Mapping[str, Service],
    destination_rules: Mapping[str, DestinationRule],
    mesh: MeshConfig,
) -> Filter:
    """The TCP proxy of a route of ``service`` on a listener's ``port``."""
    clusters = _shares(destinations, port, services)
    first = next((d for d in destinations if d.weight), destinations[0]).destination
    rule = destination_rules.get(first.host)
    return _proxy(_stat_prefix(service, clusters), clusters, rule, first.subset, mesh)


def _stat_prefix(service: VirtualService, clusters: Sequence[tuple[str, int]]) -> str:
    meta = service.metadata
    return clusters[0][0] if len(clusters) == 1 else f"{meta.name}.{meta.namespace}"


def _shares(
    destinations: Sequence[RouteDestination], port: int, services: Mapping[str, Service]
) -> list[tuple[str, int]]:
    """Clusters and their weights; without any weight everything goes to the first."""
    weighted = [d for d in destinations if d.weight] or destinations[:1]
    return [(destination_cluster(d.destination, services, port), d.weight or 1) for d in weighted]


def _direct(target: Target, rules: Rules, server_names: Sequence[str]) -> Chain:
    service = target.service
    port = service.ports[0].number if len(service.ports) == 1 else target.port
    cluster = names.outbound_cluster(port, service.external_name or service.hostname)
    rule = rules.destination_rules.get(service.hostname)
    proxy = _proxy(cluster, [(cluster, 1)], rule, "", rules.mesh)
    filters = connection_filters(target.service_port.protocol, proxy, cluster)
    chain = FilterChain(filters=[*_resolving(service, target), *filters])
    return _chain(chain, server_names, target.ranges, [(cluster, 1)], sources(service))


def _resolving(service: Service | None, target: Target) -> list[Filter]:
    """What goes before forwarding to a host that is known only by the name that TLS asks for."""
    asks = target.service_port.protocol.is_tls
    if service is None or service.resolution is not Resolution.DYNAMIC_DNS or not asks:
        return []
    return [resolve_server_name(target.port)]


def _proxy(
    prefix: str,
    clusters: Sequence[tuple[str, int]],
    rule: DestinationRule | None,
    subset: str,
    mesh: MeshConfig,
) -> Filter:
    first = clusters[0][0]
    port = 0 if first == names.UNKNOWN_SERVICE else int(first.split("|")[1])
    policy = policy_for(rule, port, subset, mesh)
    tcp = policy.connection_pool.tcp if policy.connection_pool else None
    balancer = policy.load_balancer
    consistent = balancer.consistent_hash if balancer is not None else None
    return compile_tcp_proxy(
        stat_prefix=prefix,
        clusters=clusters,
        mesh=mesh,
        idle_timeout=tcp.idle_timeout if tcp else None,
        max_connection_duration=tcp.max_connection_duration if tcp else None,
        tunnel=policy.tunnel,
        hash_source_address=consistent is not None and bool(consistent.use_source_ip),
    )


def _chain(
    chain: FilterChain,
    server_names: Sequence[str],
    ranges: Sequence[str],
    clusters: Sequence[tuple[str, int]],
    came_from: frozenset[str],
) -> Chain:
    if server_names or ranges:
        match = FilterChainMatch(
            # Names are compared in lower case; duplicates would be refused.
            server_names=list(dict.fromkeys(name.lower() for name in server_names if name != "*")),
            prefix_ranges=[cidr_range(r) for r in dict.fromkeys(ranges)],
        )
        if server_names:
            match.transport_protocol = "tls"
        chain.filter_chain_match.CopyFrom(match)
    uses = frozenset(name for name, _ in clusters)
    return Chain(chain, encode(chain.filter_chain_match), uses, came_from)


def cidr_range(text: str) -> CidrRange:
    """``10.0.0.0/8``, or one address."""
    network = ip_network(text, strict=False)
    found = CidrRange(address_prefix=str(network.network_address))
    found.prefix_len.value = network.prefixlen
    return found
