"""The Gateway API of the whole mesh as Istio's kinds, and what there is to say of its objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from clew.model.base import Resource, ResourceKey
from clew.model.config_map import ConfigMap
from clew.model.core_service import CoreService
from clew.model.destination_rule import DestinationRule
from clew.model.gateway import Gateway
from clew.model.gateway_api.backend_tls_policy import BackendTLSPolicy
from clew.model.gateway_api.backend_traffic_policy import XBackendTrafficPolicy
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.gateway_api.gateway_class import GatewayClass
from clew.model.gateway_api.grpc_route import GRPCRoute
from clew.model.gateway_api.http_route import KubernetesHTTPRoute
from clew.model.gateway_api.listener_set import ListenerSet
from clew.model.gateway_api.reference_grant import ReferenceGrant
from clew.model.gateway_api.tcp_route import KubernetesTCPRoute
from clew.model.gateway_api.tls_route import KubernetesTLSRoute
from clew.model.gateway_api.udp_route import UDPRoute
from clew.model.mesh_config import MeshConfig
from clew.model.namespace import Namespace
from clew.model.secret import Secret
from clew.model.service_entry import ServiceEntry
from clew.model.virtual_service import VirtualService
from clew.snapshot.gateway_api.attachment import (
    ROUTE_TYPES,
    Attachment,
    Parents,
    Route,
    attach,
    index_parents,
)
from clew.snapshot.gateway_api.conditions import Problem
from clew.snapshot.gateway_api.gateways import BoundGateway, bind_gateways, istio_gateways
from clew.snapshot.gateway_api.grants import index_grants
from clew.snapshot.gateway_api.http_routes import HttpRoute, convert_rules
from clew.snapshot.gateway_api.l4_routes import L4Route, convert_connections
from clew.snapshot.gateway_api.merge import Part, http_parts, l4_virtual_service, merged
from clew.snapshot.gateway_api.policies import Policies, convert_policies
from clew.snapshot.gateway_api.referenced import referenced_keys
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.objects import Change, Objects, objects_of
from clew.snapshot.service_index import Services

# Without an object of these kinds, there is nothing to convert.
_OWN: tuple[type[Resource], ...] = (
    GatewayClass,
    KubernetesGateway,
    ListenerSet,
    *ROUTE_TYPES,
    BackendTLSPolicy,
    XBackendTrafficPolicy,
)
# What else the conversion depends on.
_OTHERS: tuple[type[Resource], ...] = (
    ReferenceGrant,
    CoreService,
    ServiceEntry,
    Namespace,
    Secret,
    ConfigMap,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRoute:
    """A route with its parents. ``hosts``: those of its backends, for which its gateways speak.

    The problems are of what it refers to.
    """

    route: Route
    attachments: tuple[Attachment, ...]
    hosts: frozenset[str] = frozenset()
    at_gateways: Problem | None = None
    in_mesh: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayApi:
    """``gateways``, ``rules`` and ``destination_rules`` are in force beside those of users."""

    gateways: tuple[Gateway, ...] = ()
    rules: tuple[VirtualService, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    bound: tuple[BoundGateway, ...] = ()
    routes: tuple[JudgedRoute, ...] = ()
    policies: Policies = field(default_factory=Policies)
    # The Secrets and ConfigMaps that they name, whether or not these exist.
    referenced: frozenset[ResourceKey] = frozenset()

    @property
    def objects(self) -> Mapping[ResourceKey, Resource]:
        """What the objects of the Gateway API stand for, by key."""
        every = (*self.gateways, *self.rules, *self.destination_rules)
        return {each.key: each for each in every}


def affected(api: GatewayApi, change: Change) -> bool:
    """Tell whether a change may change the conversion; a new status alone does not."""
    kind = change.kind
    if kind not in (*_OWN, *_OTHERS):
        return False
    if kind in _OTHERS and api == GatewayApi():
        return False
    if kind in (Secret, ConfigMap):
        return change.sides[0].key in api.referenced
    if kind is CoreService or change.old is None or change.new is None:
        return True
    return _without_status(change.old) != _without_status(change.new)


def _without_status(resource: Resource) -> Resource:
    meta = msgspec.structs.replace(resource.metadata, resource_version="")
    return msgspec.structs.replace(resource, status=None, metadata=meta)


def convert_gateway_api(objects: Objects, services: Services, mesh: MeshConfig) -> GatewayApi:
    """Return what the mesh's Gateway API objects stand for."""
    if not any(objects.get(kind) for kind in _OWN):
        return GatewayApi()
    sources = Sources(objects=objects, services=services, grants=index_grants(objects), mesh=mesh)
    bound = bind_gateways(sources)
    parents = index_parents(bound)
    parts: list[Part] = []
    rules: list[VirtualService] = []
    routes: list[JudgedRoute] = []
    for route in _routes(objects):
        judged, own_parts, own_rules = _converted(route, parents, sources)
        routes.append(judged)
        parts += own_parts
        rules += own_rules
    policies = convert_policies(sources)
    return GatewayApi(
        gateways=tuple(istio_gateways(bound)),
        rules=(*merged(parts), *rules),
        destination_rules=policies.rules,
        bound=bound,
        routes=tuple(routes),
        policies=policies,
        referenced=frozenset(referenced_keys(bound, policies)),
    )


def _routes(objects: Objects) -> Iterator[Route]:
    yield from objects_of(KubernetesHTTPRoute, objects)
    yield from objects_of(GRPCRoute, objects)
    yield from objects_of(KubernetesTLSRoute, objects)
    yield from objects_of(KubernetesTCPRoute, objects)
    yield from objects_of(UDPRoute, objects)


def _converted(
    route: Route, parents: Parents, sources: Sources
) -> tuple[JudgedRoute, list[Part], list[VirtualService]]:
    attachments = attach(route, parents, sources)
    if isinstance(route, KubernetesHTTPRoute | GRPCRoute):
        judged, parts = _http(route, attachments, sources)
        return judged, parts, []
    judged, rules = _l4(route, attachments, sources)
    return judged, [], rules


def _http(
    route: HttpRoute, attachments: tuple[Attachment, ...], sources: Sources
) -> tuple[JudgedRoute, list[Part]]:
    gateways = convert_rules(route, sources, mesh=False)
    mesh = convert_rules(route, sources, mesh=True)
    judged = JudgedRoute(
        route=route,
        attachments=attachments,
        hosts=frozenset(d.destination.host for rule in gateways.routes for d in rule.route),
        at_gateways=gateways.problem,
        in_mesh=mesh.problem,
    )
    return judged, list(http_parts(route, attachments, gateways.routes, mesh.routes))


def _l4(
    route: L4Route, attachments: tuple[Attachment, ...], sources: Sources
) -> tuple[JudgedRoute, list[VirtualService]]:
    gateways = convert_connections(route, sources, mesh=False)
    mesh = convert_connections(route, sources, mesh=True)
    judged = JudgedRoute(
        route=route,
        attachments=attachments,
        hosts=frozenset(d.destination.host for to in gateways.destinations.values() for d in to),
        at_gateways=gateways.problem,
        in_mesh=mesh.problem,
    )
    distinct = {(a.gateway, a.hosts, a.port): a for a in attachments if a.problem is None}
    rules = [
        l4_virtual_service(route, position, each, (mesh if each.is_mesh else gateways).destinations)
        for position, each in enumerate(distinct.values())
    ]
    return judged, rules
