"""MeshSnapshot: every resource of the mesh, indexed for the questions that scopes ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from clew.config.parse import parse_mesh_config
from clew.model.base import Resource, ResourceKey, age_order
from clew.model.config_map import ConfigMap
from clew.model.core_service import CoreService
from clew.model.destination_rule import DestinationRule
from clew.model.endpoint_slice import EndpointSlice
from clew.model.endpoints import Endpoints
from clew.model.gateway import Gateway
from clew.model.mesh_config import MeshConfig
from clew.model.node import Node
from clew.model.peer_authentication import PeerAuthentication
from clew.model.pod import Pod
from clew.model.service import Endpoint, Service, ServiceKey
from clew.model.service_entry import ServiceEntry
from clew.model.sidecar import Sidecar
from clew.model.virtual_service import VirtualService
from clew.model.workload_entry import WorkloadEntry
from clew.snapshot.destination_rules import RulesByHost, index_destination_rules
from clew.snapshot.endpoints import Sources, entry_endpoints, kubernetes_endpoints
from clew.snapshot.services import (
    allocate_addresses,
    entry_services,
    kubernetes_service,
    service_age,
)
from clew.snapshot.virtual_services import resolve_virtual_services

T = TypeVar("T", bound=Resource)

MESH_CONFIG_MAP = "istio"
# Objects of these kinds say where services are served, never what or how.
_PLACES = (Pod, EndpointSlice, Endpoints, WorkloadEntry, Node)


@dataclass(frozen=True, slots=True)
class Dirty:
    """What a batch of changes touched: everything, or only the endpoints of some hosts."""

    everything: bool = False
    hosts: frozenset[str] = frozenset()
    endpoint_hosts: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.everything or bool(self.hosts or self.endpoint_hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSnapshot:
    """An immutable view. ``services`` are oldest first, several per hostname possible."""

    mesh: MeshConfig
    resources: Mapping[ResourceKey, Resource] = field(repr=False)
    services: tuple[Service, ...] = ()
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]]
    virtual_services: tuple[VirtualService, ...] = ()
    destination_rules: Mapping[str, RulesByHost]
    gateways: tuple[Gateway, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    peer_authentications: tuple[PeerAuthentication, ...] = ()


def build_snapshot(resources: Iterable[Resource], mesh: MeshConfig | None = None) -> MeshSnapshot:
    """Index resources; MeshConfig is that of ConfigMap ``istio`` unless it is given."""
    by_key = {resource.key: resource for resource in resources}
    settings = mesh or _mesh_config(by_key.values())
    services, endpoints = _registry(by_key, settings)
    return MeshSnapshot(
        mesh=settings,
        resources=by_key,
        services=services,
        endpoints=endpoints,
        virtual_services=resolve_virtual_services(_of(VirtualService, by_key), settings),
        destination_rules=index_destination_rules(_of(DestinationRule, by_key), settings),
        gateways=tuple(sorted(_of(Gateway, by_key), key=age_order)),
        sidecars=tuple(sorted(_of(Sidecar, by_key), key=age_order)),
        peer_authentications=tuple(sorted(_of(PeerAuthentication, by_key), key=age_order)),
    )


def update_snapshot(
    before: MeshSnapshot, changes: Iterable[tuple[ResourceKey, Resource | None]]
) -> tuple[MeshSnapshot, Dirty]:
    """Return the snapshot after the changes, and what they touched.

    Only places changed: the rest of the snapshot is shared, and only those hosts are dirty whose
    endpoints differ.
    """
    resources = dict(before.resources)
    changed: list[Resource] = []
    for key, resource in changes:
        old = resources.pop(key, None)
        changed += [r for r in (old, resource) if r is not None]
        if resource is not None:
            resources[key] = resource
    if not all(isinstance(resource, _PLACES) for resource in changed):
        return build_snapshot(resources.values()), Dirty(everything=True)
    services, endpoints = _registry(resources, before.mesh)
    after = _with_places(before, resources, endpoints)
    hosts = {s.hostname for s in services if before.endpoints.get(s.key) != endpoints.get(s.key)}
    return after, Dirty(endpoint_hosts=frozenset(hosts))


def _with_places(
    before: MeshSnapshot,
    resources: Mapping[ResourceKey, Resource],
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]],
) -> MeshSnapshot:
    shared = {
        key: before.endpoints[key] if before.endpoints.get(key) == found else found
        for key, found in endpoints.items()
    }
    return MeshSnapshot(
        mesh=before.mesh,
        resources=resources,
        services=before.services,
        endpoints=shared,
        virtual_services=before.virtual_services,
        destination_rules=before.destination_rules,
        gateways=before.gateways,
        sidecars=before.sidecars,
        peer_authentications=before.peer_authentications,
    )


def _of(kind: type[T], resources: Mapping[ResourceKey, Resource]) -> list[T]:
    return [r for r in resources.values() if isinstance(r, kind)]


def _mesh_config(resources: Iterable[Resource]) -> MeshConfig:
    for resource in resources:
        if isinstance(resource, ConfigMap) and resource.metadata.name == MESH_CONFIG_MAP:
            mesh, _ = parse_mesh_config(resource.data.get("mesh", ""))
            if mesh.root_namespace == resource.metadata.namespace:
                return mesh
    return MeshConfig()


def _registry(
    resources: Mapping[ResourceKey, Resource], mesh: MeshConfig
) -> tuple[tuple[Service, ...], dict[ServiceKey, tuple[Endpoint, ...]]]:
    services: list[Service] = []
    endpoints: dict[ServiceKey, tuple[Endpoint, ...]] = {}
    sources = _sources(resources)
    empty = Sources(endpoints={}, nodes={})
    for declared in _of(CoreService, resources):
        service = kubernetes_service(declared, mesh)
        services.append(service)
        endpoints[service.key] = kubernetes_endpoints(
            service, sources.get(service.namespace, empty)
        )
    entries = sorted(_of(ServiceEntry, resources), key=age_order)
    allocated = allocate_addresses(iter(entries))
    for entry in entries:
        for service in entry_services(entry, mesh, allocated):
            if service.key in endpoints:
                continue  # a Kubernetes Service, or an older entry, has this host already
            services.append(service)
            endpoints[service.key] = entry_endpoints(
                entry, service, sources.get(service.namespace, empty)
            )
    return tuple(sorted(services, key=service_age)), endpoints


def _sources(resources: Mapping[ResourceKey, Resource]) -> dict[str, Sources]:
    nodes = {node.metadata.name: node for node in _of(Node, resources)}
    pods = _by_namespace(_of(Pod, resources))
    slices = _by_namespace(_of(EndpointSlice, resources))
    plain = _by_namespace(_of(Endpoints, resources))
    entries = _by_namespace(_of(WorkloadEntry, resources))
    return {
        namespace: Sources(
            pods=tuple(pods.get(namespace, ())),
            slices=tuple(slices.get(namespace, ())),
            endpoints={e.metadata.name: e for e in plain.get(namespace, ())},
            workload_entries=tuple(entries.get(namespace, ())),
            nodes=nodes,
        )
        for namespace in pods.keys() | slices.keys() | plain.keys() | entries.keys()
    }


def _by_namespace(resources: Iterable[T]) -> dict[str, list[T]]:
    grouped: dict[str, list[T]] = {}
    for resource in resources:
        grouped.setdefault(resource.metadata.namespace, []).append(resource)
    return grouped
