"""Services with their endpoints, kept up to date change by change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from clew.model.base import Resource, ResourceKey, age_order
from clew.model.core_service import CoreService
from clew.model.endpoint_slice import EndpointSlice
from clew.model.endpoints import Endpoints
from clew.model.mesh_config import MeshConfig
from clew.model.namespace import Namespace
from clew.model.node import Node
from clew.model.peer_authentication import PeerAuthentication
from clew.model.pod import Pod
from clew.model.service import Endpoint, Locality, Service, ServiceKey
from clew.model.service_entry import ServiceEntry
from clew.model.workload_entry import WorkloadEntry
from clew.snapshot.discovery import limited, limits_of_entries
from clew.snapshot.endpoints import (
    entry_endpoints,
    in_networks,
    kubernetes_endpoints,
    without_refused_mtls,
)
from clew.snapshot.labels import node_locality
from clew.snapshot.networks import ONE_NETWORK, Networks, index_networks, shapes_networks
from clew.snapshot.objects import Change, Objects, Spread, all_replaced, objects_of
from clew.snapshot.peer_authentication import Authentication, index_authentication
from clew.snapshot.places import (
    PLACES,
    Places,
    change_places,
    entry_labels,
    index_places,
    pod_addresses,
    slice_service,
)
from clew.snapshot.service_index import Services, index_services
from clew.snapshot.services import (
    allocate_addresses,
    entry_services,
    joined,
    kubernetes_key,
    kubernetes_service,
    service_age,
)

DECLARING = (CoreService, ServiceEntry)
REGISTERED = (*PLACES, *DECLARING, Node, Namespace, PeerAuthentication)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registry:
    """``addresses``: by address of an endpoint, the services that it is one of."""

    services: Services = field(default_factory=Services)
    entries: Mapping[ResourceKey, ServiceEntry] = field(default_factory=dict)
    places: Mapping[str, Places] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    authentication: Authentication = field(default_factory=Authentication)
    networks: Networks = ONE_NETWORK
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]] = field(default_factory=dict)
    addresses: Spread[frozenset[ServiceKey]] = field(default_factory=Spread)

    def places_of(self, namespace: str) -> Places:
        return self.places.get(namespace, _NO_PLACES)

    def endpoints_of(self, service: ServiceKey) -> tuple[Endpoint, ...]:
        return self.endpoints.get(service, ())

    def services_at(self, addresses: Iterable[str]) -> set[ServiceKey]:
        """Return the services that have an endpoint at one of these addresses."""
        return {key for a in addresses for key in self.addresses.get(a) or ()}


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
        authentication=_authentication(objects, mesh),
        networks=index_networks(objects, mesh),
    )
    endpoints = {s.key: _endpoints_of(s, registry) for s in registry.services.ordered}
    addresses: dict[str, frozenset[ServiceKey]] = {}
    for key, found in endpoints.items():
        alone = frozenset((key,))  # One object for all addresses that only this service has.
        for endpoint in found:
            others = addresses.get(endpoint.address, alone)
            addresses[endpoint.address] = others if others is alone else others | alone
    return replace(registry, endpoints=endpoints, addresses=Spread.of(addresses))


def change_registry(
    before: Registry, objects: Objects, changes: Sequence[Change], mesh: MeshConfig
) -> tuple[Registry, Difference]:
    """Return the registry after changes of what it is made of, and what differs.

    Endpoints are found again only for services that a change may concern; what comes out equal
    stays the same object.
    """
    sources = _sources(before, objects, changes, mesh)
    declared = _changed_services(before.services, sources.services)
    concerned = {service.key for service in declared}
    concerned |= {key for change in changes for key in _concerned(change, before, sources)}
    differing = _find_again(concerned, before, sources)
    after = replace(
        sources,
        endpoints=all_replaced(before.endpoints, differing),
        addresses=_readdressed(before, differing),
    )
    moved = _moved(before, after, differing)
    moved |= {e.address for s in declared for r in (before, after) for e in r.endpoints_of(s.key)}
    moved |= {a for c in changes for s in c.sides if isinstance(s, Pod) for a in pod_addresses(s)}
    difference = Difference(
        services=declared, endpoints=frozenset(differing), addresses=frozenset(moved - {""})
    )
    return after, difference


def _sources(
    before: Registry, objects: Objects, changes: Sequence[Change], mesh: MeshConfig
) -> Registry:
    """Return what endpoints are found from, without those yet."""
    services, entries, nodes = before.services, before.entries, before.nodes
    limiting = (Namespace,) if mesh.service_entry_visibility is not None else ()
    if any(change.kind in (*DECLARING, *limiting) for change in changes):
        changed = frozenset(side.key for change in changes for side in change.sides)
        services = _declared_services(objects, mesh, before.services, changed)
        entries = {entry.key: entry for entry in objects_of(ServiceEntry, objects)}
    if any(change.kind is Node for change in changes):
        nodes = {node.metadata.name: node for node in objects_of(Node, objects)}
    authentication = before.authentication
    if any(change.kind is PeerAuthentication for change in changes):
        authentication = _authentication(objects, mesh)
    networks = before.networks
    if any(shapes_networks(change.sides, mesh, networks) for change in changes):
        networks = index_networks(objects, mesh)
    return Registry(
        services=services,
        entries=entries,
        networks=before.networks if networks == before.networks else networks,
        places=change_places(before.places, [c for c in changes if c.kind in PLACES]),
        nodes=nodes,
        authentication=authentication,
    )


def _authentication(objects: Objects, mesh: MeshConfig) -> Authentication:
    return index_authentication(objects_of(PeerAuthentication, objects), mesh.root_namespace)


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
    concerned: Iterable[ServiceKey], before: Registry, sources: Registry
) -> dict[ServiceKey, tuple[Endpoint, ...] | None]:
    """Return the endpoints of those services where they differ; None: it is no service now."""
    found: dict[ServiceKey, tuple[Endpoint, ...] | None] = {}
    for key in concerned:
        service = sources.services.by_key.get(key)
        new = _endpoints_of(service, sources) if service else None
        if new != before.endpoints.get(key):
            found[key] = new
    return found


def _readdressed(
    before: Registry, differing: Mapping[ServiceKey, tuple[Endpoint, ...] | None]
) -> Spread[frozenset[ServiceKey]]:
    changed: dict[str, frozenset[ServiceKey]] = {}
    for key, new in differing.items():
        old_addresses = {e.address for e in before.endpoints_of(key)}
        new_addresses = {e.address for e in new or ()}
        for address in old_addresses ^ new_addresses:
            known = before.addresses.get(address) or frozenset()
            changed[address] = changed.get(address, known) ^ {key}
    return before.addresses.with_changes({a: keys or None for a, keys in changed.items()})


def _endpoints_of(service: Service, sources: Registry) -> tuple[Endpoint, ...]:
    places, nodes = sources.places_of(service.namespace), sources.nodes
    if service.kubernetes:
        found = kubernetes_endpoints(service, places, nodes)
    else:
        declared = (sources.entries[key] for key in (service.source, *service.also))
        parts = (entry_endpoints(entry, service, places, nodes) for entry in declared)
        found = tuple(dict.fromkeys(chain.from_iterable(parts)))
    return without_refused_mtls(in_networks(found, sources.networks), sources.authentication)


def _declared_services(
    objects: Objects, mesh: MeshConfig, before: Services, changed: frozenset[ResourceKey]
) -> Services:
    """Return all services; those that are as they were stay the same objects."""
    services: dict[ServiceKey, Service] = {}
    for declared in objects_of(CoreService, objects):
        meta = declared.metadata
        known = before.by_key.get(kubernetes_key(meta.name, meta.namespace))
        if known is None or declared.key in changed or known.subject_alt_names:
            known = kubernetes_service(declared, mesh)
        services[known.key] = known
    entries = sorted(objects_of(ServiceEntry, objects), key=age_order)
    allocated, limits = allocate_addresses(entries), limits_of_entries(objects, mesh)
    for entry in entries:
        for service in entry_services(entry, mesh, allocated):
            export_to = limited(service.export_to, service.namespace, limits)
            seen = replace(service, export_to=export_to)
            older = services.get(service.key)
            services[service.key] = seen if older is None else joined(older, seen)
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
                yield from before.services_at(pod_addresses(side))
                yield from (s.key for s in services.that_select(namespace, side.metadata.labels))
            case WorkloadEntry():
                yield from (s.key for s in services.that_select(namespace, entry_labels(side)))
            case EndpointSlice():
                yield kubernetes_key(slice_service(side), namespace)
            case Endpoints():
                yield kubernetes_key(name, namespace)
            case ServiceEntry():
                declared = services.ordered
                yield from (s.key for s in declared if side.key in (s.source, *s.also))
            case PeerAuthentication() if namespace != before.authentication.root_namespace:
                yield from (s.key for s in services.by_namespace.get(namespace, ()))
            case PeerAuthentication():
                yield from services.by_key
            case Namespace() if before.networks is not after.networks:
                yield from services.by_key
            case Node() if _locality(change.old) != _locality(change.new):
                yield from services.by_key


def _locality(node: Resource | None) -> Locality | None:
    return node_locality(node.metadata.labels) if node else None
