"""From the whole mesh to what one class of proxies depends on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from clew.model.base import Resource
from clew.model.config_map import ConfigMap
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception, Proxy, ProxyType
from clew.model.request_authentication import RequestAuthentication
from clew.model.secret import Secret
from clew.model.service import Endpoint, Service, ServiceKey
from clew.model.sidecar import Sidecar
from clew.model.telemetry import Telemetry
from clew.model.virtual_service import VirtualService
from clew.snapshot.authorization import authorization_at
from clew.snapshot.credentials import Credentials, credentials_for
from clew.snapshot.destination_rules import HostRules, destination_rule_for, selected_labels
from clew.snapshot.envoy_filters import SelectedPatch, selected_patches
from clew.snapshot.export import visible
from clew.snapshot.gateways import build_gateway
from clew.snapshot.inbound import build_inbound, served_ports, serves_at_own_address
from clew.snapshot.labels import Labels, restricted, sorted_labels
from clew.snapshot.objects import objects_of
from clew.snapshot.peer_authentication import Authentication
from clew.snapshot.proxy_configs import proxy_mesh
from clew.snapshot.request_authentication import TokenRule, token_rules, with_keys
from clew.snapshot.rule_index import VirtualServices, export_of
from clew.snapshot.scope import EgressListener, MutualTls, OutboundScope, ProxyScope
from clew.snapshot.service_index import Services
from clew.snapshot.services import DOMAIN
from clew.snapshot.sidecars import (
    EVERYTHING,
    imported_services,
    imported_virtual_services,
    imports_rule,
    outbound_policy,
    sidecar_for,
)
from clew.snapshot.snapshot import EVERYWHERE, Dirty, MeshSnapshot
from clew.snapshot.telemetries import TelemetryInForce, applicable, telemetry_in_force
from clew.snapshot.virtual_services import MESH


def scope_key(snapshot: MeshSnapshot, proxy: Proxy) -> Hashable:
    """Return a value that is equal for proxies which get equal configuration.

    Replicas of a workload differ only in name and address, and without capture in those too.
    """
    proxy = _present(snapshot, proxy)
    own_address = (
        proxy.interception is Interception.NONE
        or proxy.type is ProxyType.ROUTER
        or serves_at_own_address(snapshot, proxy)
    )
    return (
        proxy.type,
        proxy.namespace,
        proxy.labels,
        proxy.service_account,
        proxy.locality,
        _network(snapshot, proxy),
        proxy.network_view,
        proxy.node_name if snapshot.services.by_node else "",
        proxy.dns_domain,
        proxy.interception,
        proxy.bind_address,
        proxy.families,
        proxy.unprivileged,
        proxy.trace_sampling,
        proxy.tapped,
        proxy.explains,
        proxy.ip if own_address else "",
        _headless_addresses(snapshot, proxy),
        tuple((s.key, port.name, target) for s, port, target in served_ports(snapshot, proxy)),
        proxy.http_proxy_port,
        proxy.app_ports,
        proxy.local_ports,
        proxy.self_discovery,
        proxy.grpc,
        proxy.config,
        tuple((each.key, each.meant) for each in _patches(snapshot, proxy)),
    )


def may_move(dirty: Dirty, proxy: Proxy) -> bool:
    """Whether a change may give a proxy another scope key."""
    return (
        dirty.everything
        or proxy.namespace in dirty.namespaces
        or not (dirty.patched | dirty.policies).isdisjoint((proxy.namespace, EVERYWHERE))
        or not dirty.addresses.isdisjoint((proxy.ip, *proxy.extra_ips))
    )


def affects(dirty: Dirty, scope: ProxyScope) -> bool:
    """Whether a change may concern proxies of this scope."""
    if may_move(dirty, scope.proxy):
        return True
    served = {port.service.key for port in scope.inbound.ports} if scope.inbound else set()
    known = scope.outbound.endpoints
    return (
        any(visible(service.export_to, scope.proxy.namespace) for service in dirty.services)
        or any(key in known or key in served for key in dirty.ruled | dirty.endpoints)
        or any(_concerns(rule, scope) for rule in dirty.rules)
        or (dirty.gateways and (scope.gateway is not None or bool(scope.outbound.credentials)))
    )


def _concerns(rule: VirtualService, scope: ProxyScope) -> bool:
    """Whether proxies of a scope may use a rule."""
    namespace = scope.proxy.namespace
    if not visible(export_of(rule, scope.outbound.mesh), namespace):
        return False
    if scope.gateway is not None:
        own = {
            f"{m.namespace}/{m.name}" for s in scope.gateway.servers if (m := s.gateway.metadata)
        }
        return not own.isdisjoint(rule.spec.gateways)
    return MESH in rule.spec.gateways and any(
        listener.declared is None or imports_rule(listener.declared, rule, namespace)
        for listener in scope.outbound.egress
    )


def build_scope(
    snapshot: MeshSnapshot, proxy: Proxy, previous: ProxyScope | None = None
) -> ProxyScope:
    """Return the complete input of the compiler; parts equal to ``previous`` are its own."""
    proxy = _present(snapshot, proxy)
    router = proxy.type is ProxyType.ROUTER
    mesh = _mesh(snapshot, proxy)
    outbound = replace(_build_outbound(snapshot, proxy), mesh=mesh)
    guarded = partial(
        replace,
        mesh=mesh,
        token_rules=_token_rules(snapshot, proxy, outbound),
        authorization=authorization_at(snapshot, proxy),
    )
    inbound = None if router else guarded(build_inbound(snapshot, proxy))
    gateway = guarded(build_gateway(snapshot, proxy)) if router else None
    patches = _patches(snapshot, proxy)
    if previous is not None:
        outbound = previous.outbound if previous.outbound == outbound else outbound
        inbound = previous.inbound if previous.inbound == inbound else inbound
        gateway = previous.gateway if previous.gateway == gateway else gateway
        patches = previous.patches if previous.patches == patches else patches
    return ProxyScope(
        proxy=proxy,
        outbound=outbound,
        inbound=inbound,
        gateway=gateway,
        telemetry=_telemetry(snapshot, proxy, mesh),
        patches=patches,
    )


def _telemetry(snapshot: MeshSnapshot, proxy: Proxy, mesh: MeshConfig) -> TelemetryInForce:
    """Return the same object for all proxies for which the same is in force."""
    objects = snapshot.objects.get(Telemetry, {})
    chosen = applicable(objects, proxy, snapshot.mesh.root_namespace)
    router = proxy.type is ProxyType.ROUTER
    here = (router, proxy.config, proxy.trace_sampling)
    name = ("telemetry", here, tuple(each.key for each in chosen))
    in_force = partial(telemetry_in_force, trace_sampling=proxy.trace_sampling)
    return snapshot.views.get(name, in_force, mesh, *chosen)


def _present(snapshot: MeshSnapshot, proxy: Proxy) -> Proxy:
    """Return the proxy with the labels that its pod has now, which it may have come without.

    Source: istio ``Proxy.SetWorkloadLabels``.
    """
    pod = snapshot.registry.places_of(proxy.namespace).pod_at(proxy.ip)
    if pod is None or pod.metadata.name != proxy.name:
        return proxy
    labels = sorted_labels(pod.metadata.labels)
    return proxy if labels == proxy.labels else replace(proxy, labels=labels)


def _mesh(snapshot: MeshSnapshot, proxy: Proxy) -> MeshConfig:
    """Return the mesh's settings as the proxy has them; the same object for equal proxies."""
    router, own = proxy.type is ProxyType.ROUTER, proxy.config
    return snapshot.views.get(
        ("mesh", router, own), partial(proxy_mesh, own=own, router=router), snapshot.mesh
    )


