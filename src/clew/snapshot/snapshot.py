"""MeshSnapshot: the whole mesh as one immutable view, and its successor after changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from clew.config.parse import parse_mesh_config
from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.base import Resource, ResourceKey, age_order
from clew.model.config_map import ConfigMap
from clew.model.core_service import CoreService
from clew.model.destination_rule import DestinationRule
from clew.model.envoy_filter import EnvoyFilter
from clew.model.gateway import Gateway
from clew.model.ingress import Ingress, IngressClass
from clew.model.mesh_config import MeshConfig
from clew.model.namespace import Namespace
from clew.model.peer_authentication import PeerAuthentication
from clew.model.request_authentication import RequestAuthentication
from clew.model.secret import Secret
from clew.model.service import Endpoint, Service, ServiceKey
from clew.model.sidecar import Sidecar
from clew.model.telemetry import Telemetry
from clew.model.virtual_service import VirtualService
from clew.snapshot.destination_rules import (
    HostRules,
    change_destination_rules,
    index_destination_rules,
    rule_host,
)
from clew.snapshot.discovery import discovered, is_discovered
from clew.snapshot.envoy_filters import EnvoyFilters, index_envoy_filters
from clew.snapshot.gateway_api.conversion import GatewayApi, affected, convert_gateway_api
from clew.snapshot.hosts import covers
from clew.snapshot.ingress import Converted, convert_ingresses
from clew.snapshot.objects import (
    Change,
    Objects,
    change_objects,
    index_objects,
    objects_of,
)
from clew.snapshot.peer_authentication import Authentication
from clew.snapshot.registry import REGISTERED, Registry, build_registry, change_registry
from clew.snapshot.rule_index import (
    VirtualServices,
    change_virtual_services,
    index_virtual_services,
)
from clew.snapshot.service_index import Services
from clew.snapshot.sidecars import index_sidecars
from clew.snapshot.views import Views

MESH_CONFIG_MAP = "istio"
EVERYWHERE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dirty:
    """What a batch of changes touched.

    ``services`` came, went or changed, as they were and as they are; of ``endpoints`` only where
    they are served. ``ruled``: services whose DestinationRule may be another. ``rules``: the
    VirtualServices that differ, as they were and as they are. ``patched``: where EnvoyFilters
    differ, EVERYWHERE for those of the root namespace; ``policies``: the same of
    AuthorizationPolicies. ``gateways``: a Gateway, or a Secret that it may name. At ``addresses``
    and in ``namespaces``, workloads may serve other ports than before.
    """

    everything: bool = False
    services: tuple[Service, ...] = ()
    endpoints: frozenset[ServiceKey] = frozenset()
    ruled: frozenset[ServiceKey] = frozenset()
    rules: tuple[VirtualService, ...] = ()
    gateways: bool = False
    patched: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self != NOTHING

    @property
    def endpoint_hosts(self) -> frozenset[str]:
        return frozenset(key.hostname for key in self.endpoints)

    @property
    def only_endpoints(self) -> bool:
        """Whether nothing but endpoints has changed."""
        configured = self.services or self.ruled or self.rules
        selected = self.gateways or self.patched or self.policies
        return not (self.everything or configured or selected)


NOTHING = Dirty()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSnapshot:
    """An immutable view. ``gateways`` are oldest first; ``converted``: what Ingresses stand for,
    ``gateway_api``: what the objects of the Gateway API do. ``objects``: of ``every`` one those in
    namespaces that the mesh looks at.

    ``given``: the MeshConfig that holds whatever the ConfigMap says. ``issuers``: what issuers of
    tokens say of where their keys are. ``also_accepted``: the policies that servers follow along
    with those in force, while they change.
    """

    mesh: MeshConfig
    given: MeshConfig | None = None
    every: Objects = field(repr=False, default_factory=dict)
    objects: Objects = field(repr=False, default_factory=dict)
    registry: Registry = field(repr=False, default_factory=Registry)
    virtual_services: VirtualServices = field(repr=False, default_factory=VirtualServices)
    destination_rules: Mapping[str, HostRules] = field(repr=False, default_factory=dict)
    gateways: tuple[Gateway, ...] = ()
    converted: Converted = field(repr=False, default_factory=Converted)
    gateway_api: GatewayApi = field(repr=False, default_factory=GatewayApi)
    sidecars: Mapping[str, tuple[Sidecar, ...]] = field(default_factory=dict)
    envoy_filters: EnvoyFilters = field(default_factory=dict)
    issuers: Mapping[str, str] = field(default_factory=dict)
    also_accepted: tuple[Authentication, ...] = ()
    views: Views = field(repr=False, compare=False, default_factory=Views)

    @property
    def services(self) -> Services:
        return self.registry.services

    @property
    def endpoints(self) -> Mapping[ServiceKey, tuple[Endpoint, ...]]:
        return self.registry.endpoints


def build_snapshot(resources: Iterable[Resource], mesh: MeshConfig | None = None) -> MeshSnapshot:
    """Index resources; MeshConfig is that of ConfigMap ``istio`` unless it is given."""
    return _built(index_objects(resources), mesh)


def update_snapshot(
    before: MeshSnapshot, changes: Iterable[tuple[ResourceKey, Resource | None]]
) -> tuple[MeshSnapshot, Dirty]:
    """Return the snapshot after the changes, and what they touched; the rest is shared."""
    every, made = change_objects(before.every, changes)
    configured = before.given is None and any(map(_holds_mesh_config, made))
    if configured or (before.mesh.discovery_selectors and _of_kinds(made, Namespace)):
        built = _built(every, before.given)
        after = replace(built, issuers=before.issuers, also_accepted=before.also_accepted)
        return after, Dirty(everything=True)
    objects = discovered(every, before.mesh)
    made = tuple(change for change in made if is_discovered(change.namespace, every, before.mesh))
    after = replace(before, every=every, objects=objects)
    after, found = _with_registry(after, _of_kinds(made, *REGISTERED))
    after, converted = _with_ingresses(after, _of_kinds(made, Ingress, IngressClass, CoreService))
    after, generated = _with_gateway_api(after, made)
    made = (*made, *converted, *generated)
    after, rules = _with_rules(after, _of_kinds(made, VirtualService))
    after, ruled = _with_destination_rules(after, _of_kinds(made, DestinationRule))
    after, gateways = _with_gateways(after, _of_kinds(made, Gateway, Secret, ConfigMap))
    after, everything = _with_sidecars(after, _of_kinds(made, Sidecar))
    after, patched = _with_envoy_filters(after, _of_kinds(made, EnvoyFilter))
    everything = everything or bool(_of_kinds(made, PeerAuthentication, RequestAuthentication))
    everything = everything or found.everything
    dirty = replace(found, rules=rules, ruled=ruled, gateways=gateways, everything=everything)
    policies = _places(_of_kinds(made, AuthorizationPolicy, Telemetry), after.mesh)
    return after, replace(dirty, patched=patched, policies=policies)


def _built(every: Objects, given: MeshConfig | None) -> MeshSnapshot:
    mesh = given or _mesh_config(every)
    objects = discovered(every, mesh)
    converted = convert_ingresses(objects, mesh)
    registry = build_registry(objects, mesh)
    api = convert_gateway_api(objects, registry.services, mesh)
    rules = chain(objects_of(VirtualService, objects), converted.rules, api.rules)
    policies = chain(objects_of(DestinationRule, objects), api.destination_rules)
    return MeshSnapshot(
        mesh=mesh,
        given=given,
        every=every,
        objects=objects,
        registry=registry,
        virtual_services=index_virtual_services(rules, mesh),
        destination_rules=index_destination_rules(policies, mesh),
        gateways=_gateways(objects, converted, api),
        converted=converted,
        gateway_api=api,
        sidecars=index_sidecars(objects_of(Sidecar, objects)),
        envoy_filters=index_envoy_filters(objects_of(EnvoyFilter, objects)),
    )


def _of_kinds(changes: Iterable[Change], *kinds: type[Resource]) -> list[Change]:
    return [change for change in changes if change.kind in kinds]


def _holds_mesh_config(change: Change) -> bool:
    return change.kind is ConfigMap and change.sides[0].metadata.name == MESH_CONFIG_MAP


def _mesh_config(objects: Objects) -> MeshConfig:
    for resource in objects_of(ConfigMap, objects):
        if resource.metadata.name == MESH_CONFIG_MAP:
            mesh, _ = parse_mesh_config(resource.data.get("mesh", ""))
            if mesh.root_namespace == resource.metadata.namespace:
                return mesh
    return MeshConfig()


def _with_registry(after: MeshSnapshot, changes: Sequence[Change]) -> tuple[MeshSnapshot, Dirty]:
    if not changes:
        return after, NOTHING
    registry, found = change_registry(after.registry, after.objects, changes, after.mesh)
    dirty = Dirty(
        # Whether a proxy's node matters is part of all scopes' keys, and so is its network.
        everything=registry.services.by_node != after.registry.services.by_node
        or registry.networks is not after.registry.networks,
        services=found.services,
        endpoints=found.endpoints,
        addresses=found.addresses,
        namespaces=frozenset(service.namespace for service in found.services),
    )
    return replace(after, registry=registry), dirty


def _with_ingresses(
    after: MeshSnapshot, changes: Sequence[Change]
) -> tuple[MeshSnapshot, list[Change]]:
    """Return the snapshot, and changes of what Ingresses stand for as if people had made them."""
    if not changes:
        return after, []
    old, new = after.converted, convert_ingresses(after.objects, after.mesh)
    if old == new:
        return after, []
    sides = [{each.key: each for each in c.objects} for c in (old, new)]
    found = [Change(sides[0].get(key), sides[1].get(key)) for key in sides[0] | sides[1]]
    return replace(after, converted=new), [each for each in found if each.old != each.new]


def _with_gateway_api(
    after: MeshSnapshot, changes: Sequence[Change]
) -> tuple[MeshSnapshot, list[Change]]:
    """As with Ingresses. What stays equal stays the same object."""
    old = after.gateway_api
    if not any(affected(old, change) for change in changes):
        return after, []
    new = convert_gateway_api(after.objects, after.services, after.mesh)
    before, now = old.objects, new.objects
    found = [Change(before.get(key), now.get(key)) for key in {**before, **now}]
    return replace(after, gateway_api=new), [each for each in found if each.old != each.new]


def _gateways(objects: Objects, converted: Converted, api: GatewayApi) -> tuple[Gateway, ...]:
    found = chain(objects_of(Gateway, objects), converted.gateways, api.gateways)
    return tuple(sorted(found, key=age_order))


def _with_rules(
    after: MeshSnapshot, changes: Sequence[Change]
) -> tuple[MeshSnapshot, tuple[VirtualService, ...]]:
    if not changes:
        return after, ()
    rules, differing = change_virtual_services(after.virtual_services, changes, after.mesh)
    return replace(after, virtual_services=rules), differing


def _with_destination_rules(
    after: MeshSnapshot, changes: Sequence[Change]
) -> tuple[MeshSnapshot, frozenset[ServiceKey]]:
    if not changes:
        return after, frozenset()
    sides = [s for change in changes for s in change.sides if isinstance(s, DestinationRule)]
    rules = change_destination_rules(
        after.destination_rules,
        chain(objects_of(DestinationRule, after.objects), after.gateway_api.destination_rules),
        frozenset(side.metadata.namespace for side in sides),
        after.mesh,
    )
    hosts = {rule_host(side) for side in sides}
    services = after.services
    ruled = {s.key for host in hosts for s in services.by_host.get(host, ())}
    if wildcards := [host for host in hosts if host.startswith("*")]:
        ruled |= {s.key for s in services.ordered if any(covers(w, s.hostname) for w in wildcards)}
    return replace(after, destination_rules=rules), frozenset(ruled)


def _with_gateways(after: MeshSnapshot, changes: Sequence[Change]) -> tuple[MeshSnapshot, bool]:
    if not changes:
        return after, False
    gateways = _gateways(after.objects, after.converted, after.gateway_api)
    return replace(after, gateways=gateways), True


def _with_sidecars(after: MeshSnapshot, changes: Sequence[Change]) -> tuple[MeshSnapshot, bool]:
    if not changes:
        return after, False
    return replace(after, sidecars=index_sidecars(objects_of(Sidecar, after.objects))), True


def _with_envoy_filters(
    after: MeshSnapshot, changes: Sequence[Change]
) -> tuple[MeshSnapshot, frozenset[str]]:
    if not changes:
        return after, frozenset()
    filters = index_envoy_filters(objects_of(EnvoyFilter, after.objects))
    return replace(after, envoy_filters=filters), _places(changes, after.mesh)


def _places(changes: Iterable[Change], mesh: MeshConfig) -> frozenset[str]:
    """Return the namespaces whose proxies a change may concern; EVERYWHERE: of the whole mesh."""
    namespaces = frozenset(side.metadata.namespace for each in changes for side in each.sides)
    return frozenset((EVERYWHERE,)) if mesh.root_namespace in namespaces else namespaces
