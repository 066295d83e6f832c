"""Services with their endpoints, kept up to date change by change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clew.model.base import Resource, ResourceKey, age_order
from clew.model.core_service import CoreService
from clew.model.endpoint_slice import EndpointSlice
from clew.model.endpoints import Endpoints
from clew.model.mesh_config import MeshConfig
from clew.model.node import Node
from clew.model.pod import Pod
from clew.model.service import Endpoint, Locality, Service, ServiceKey
from clew.model.service_entry import ServiceEntry
from clew.model.workload_entry import WorkloadEntry
from clew.snapshot.endpoints import entry_endpoints, kubernetes_endpoints
from clew.snapshot.labels import node_locality
from clew.snapshot.objects import Change, Objects, objects_of
from clew.snapshot.places import (
    PLACES,
    Places,
    change_places,
    entry_labels,
    index_places,
    pod_address,
    slice_service,
)
from clew.snapshot.service_index import Services, index_services
from clew.snapshot.services import (
    allocate_addresses,
    entry_services,
    kubernetes_key,
    kubernetes_service,
    service_age,
)

DECLARING = (CoreService, ServiceEntry)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registry:
    """``addresses``: by address of an endpoint, the services that it is one of."""

    services: Services = field(default_factory=Services)
    entries: Mapping[ResourceKey, ServiceEntry] = field(default_factory=dict)
    places: Mapping[str, Places] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]] = field(default_factory=dict)
    addresses: Mapping[str, frozenset[ServiceKey]] = field(default_factory=dict)

    def places_of(self, namespace: str) -> Places:
        return self.places.get(namespace, _NO_PLACES)

    def endpoints_of(self, service: ServiceKey) -> tuple[Endpoint, ...]:
        return self.endpoints.get(service, ())

    def services_at(self, addresses: Iterable[str]) -> set[ServiceKey]:
        """Return the services that have an endpoint at one of these addresses."""
        return {key for a in addresses for key in self.addresses.get(a, ())}


_NO_PLACES = Places()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changed: services, endpoints, and addresses where other ports may be served."""

    services: tuple[Service, ...] = ()
    endpoints: frozenset[ServiceKey] = frozenset()
    addresses: frozenset[str] = frozenset()


def build_registry(objects: Objects, mesh: MeshConfig) -> Registry:
    registry = Registry(
        services=_declared_services(objects, mesh, Services(), frozenset()),
        entries={entry.key: entry for entry in objects_of(ServiceEntry, objects)},
        places=index_places(r for kind in PLACES for r in objects_of(kind, objects)),
        nodes={node.metadata.name: node for node in objects_of(Node, objects)},
    )
    endpoints = {s.key: _endpoints_of(s, registry) for s in registry.services.ordered}
    addresses: dict[str, set[ServiceKey]] = {}
    for key, found in endpoints.items():
        for endpoint in found:
            addresses.setdefault(endpoint.address, set()).add(key)
    known = {address: frozenset(keys) for address, keys in addresses.items()}
    return replace(registry, endpoints=endpoints, addresses=known)


def change_registry(
    before: Registry, objects: Objects, changes: Sequence[Change], mesh: MeshConfig
) -> tuple[Registry, Difference]:
    """Return the registry after changes of what it is made of, and what differs.

    Endpoints are found again only for services that a change may concern; what comes out equal
    stays the same object.
    """
    services, entries, nodes = before.services, before.entries, before.nodes
    if any(change.kind in DECLARING for change in changes):
        changed = frozenset(side.key for change in changes for side in change.sides)
        services = _declared_services(objects, mesh, before.services, changed)
        entries = {entry.key: entry for entry in objects_of(ServiceEntry, objects)}
    if any(change.kind is Node for change in changes):
        nodes = {node.metadata.name: node for node in objects_of(Node, objects)}
    places = change_places(before.places, [c for c in changes if c.kind in PLACES])
    sources = Registry(services=services, entries=entries, places=places, nodes=nodes)
    declared = _changed_services(before.services, services)
    concerned = {service.key for service in declared}
    concerned |= {key for change in changes for key in _concerned(change, before, sources)}
    endpoints, addresses = dict(before.endpoints), dict(before.addresses)
    differing = _find_again(concerned, sources, endpoints, addresses)
    after = replace(sources, endpoints=endpoints, addresses=addresses)
    moved = _moved(before, after, differing)
    moved |= {e.address for s in declared for r in (before, after) for e in r.endpoints_of(s.key)}
    moved |= {pod_address(s) for c in changes for s in c.sides if isinstance(s, Pod)}
    difference = Difference(
        services=declared, endpoints=frozenset(differing), addresses=frozenset(moved - {""})
    )
    return after, difference