def _token_rules(
    snapshot: MeshSnapshot, proxy: Proxy, outbound: OutboundScope
) -> tuple[TokenRule, ...]:
    policies = objects_of(RequestAuthentication, snapshot.objects)
    rules = token_rules(policies, proxy, snapshot.mesh.root_namespace)
    return with_keys(rules, snapshot.issuers, outbound.services, outbound.destination_rules)


def _patches(snapshot: MeshSnapshot, proxy: Proxy) -> tuple[SelectedPatch, ...]:
    return selected_patches(snapshot.envoy_filters, proxy, snapshot.mesh.root_namespace)


def _build_outbound(snapshot: MeshSnapshot, proxy: Proxy) -> OutboundScope:
    mesh, namespace, labels = snapshot.mesh, proxy.namespace, dict(proxy.labels)
    router = proxy.type is ProxyType.ROUTER
    sidecar = (
        None if router else sidecar_for(snapshot.sidecars, namespace, labels, mesh.root_namespace)
    )
    view = partial(snapshot.views.get)
    name = (namespace, router, sidecar.key if sidecar is not None else None)
    rules = NO_RULES if router else snapshot.virtual_services
    egress = view(("egress", name), partial(_egress, namespace), sidecar, snapshot.services, rules)
    services = view(("services", name), _union, egress)
    selected = view(
        ("labels", namespace), partial(_selected, namespace), snapshot.destination_rules
    )
    chosen = restricted(proxy.labels, selected)
    ruled = view(
        ("rules", name, chosen),
        partial(_destination_rules, namespace, chosen),
        services,
        snapshot.destination_rules,
        mesh,
    )
    blocked, egress_proxy = outbound_policy(snapshot.sidecars, sidecar, mesh)
    return OutboundScope(
        mesh=mesh,
        trust_domain=mesh.trust_domain,
        namespace=namespace,
        dns_domain=proxy.dns_domain or f"{namespace}.svc.{DOMAIN}",
        labels=proxy.labels,
        locality=proxy.locality,
        network=_network(snapshot, proxy),
        network_view=proxy.network_view,
        networks=snapshot.registry.networks,
        node=proxy.node_name if snapshot.services.by_node else "",
        own_ips=_headless_addresses(snapshot, proxy),
        families=proxy.families,
        unprivileged=proxy.unprivileged,
        interception=proxy.interception,
        http_proxy_port=proxy.http_proxy_port or mesh.proxy_http_port,
        local_ports=proxy.local_ports,
        registry_only=blocked,
        egress_proxy=egress_proxy,
        egress=egress,
        services=services,
        endpoints=view(
            ("endpoints", name),
            _endpoints,
            services,
            snapshot.services,
            snapshot.endpoints,
        ),
        destination_rules=ruled,
        mutual_tls=view(("mtls", name), _mutual_tls, services, snapshot.registry.authentication),
        credentials=view(
            ("credentials", name, chosen),
            partial(_credentials, namespace, router),
            ruled,
            snapshot.objects.get(Secret),
            snapshot.objects.get(ConfigMap),
        ),
    )


