"""What a proxy can call: the services that it sees, with their endpoints and rules."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from clew.model.base import Resource
from clew.model.config_map import ConfigMap
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Proxy, ProxyType
from clew.model.secret import Secret
from clew.model.service import Endpoint, Service, ServiceKey
from clew.model.sidecar import Sidecar
from clew.snapshot.credentials import Credentials, credentials_for
from clew.snapshot.destination_rules import HostRules, destination_rule_for, selected_labels
from clew.snapshot.labels import Labels, restricted
from clew.snapshot.peer_authentication import Authentication
from clew.snapshot.rule_index import VirtualServices
from clew.snapshot.scope import EgressListener, MutualTls, OutboundScope
from clew.snapshot.service_index import Services
from clew.snapshot.services import DOMAIN
from clew.snapshot.sidecars import (
    EVERYTHING,
    imported_services,
    imported_virtual_services,
    outbound_policy,
    sidecar_for,
)
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.views import Views

_NO_RULES = VirtualServices()


def build_outbound(snapshot: MeshSnapshot, proxy: Proxy) -> OutboundScope:
    """Return what a proxy can call; views make its parts the same objects for many proxies."""
    mesh, namespace, labels = snapshot.mesh, proxy.namespace, dict(proxy.labels)
    router = proxy.type is ProxyType.ROUTER
    sidecar = (
        None if router else sidecar_for(snapshot.sidecars, namespace, labels, mesh.root_namespace)
    )
    view = snapshot.views.get
    name = (namespace, router, sidecar.key if sidecar is not None else None)
    rules = _NO_RULES if router else snapshot.virtual_services
    find = partial(_egress, namespace, name, snapshot.views)
    egress = view(("egress", name), find, sidecar, snapshot.services, rules)
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
    return replace(
        _nothing_seen(snapshot, proxy),
        registry_only=blocked,
        egress_proxy=egress_proxy,
        egress=egress,
        services=services,
        endpoints=view(
            ("endpoints", name), _endpoints, services, snapshot.services, snapshot.endpoints
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


def _nothing_seen(snapshot: MeshSnapshot, proxy: Proxy) -> OutboundScope:
    """Return what there is of the proxy itself and the mesh, without services and rules."""
    mesh = snapshot.mesh
    return OutboundScope(
        mesh=mesh,
        trust_domain=mesh.trust_domain,
        namespace=proxy.namespace,
        dns_domain=proxy.dns_domain or f"{proxy.namespace}.svc.{DOMAIN}",
        labels=proxy.labels,
        locality=proxy.locality,
        network=network_of(snapshot, proxy),
        network_view=proxy.network_view,
        networks=snapshot.registry.networks,
        node=proxy.node_name if snapshot.services.by_node else "",
        own_ips=headless_addresses(snapshot, proxy),
        families=proxy.families,
        unprivileged=proxy.unprivileged,
        interception=proxy.interception,
        http_proxy_port=proxy.http_proxy_port or mesh.proxy_http_port,
        local_ports=proxy.local_ports,
    )


def network_of(snapshot: MeshSnapshot, proxy: Proxy) -> str:
    return proxy.network or snapshot.registry.networks.of(proxy.ip, dict(proxy.labels))


def headless_addresses(snapshot: MeshSnapshot, proxy: Proxy) -> tuple[str, ...]:
    """Return the proxy's own addresses if a headless service lists them: they are not called."""
    registry = snapshot.registry
    return tuple(
        address
        for address in (proxy.ip, *proxy.extra_ips)
        if any(registry.services.by_key[key].headless for key in registry.services_at([address]))
    )


def _selected(namespace: str, rules: Mapping[str, HostRules]) -> frozenset[str]:
    return selected_labels(rules, namespace)


def _egress(
    namespace: str,
    name: Hashable,
    views: Views,
    sidecar: Sidecar | None,
    services: Services,
    rules: VirtualServices,
) -> tuple[EgressListener, ...]:
    """The services of a listener are a view of their own: rules change without them."""
    if sidecar is None or not sidecar.spec.egress:
        everything = EgressListener(
            services=services.seen_by(namespace), virtual_services=rules.seen_by(namespace)
        )
        return (everything,)
    listeners = []
    find = partial(imported_services, namespace=namespace)
    for place, declared in enumerate(sidecar.spec.egress):
        imported = imported_virtual_services(declared, rules, namespace)
        listener = EgressListener(
            declared=None if declared == EVERYTHING else declared,
            services=views.get(("imported", name, place), find, declared, services, imported),
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
