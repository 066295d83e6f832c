"""Which objects name which: hosts, gateways, subsets, secrets, selectors, typed references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from clew.snapshot.hosts import covers, is_wildcard
from clew.snapshot.labels import selects
from clew.snapshot.objects import objects_of
from clew.snapshot.services import DOMAIN
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.virtual_services import MESH, gateway_names

_NETWORKING = "networking.istio.io"
_WITHOUT_TYPED_REFERENCES = frozenset({"", "apps", "discovery.k8s.io", _NETWORKING})


class Link(NamedTuple):
    """``source`` names ``target`` in ``field``, whether that exists or not."""

    source: ResourceKey
    field: str
    target: ResourceKey


@dataclass(frozen=True, slots=True)
class _Named:
    """What can be named: ``hosts`` and the objects that declare them, DestinationRules by their
    host (``wide``: a wildcard), workloads by each label of their pods.
    """

    root_namespace: str
    hosts: Mapping[str, ResourceKey]
    rules: Mapping[str, Sequence[DestinationRule]]
    wide: Sequence[DestinationRule]
    workloads: Mapping[tuple[str, str], Sequence[Deployment | StatefulSet]]


def links(snapshot: MeshSnapshot) -> Iterator[Link]:
    """Yield every reference between the objects of the mesh."""
    named = _index(snapshot)
    for spaces in snapshot.objects.values():
        for by_name in spaces.values():
            for resource in by_name.values():
                for find in _FINDERS:
                    for field, target in find(named, resource):
                        if target != resource.key:
                            yield Link(resource.key, field, target)


def _index(snapshot: MeshSnapshot) -> _Named:
    rules: dict[str, list[DestinationRule]] = {}
    for rule in objects_of(DestinationRule, snapshot.objects):
        rules.setdefault(rule_host(rule), []).append(rule)
    workloads: dict[tuple[str, str], list[Deployment | StatefulSet]] = {}
    found: list[Deployment | StatefulSet] = [
        *objects_of(Deployment, snapshot.objects),
        *objects_of(StatefulSet, snapshot.objects),
    ]
    for workload in found:
        for pair in workload.spec.template.metadata.labels.items():
            workloads.setdefault(pair, []).append(workload)
    return _Named(
        root_namespace=snapshot.mesh.root_namespace,
        hosts={service.hostname: service.source for service in reversed(snapshot.services.ordered)},
        rules=rules,
        wide=[rule for host, listed in rules.items() if is_wildcard(host) for rule in listed],
        workloads=workloads,
    )


_Found = Iterator[tuple[str, ResourceKey]]


def _of_virtual_service(named: _Named, rule: Resource) -> _Found:
    if not isinstance(rule, VirtualService):
        return
    namespace = rule.metadata.namespace
    for place, host in enumerate(rule.spec.hosts):
        yield from _declared(f"spec.hosts[{place}]", host, namespace, named.hosts)
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
        yield from _declared(field, destination.host, namespace, named.hosts)
        full = short_to_fqdn(destination.host, namespace, DOMAIN)
        if destination.subset:
            wide = (rule for rule in named.wide if covers(rule_host(rule), full))
            for declared in (*named.rules.get(full, ()), *wide):
                if destination.subset in (subset.name for subset in declared.spec.subsets):
                    yield f"{field}.subset", declared.key


def _of_destination_rule(named: _Named, rule: Resource) -> _Found:
    if not isinstance(rule, DestinationRule):
        return
    host = rule_host(rule)
    if not is_wildcard(host):
        yield from _declared("spec.host", host, rule.metadata.namespace, named.hosts)
        return
    for name, source in named.hosts.items():
        if covers(host, name):
            yield "spec.host", source


def _of_gateway(named: _Named, gateway: Resource) -> _Found:
    if not isinstance(gateway, Gateway):
        return
    proxies = list(_selected(named, gateway.spec.selector, "", "spec.selector"))
    # Secrets are those of the proxies' namespaces.
    where = {key.namespace for _, key in proxies} or {gateway.metadata.namespace}
    for place, server in enumerate(gateway.spec.servers):
        tls = server.tls
        for name in (tls.credential_name, *tls.credential_names) if tls is not None else ():
            for namespace in sorted(where) if name else ():
                secret = ResourceKey("", "Secret", namespace, name)
                yield f"spec.servers[{place}].tls.credentialName", secret
    yield from proxies


def _of_selectors(named: _Named, resource: Resource) -> _Found:
    """Yield the workloads that a Service or a policy selects."""
    spec, namespace = getattr(resource, "spec", None), resource.metadata.namespace
    if isinstance(resource, CoreService):
        yield from _selected(named, resource.spec.selector, namespace, "spec.selector")
        return
    if resource.key.group not in (_NETWORKING, "security.istio.io", "telemetry.istio.io"):
        return
    where = "" if namespace == named.root_namespace else namespace
    for name, path in (("workload_selector", "labels"), ("selector", "match_labels")):
        labels = getattr(getattr(spec, name, None), path, None)
        if isinstance(labels, Mapping):
            field = {"workload_selector": "workloadSelector"}.get(name, name)
            yield from _selected(named, labels, where, f"spec.{field}")


def _of_typed_references(named: _Named, resource: Resource) -> _Found:
    """Yield what the object names by group, kind and name, as the Gateway API does."""
    if resource.key.group in _WITHOUT_TYPED_REFERENCES:
        return
    for field, value in _structs(getattr(resource, "spec", None), "spec"):
        group, kind, name = (getattr(value, each, None) for each in ("group", "kind", "name"))
        if isinstance(group, str) and isinstance(kind, str) and isinstance(name, str):
            known = kind_of(group, kind)
            if known is not None:
                own = getattr(value, "namespace", None) or resource.metadata.namespace
                yield field, ResourceKey(group, kind, own if known.namespaced else "", name)


_FINDERS: tuple[Callable[[_Named, Resource], _Found], ...] = (
    _of_virtual_service,
    _of_destination_rule,
    _of_gateway,
    _of_selectors,
    _of_typed_references,
)


def _declared(field: str, host: str, namespace: str, hosts: Mapping[str, ResourceKey]) -> _Found:
    full = short_to_fqdn(host, namespace, DOMAIN)
    if full in hosts:
        yield field, hosts[full]


def _selected(named: _Named, labels: Mapping[str, str], namespace: str, field: str) -> _Found:
    """Yield the workloads whose pods have these labels; "" is every namespace."""
    for pair in list(labels.items())[:1]:
        for workload in named.workloads.get(pair, ()):
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
