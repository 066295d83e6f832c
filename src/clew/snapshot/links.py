"""Which objects name which: hosts, gateways, subsets, secrets, selectors, typed references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from clew.model.base import Resource, ResourceKey
from clew.model.core_service import CoreService
from clew.model.deployment import Deployment
from clew.model.destination_rule import DestinationRule
from clew.model.gateway import Gateway
from clew.model.kinds import kind_of
from clew.model.names import short_to_fqdn
from clew.model.stateful_set import StatefulSet
from clew.model.virtual_service import Destination, VirtualService
from clew.snapshot.destination_rules import rule_host
from clew.snapshot.hosts import covers
from clew.snapshot.labels import selects
from clew.snapshot.objects import objects_of
from clew.snapshot.services import DOMAIN
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.virtual_services import MESH, gateway_names

_NETWORKING = "networking.istio.io"


class Link(NamedTuple):
    """``source`` names ``target`` in ``field``, whether that exists or not."""

    source: ResourceKey
    field: str
    target: ResourceKey


def links(snapshot: MeshSnapshot) -> Iterator[Link]:
    """Yield every reference between the objects of the mesh."""
    hosts = {service.hostname: service.source for service in reversed(snapshot.services.ordered)}
    for spaces in snapshot.objects.values():
        for named in spaces.values():
            for resource in named.values():
                yield from links_of(snapshot, resource, hosts)


def links_of(
    snapshot: MeshSnapshot, resource: Resource, hosts: Mapping[str, ResourceKey]
) -> Iterator[Link]:
    """Yield what one object names. ``hosts``: the objects that declare them."""
    for find in _FINDERS:
        for field, target in find(snapshot, resource, hosts):
            if target != resource.key:
                yield Link(resource.key, field, target)


_Found = Iterator[tuple[str, ResourceKey]]
_Hosts = Mapping[str, ResourceKey]


def _of_virtual_service(snapshot: MeshSnapshot, rule: Resource, hosts: _Hosts) -> _Found:
    if not isinstance(rule, VirtualService):
        return
    namespace = rule.metadata.namespace
    for place, host in enumerate(rule.spec.hosts):
        yield from _declared(f"spec.hosts[{place}]", host, namespace, hosts)
    for place, name in enumerate(gateway_names(rule.spec.gateways, namespace)):
        if name != MESH:
            where, _, plain = name.partition("/")
            yield f"spec.gateways[{place}]", ResourceKey(_NETWORKING, "Gateway", where, plain)
    for place, route in enumerate(rule.spec.http):
        if route.delegate is not None:
            where = route.delegate.namespace or namespace
            target = ResourceKey(_NETWORKING, "VirtualService", where, route.delegate.name)
            yield f"spec.http[{place}].delegate", target
    for field, destination in _destinations(rule.spec, "spec"):
        yield from _declared(field, destination.host, namespace, hosts)
        full = short_to_fqdn(destination.host, namespace, DOMAIN)
        if destination.subset:
            for declared in objects_of(DestinationRule, snapshot.objects):
                names = (subset.name for subset in declared.spec.subsets)
                if destination.subset in names and covers(rule_host(declared), full):
                    yield f"{field}.subset", declared.key


def _of_destination_rule(snapshot: MeshSnapshot, rule: Resource, hosts: _Hosts) -> _Found:
    if not isinstance(rule, DestinationRule):
        return
    host = rule_host(rule)
    for name, source in hosts.items():
        if covers(host, name):
            yield "spec.host", source


def _of_gateway(snapshot: MeshSnapshot, gateway: Resource, hosts: _Hosts) -> _Found:
    if not isinstance(gateway, Gateway):
        return
    for place, server in enumerate(gateway.spec.servers):
        tls = server.tls
        for name in (tls.credential_name, *tls.credential_names) if tls is not None else ():
            if name:
                secret = ResourceKey("", "Secret", gateway.metadata.namespace, name)
                yield f"spec.servers[{place}].tls.credentialName", secret
    yield from _selected(snapshot, gateway.spec.selector, "", "spec.selector")


def _of_selectors(snapshot: MeshSnapshot, resource: Resource, hosts: _Hosts) -> _Found:
    """Yield the workloads that a Service or a policy selects."""
    spec, namespace = getattr(resource, "spec", None), resource.metadata.namespace
    if isinstance(resource, CoreService):
        yield from _selected(snapshot, resource.spec.selector, namespace, "spec.selector")
        return
    if resource.key.group not in (_NETWORKING, "security.istio.io", "telemetry.istio.io"):
        return
    where = "" if namespace == snapshot.mesh.root_namespace else namespace
    for name, path in (("workload_selector", "labels"), ("selector", "match_labels")):
        labels = getattr(getattr(spec, name, None), path, None)
        if isinstance(labels, Mapping):
            field = {"workload_selector": "workloadSelector"}.get(name, name)
            yield from _selected(snapshot, labels, where, f"spec.{field}")


def _of_typed_references(snapshot: MeshSnapshot, resource: Resource, hosts: _Hosts) -> _Found:
    """Yield what the object names by group, kind and name, as the Gateway API does."""
    for field, value in _structs(getattr(resource, "spec", None), "spec"):
        group, kind, name = (getattr(value, each, None) for each in ("group", "kind", "name"))
        if isinstance(group, str) and isinstance(kind, str) and isinstance(name, str):
            known = kind_of(group, kind)
            if known is not None:
                own = getattr(value, "namespace", None) or resource.metadata.namespace
                yield field, ResourceKey(group, kind, own if known.namespaced else "", name)


_FINDERS: tuple[Callable[[MeshSnapshot, Resource, _Hosts], _Found], ...] = (
    _of_virtual_service,
    _of_destination_rule,
    _of_gateway,
    _of_selectors,
    _of_typed_references,
)


def _declared(field: str, host: str, namespace: str, hosts: _Hosts) -> _Found:
    full = short_to_fqdn(host, namespace, DOMAIN)
    if full in hosts:
        yield field, hosts[full]


def _selected(
    snapshot: MeshSnapshot, labels: Mapping[str, str], namespace: str, field: str
) -> _Found:
    found: list[Deployment | StatefulSet] = [
        *objects_of(Deployment, snapshot.objects),
        *objects_of(StatefulSet, snapshot.objects),
    ]
    for workload in found if labels else ():
        here = namespace in ("", workload.metadata.namespace)
        if here and selects(labels, workload.spec.template.metadata.labels):
            yield field, workload.key


def _destinations(value: Any, field: str) -> Iterator[tuple[str, Destination]]:
    for at, found in _structs(value, field):
        if isinstance(found, Destination):
            yield at, found


def _structs(value: Any, field: str) -> Iterator[tuple[str, msgspec.Struct]]:
    """Yield all messages within a value, each with its field path."""
    if isinstance(value, msgspec.Struct):
        yield field, value
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        for name, encoded in names:
            yield from _structs(getattr(value, name), f"{field}.{encoded}")
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from _structs(item, f"{field}[{place}]")
