"""What becomes of requests to one service: its rules as decisions, endpoints and policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from clew.api.messages import Key, key_message
from clew.api.views import (
    RouteTable,
    RouteTarget,
    RouteView,
    ServiceSummary,
)
from clew.model.base import ResourceKey
from clew.model.names import short_to_fqdn
from clew.model.route_semantics import parents
from clew.model.service import Resolution, Service, ServiceKey
from clew.model.virtual_service import (
    HTTPRoute,
    HTTPRouteDestination,
    RouteDestination,
    TCPRoute,
    TLSRoute,
    VirtualService,
)
from clew.server.endpoint_views import by_address, healthy, rule_of
from clew.server.route_words import actions, http_match, l4_match
from clew.snapshot.hosts import covers
from clew.snapshot.labels import selects
from clew.snapshot.services import DOMAIN
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.virtual_services import MESH, destinations, with_delegates

Split = HTTPRouteDestination | RouteDestination
NONE_HEALTHY = "none of its endpoints is healthy: 503"


def service_summaries(snapshot: MeshSnapshot) -> Iterator[ServiceSummary]:
    """Yield the services in order of namespace and host."""
    ruled = _ruled_hosts(snapshot)
    for service in sorted(snapshot.services.ordered, key=lambda s: (s.namespace, s.hostname)):
        yield _summary(snapshot, service, ruled)


def service_summary(snapshot: MeshSnapshot, service: Service) -> ServiceSummary:
    return _summary(snapshot, service, _ruled_hosts(snapshot))


def _summary(
    snapshot: MeshSnapshot, service: Service, ruled: Mapping[str, list[ResourceKey]]
) -> ServiceSummary:
    endpoints = by_address(snapshot.endpoints.get(service.key, ()))
    rules = dict.fromkeys(
        key for host in _covering(service.hostname) for key in ruled.get(host, ())
    )
    versions = {dict(e.workload.labels).get("version", "") for e in endpoints}
    return ServiceSummary(
        host=service.hostname,
        namespace=service.namespace,
        name=service.name,
        source=key_message(service.source),
        ports=tuple(f"{p.number} {_protocol(p.protocol.value)}" for p in service.ports),
        healthy=healthy(endpoints),
        endpoints=len(endpoints),
        rules=tuple(map(key_message, rules)),
        versions=tuple(sorted(filter(None, versions))),
    )


def _protocol(protocol: str) -> str:
    return "auto" if protocol == "UnsupportedProtocol" else protocol


def _ruled_hosts(snapshot: MeshSnapshot) -> dict[str, list[ResourceKey]]:
    """The VirtualServices by host, "*" of gateways left out."""
    found: dict[str, list[ResourceKey]] = {}
    for rule in snapshot.virtual_services.merged.values():
        for host in rule.spec.hosts:
            found.setdefault(host, []).append(_written(rule))
    found.pop("*", None)
    return found


def _covering(host: str) -> Iterator[str]:
    """Yield ``a.b.c``, ``*.b.c``, ``*.c``."""
    yield host
    rest = host
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"


def _written(rule: VirtualService) -> ResourceKey:
    """The object that people wrote."""
    return next(iter(parents(rule)), rule.key)


def route_tables(
    snapshot: MeshSnapshot, service: Service, namespace: str
) -> tuple[RouteTable, ...]:
    """How sidecars of a namespace route requests to the service, then how gateways lead to it."""
    tables = [_mesh_table(snapshot, service, namespace)]
    for rule in snapshot.virtual_services.merged.values():
        leads_here = service.hostname in destinations(rule)
        for gateway in rule.spec.gateways if leads_here else ():
            if gateway != MESH:
                routes = _rule_routes(snapshot, rule, namespace, gateway)
                tables.append(RouteTable(gateway=gateway, hosts=rule.spec.hosts, routes=routes))
    return tuple(tables)


def _mesh_table(snapshot: MeshSnapshot, service: Service, namespace: str) -> RouteTable:
    rules = [
        (len(host), -place, rule)
        for place, rule in enumerate(snapshot.virtual_services.seen_by(namespace))
        for host in rule.spec.hosts
        if covers(host, service.hostname)
    ]
    if not rules:
        here = RouteTarget(
            host=service.hostname, **_reach(snapshot, service.hostname, "", namespace)
        )
        only = RouteView(source=key_message(service.source), targets=(here,))
        return RouteTable(gateway=MESH, hosts=(service.hostname,), routes=(only,))
    # The most specific host decides, and of equals the rule that comes first.
    rule = max(rules, key=lambda found: found[:2])[2]
    routes = _rule_routes(snapshot, rule, namespace, MESH)
    return RouteTable(gateway=MESH, hosts=rule.spec.hosts, routes=routes)


def _rule_routes(
    snapshot: MeshSnapshot, rule: VirtualService, namespace: str, gateway: str
) -> tuple[RouteView, ...]:
    found: list[RouteView] = []
    for source, field, route in _http_routes(snapshot, rule):
        at = [m for m in route.match if not m.gateways or gateway in m.gateways]
        if route.match and not at:
            continue
        view = RouteView(
            source=source,
            field=field,
            name=route.name,
            matches=_alternatives([http_match(match) for match in at]),
            targets=_targets(snapshot, route.route, field, namespace),
            actions=actions(route),
        )
        found.append(view)
        if not view.matches:
            return tuple(found)
    if found:
        found.append(RouteView(actions=("answer 404: no route matches",)))
    return (*found, *_l4_routes(snapshot, rule, namespace, gateway))


def _l4_routes(
    snapshot: MeshSnapshot, rule: VirtualService, namespace: str, gateway: str
) -> Iterator[RouteView]:
    listed: tuple[tuple[str, Sequence[TLSRoute | TCPRoute]], ...] = (
        ("tls", rule.spec.tls),
        ("tcp", rule.spec.tcp),
    )
    for protocol, routes in listed:
        for index, route in enumerate(routes):
            field = f"spec.{protocol}[{index}]"
            at = [m for m in route.match if not m.gateways or gateway in m.gateways]
            if route.match and not at:
                continue
            yield RouteView(
                source=key_message(_written(rule)),
                field="" if parents(rule) else field,
                protocol=protocol,
                matches=_alternatives([l4_match(match) for match in at]),
                targets=_targets(snapshot, route.route, field, namespace),
            )


def _alternatives(texts: Sequence[str]) -> tuple[str, ...]:
    return () if "" in texts else tuple(texts)


def _http_routes(
    snapshot: MeshSnapshot, rule: VirtualService
) -> Iterator[tuple[Key, str, HTTPRoute]]:
    """Yield the routes in order, each with the object and the field in which it is written."""
    index = snapshot.virtual_services
    root = index.resolved.get(rule.key, rule)
    written = "" if parents(rule) else "spec.http[{}]"
    for place, route in enumerate(root.spec.http):
        if route.delegate is None:
            yield key_message(_written(rule)), written.format(place), route
            continue
        where = (route.delegate.namespace or root.metadata.namespace, route.delegate.name)
        leaf = index.delegates.get(where)
        for inner, single in enumerate(leaf.spec.http) if leaf is not None else ():
            assert leaf is not None
            one = _with_routes(leaf, (single,))
            merged = with_delegates(_with_routes(root, (route,)), {where: one}, snapshot.mesh)
            for found in merged.spec.http:
                yield key_message(leaf.key), f"spec.http[{inner}]", found


def _with_routes(rule: VirtualService, routes: tuple[HTTPRoute, ...]) -> VirtualService:
    return replace(rule, spec=replace(rule.spec, http=routes))


def dead_subsets(snapshot: MeshSnapshot) -> Iterator[tuple[Key, RouteTarget]]:
    """Yield the destinations of VirtualServices whose subset has no healthy endpoint."""
    for rule in snapshot.virtual_services.merged.values():
        namespace = rule.metadata.namespace
        for source, field, route in _http_routes(snapshot, rule):
            for target in _targets(snapshot, route.route, field, namespace):
                if target.subset and target.weight and target.problem == NONE_HEALTHY:
                    yield source, target


def _targets(
    snapshot: MeshSnapshot, splits: Sequence[Split], field: str, namespace: str
) -> tuple[RouteTarget, ...]:
    total = sum(split.weight or 0 for split in splits)
    found = []
    for index, split in enumerate(splits):
        to = split.destination
        weight = 100.0 if len(splits) == 1 else 100.0 * (split.weight or 0) / (total or 1)
        target = RouteTarget(
            host=to.host,
            subset=to.subset,
            port=(to.port.number or 0) if to.port is not None else 0,
            weight=round(weight, 2),
            field=f"{field}.route[{index}]" if field else "",
            **_reach(snapshot, to.host, to.subset, namespace),
        )
        found.append(target)
    return tuple(found)


def _reach(snapshot: MeshSnapshot, host: str, subset: str, namespace: str) -> dict[str, Any]:
    """How many endpoints are behind a destination, or why there are none."""
    service = snapshot.services.at(host, namespace)
    if service is None:
        covered = any(covers(w, host) for w in snapshot.services.by_host if w.startswith("*"))
        return {} if covered else {"problem": f'there is no service "{host}": 503'}
    endpoints = by_address(snapshot.endpoints.get(service.key, ()))
    if subset:
        rule = rule_of(snapshot, service, namespace)
        labels = {s.name: s.labels for s in rule.spec.subsets} if rule is not None else {}
        if subset not in labels:
            return {"problem": f'no DestinationRule has the subset "{subset}": 503'}
        endpoints = [e for e in endpoints if selects(labels[subset], dict(e.workload.labels))]
    usable = healthy(endpoints)
    counts: dict[str, Any] = {"healthy": usable, "endpoints": len(endpoints)}
    if not usable and service.resolution is Resolution.EDS:
        counts["problem"] = NONE_HEALTHY
    return counts


def find_service(snapshot: MeshSnapshot, namespace: str, host: str) -> Service | None:
    """The service at a host, which may be its short name."""
    key = ServiceKey(short_to_fqdn(host, namespace, DOMAIN), namespace)
    return snapshot.services.by_key.get(key) or snapshot.services.by_key.get(
        ServiceKey(host, namespace)
    )