NO_RULES = VirtualServices()


def _network(snapshot: MeshSnapshot, proxy: Proxy) -> str:
    return proxy.network or snapshot.registry.networks.of(proxy.ip, dict(proxy.labels))


def _selected(namespace: str, rules: Mapping[str, HostRules]) -> frozenset[str]:
    return selected_labels(rules, namespace)


def _headless_addresses(snapshot: MeshSnapshot, proxy: Proxy) -> tuple[str, ...]:
    """Return the proxy's own addresses if a headless service lists them: they are not called."""
    registry = snapshot.registry
    return tuple(
        address
        for address in (proxy.ip, *proxy.extra_ips)
        if any(registry.services.by_key[key].headless for key in registry.services_at([address]))
    )


def _egress(
    namespace: str, sidecar: Sidecar | None, services: Services, rules: VirtualServices
) -> tuple[EgressListener, ...]:
    if sidecar is None or not sidecar.spec.egress:
        everything = EgressListener(
            services=services.seen_by(namespace), virtual_services=rules.seen_by(namespace)
        )
        return (everything,)
    listeners = []
    for declared in sidecar.spec.egress:
        imported = imported_virtual_services(declared, rules, namespace)
        listener = EgressListener(
            declared=None if declared == EVERYTHING else declared,
            services=imported_services(declared, services, imported, namespace),
            virtual_services=imported,
        )
        listeners.append(listener)
    return tuple(listeners)


def _union(egress: Sequence[EgressListener]) -> tuple[Service, ...]:
    if len(egress) == 1:
        return egress[0].services
    return tuple({s.key: s for listener in egress for s in listener.services}.values())


def _endpoints(
    services: Sequence[Service],
    every: Services,
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]],
) -> Mapping[ServiceKey, tuple[Endpoint, ...]]:
    if services is every.ordered:
        return endpoints
    return {s.key: endpoints.get(s.key, ()) for s in services}


def _destination_rules(
    namespace: str,
    labels: Labels,
    services: Iterable[Service],
    rules: Mapping[str, HostRules],
    mesh: MeshConfig,
) -> dict[str, DestinationRule]:
    chosen = dict(labels)
    return {
        s.hostname: rule
        for s in services
        if (rule := destination_rule_for(s, namespace, chosen, rules, mesh)) is not None
    }


def _credentials(
    namespace: str,
    router: bool,
    ruled: Mapping[str, DestinationRule],
    secrets: Mapping[str, Mapping[str, Resource]] | None,
    config_maps: Mapping[str, Mapping[str, Resource]] | None,
) -> Credentials:
    rules = ruled.values()
    return credentials_for(rules, namespace, secrets or {}, config_maps or {}, router=router)


def _mutual_tls(
    services: Sequence[Service], authentication: Authentication
) -> dict[tuple[str, int], MutualTls]:
    """Return the mode that clients may expect of each port; external services are unknown."""
    namespaces = {service.namespace for service in services}
    modes = {namespace: authentication.of_namespace(namespace) for namespace in namespaces}
    return {
        (service.hostname, port.number): modes[service.namespace]
        for service in services
        if not service.mesh_external
        for port in service.ports
    }
