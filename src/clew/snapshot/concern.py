"""Which objects have a say in what one class of proxies is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.base import Resource, ResourceKey
from clew.model.destination_rule import DestinationRule
from clew.model.ingress import Ingress
from clew.model.request_authentication import RequestAuthentication
from clew.model.route_semantics import parents
from clew.model.telemetry import Telemetry
from clew.model.virtual_service import VirtualService
from clew.model.workload_entry import WorkloadEntry
from clew.snapshot.destination_rules import rule_host
from clew.snapshot.ingress import ingress_gateway_name
from clew.snapshot.labels import selects
from clew.snapshot.objects import objects_of
from clew.snapshot.policy_targets import binds, overruled, targets_of
from clew.snapshot.scope import ProxyScope
from clew.snapshot.sidecars import sidecar_for
from clew.snapshot.snapshot import MeshSnapshot

# Their objects are for the proxies of a namespace, or of the mesh, that a selector chooses.
_SELECTING = (
    "PeerAuthentication",
    "RequestAuthentication",
    "AuthorizationPolicy",
    "Telemetry",
    "ProxyConfig",
    "WasmPlugin",
    "TrafficExtension",
)


def concerned(snapshot: MeshSnapshot, scope: ProxyScope) -> frozenset[ResourceKey]:
    """Return the objects that proxies of a scope are told something of, or would be."""
    return frozenset(
        (
            *_services(scope),
            *_rules(snapshot, scope),
            *_destination_rules(snapshot, scope),
            *_gateway(snapshot, scope),
            *_sidecar(snapshot, scope),
            *(patch.filter for patch in scope.patches),
            *selecting(snapshot, scope.proxy.namespace, dict(scope.proxy.labels)),
            *_targeting(snapshot, scope),
            *_entries(snapshot, scope),
            *_stood_for(scope),
        )
    )


def _services(scope: ProxyScope) -> Iterator[ResourceKey]:
    yield from (service.source for service in scope.outbound.services)
    for port in scope.inbound.ports if scope.inbound else ():
        yield from (service.source for service in (port.service, *port.sharing))


def _rules(snapshot: MeshSnapshot, scope: ProxyScope) -> Iterator[ResourceKey]:
    listed: Iterable[Iterable[VirtualService]]
    if scope.gateway is not None:
        listed = (server.virtual_services for server in scope.gateway.servers)
    else:
        listed = (listener.virtual_services for listener in scope.outbound.egress)
    for key in dict.fromkeys(rule.key for rules in listed for rule in rules):
        yield key
        root = snapshot.virtual_services.resolved.get(key)
        for route in root.spec.http if root is not None else ():
            if route.delegate is not None:
                namespace = route.delegate.namespace or key.namespace
                yield ResourceKey(key.group, key.kind, namespace, route.delegate.name)


def _destination_rules(snapshot: MeshSnapshot, scope: ProxyScope) -> Iterator[ResourceKey]:
    """Yield the rules in force; several of one namespace for one host are merged into one."""
    chosen: dict[tuple[str, str], list[DestinationRule]] = {}
    for rule in scope.outbound.destination_rules.values():
        chosen.setdefault((rule.metadata.namespace, rule.spec.host), []).append(rule)
    for rule in objects_of(DestinationRule, snapshot.objects):
        mine = chosen.get((rule.metadata.namespace, rule_host(rule)), ())
        if any(rule.spec.workload_selector == each.spec.workload_selector for each in mine):
            yield rule.key


def _gateway(snapshot: MeshSnapshot, scope: ProxyScope) -> Iterator[ResourceKey]:
    if scope.gateway is None:
        return
    keys = {server.gateway.key for server in scope.gateway.servers}
    yield from keys
    yield from (secret.key for secret in scope.gateway.credentials)
    names = {key.name for key in keys}
    for ingress in objects_of(Ingress, snapshot.objects):
        if ingress_gateway_name(ingress) in names:
            yield ingress.key


def _stood_for(scope: ProxyScope) -> Iterator[ResourceKey]:
    """Yield the objects of the Gateway API that rules and gateways of the scope stand for."""
    outbound = scope.outbound
    servers = scope.gateway.servers if scope.gateway is not None else ()
    if servers:
        rules = {id(r): r for server in servers for r in server.virtual_services}
    else:
        rules = {id(r): r for listener in outbound.egress for r in listener.virtual_services}
    for server in servers:
        yield from parents(server.gateway)
    for rule in (*rules.values(), *outbound.destination_rules.values()):
        yield from parents(rule)


def _sidecar(snapshot: MeshSnapshot, scope: ProxyScope) -> Iterator[ResourceKey]:
    if scope.gateway is not None:
        return
    root = snapshot.mesh.root_namespace
    labels = dict(scope.proxy.labels)
    sidecar = sidecar_for(snapshot.sidecars, scope.proxy.namespace, labels, root)
    if sidecar is not None:
        yield sidecar.key


def selecting(
    snapshot: MeshSnapshot, namespace: str, labels: Mapping[str, str]
) -> Iterator[ResourceKey]:
    """Yield the policies that are for a workload with these labels."""
    root = snapshot.mesh.root_namespace
    for kind, namespaces in snapshot.objects.items():
        if kind.__name__ in _SELECTING:
            for where in dict.fromkeys((root, namespace)):
                policies = namespaces.get(where, {}).values()
                lost = overruled(policies)
                for resource in policies:
                    chosen = not targets_of(resource) and selects(_selector(resource), labels)
                    if chosen and resource.key not in lost:
                        yield resource.key


def _targeting(snapshot: MeshSnapshot, scope: ProxyScope) -> Iterator[ResourceKey]:
    """Yield the policies that are attached to the Gateway that a router serves."""
    policies: Iterable[AuthorizationPolicy | RequestAuthentication | Telemetry] = chain(
        objects_of(AuthorizationPolicy, snapshot.objects),
        objects_of(RequestAuthentication, snapshot.objects),
        objects_of(Telemetry, snapshot.objects),
    )
    for policy in policies:
        if targets_of(policy) and binds(policy, scope.proxy, snapshot.mesh.root_namespace):
            yield policy.key


def _selector(resource: Resource) -> Mapping[str, str]:
    spec = getattr(resource, "spec", None)
    networking = getattr(spec, "workload_selector", None)
    policy = getattr(spec, "selector", None)
    return getattr(networking, "labels", None) or getattr(policy, "match_labels", None) or {}


def _entries(snapshot: MeshSnapshot, scope: ProxyScope) -> Iterator[ResourceKey]:
    known = scope.outbound.endpoints
    for entry in objects_of(WorkloadEntry, snapshot.objects):
        services = snapshot.registry.services_at([entry.spec.address or ""])
        if any(key in known for key in services):
            yield entry.key