def _moved(before: Registry, after: Registry, services: Iterable[ServiceKey]) -> set[str]:
    """Return the addresses at which these services have other ports now."""
    old, new = (
        {
            (e.address, e.port, e.port_name, key)
            for key in services
            for e in registry.endpoints_of(key)
        }
        for registry in (before, after)
    )
    return {address for address, *_ in old ^ new}


def _find_again(
    concerned: Iterable[ServiceKey],
    registry: Registry,
    endpoints: dict[ServiceKey, tuple[Endpoint, ...]],
    addresses: dict[str, frozenset[ServiceKey]],
) -> set[ServiceKey]:
    """Bring ``endpoints`` and ``addresses`` up to date; return the services that differ."""
    differing = set()
    for key in concerned:
        service = registry.services.by_key.get(key)
        old = endpoints.pop(key, None)
        new = _endpoints_of(service, registry) if service else None
        if new is not None:
            endpoints[key] = old if old is not None and new == old else new
        if new != old:
            differing.add(key)
            gone = {e.address for e in old or ()} - {e.address for e in new or ()}
            for address in gone:
                if rest := addresses[address] - {key}:
                    addresses[address] = rest
                else:
                    del addresses[address]
            for endpoint in new or ():
                known = addresses.get(endpoint.address, frozenset())
                if key not in known:
                    addresses[endpoint.address] = known | {key}
    return differing


def _endpoints_of(service: Service, registry: Registry) -> tuple[Endpoint, ...]:
    places = registry.places_of(service.namespace)
    if service.kubernetes:
        return kubernetes_endpoints(service, places, registry.nodes)
    return entry_endpoints(registry.entries[service.source], service, places, registry.nodes)


def _declared_services(
    objects: Objects, mesh: MeshConfig, before: Services, changed: frozenset[ResourceKey]
) -> Services:
    """Return all services; those that are as they were stay the same objects."""
    services: dict[ServiceKey, Service] = {}
    for declared in objects_of(CoreService, objects):
        meta = declared.metadata
        known = before.by_key.get(kubernetes_key(meta.name, meta.namespace))
        if known is None or declared.key in changed:
            known = kubernetes_service(declared, mesh)
        services[known.key] = known
    entries = sorted(objects_of(ServiceEntry, objects), key=age_order)
    allocated = allocate_addresses(entries)
    for entry in entries:
        for service in entry_services(entry, mesh, allocated):
            # A Kubernetes Service, or an older entry, may have this host already.
            services.setdefault(service.key, service)
    kept = {key: _kept(before, service) for key, service in services.items()}
    if kept == before.by_key:
        return before
    return index_services(sorted(kept.values(), key=service_age))


def _kept(before: Services, service: Service) -> Service:
    known = before.by_key.get(service.key)
    return known if known is not None and known == service else service


def _changed_services(before: Services, after: Services) -> tuple[Service, ...]:
    """Return the services that came, went or changed, as they were and as they are."""
    if before is after:
        return ()
    gone = (s for key, s in before.by_key.items() if after.by_key.get(key) is not s)
    come = (s for key, s in after.by_key.items() if before.by_key.get(key) is not s)
    return (*gone, *come)


def _concerned(change: Change, before: Registry, after: Registry) -> Iterator[ServiceKey]:
    """Yield the services whose endpoints a change of another object may concern."""
    services = after.services
    for side in change.sides:
        name, namespace = side.metadata.name, side.metadata.namespace
        match side:
            case Pod():
                yield from before.addresses.get(pod_address(side), ())
                yield from (s.key for s in services.that_select(namespace, side.metadata.labels))
            case WorkloadEntry():
                yield from (s.key for s in services.that_select(namespace, entry_labels(side)))
            case EndpointSlice():
                yield kubernetes_key(slice_service(side), namespace)
            case Endpoints():
                yield kubernetes_key(name, namespace)
            case ServiceEntry():
                yield from (s.key for s in services.ordered if s.source == side.key)
            case Node() if _locality(change.old) != _locality(change.new):
                yield from services.by_key


def _locality(node: Resource | None) -> Locality | None:
    return node_locality(node.metadata.labels) if node else None
