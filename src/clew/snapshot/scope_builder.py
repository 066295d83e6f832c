"""From the whole mesh to what one class of proxies depends on."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from clew.model.proxy import Interception, Proxy, ProxyType
from clew.model.service import Resolution, Service
from clew.model.sidecar import IstioEgressListener
from clew.snapshot.destination_rules import destination_rule_for
from clew.snapshot.export import visible
from clew.snapshot.gateways import build_gateway
from clew.snapshot.inbound import build_inbound
from clew.snapshot.peer_authentication import namespace_mode
from clew.snapshot.scope import EgressListener, MutualTls, OutboundScope, ProxyScope
from clew.snapshot.services import DOMAIN
from clew.snapshot.sidecars import (
    EVERYTHING,
    imported_services,
    imported_virtual_services,
    registry_only,
    sidecar_for,
)
from clew.snapshot.snapshot import Dirty, MeshSnapshot
from clew.snapshot.virtual_services import MESH, virtual_services_for


def scope_key(snapshot: MeshSnapshot, proxy: Proxy) -> Hashable:
    """Return a value that is equal for proxies which get equal configuration.

    Replicas of a workload differ only in name and address, and without capture in those too.
    """
    uncaptured = proxy.interception is Interception.NONE
    return (
        proxy.type,
        proxy.namespace,
        proxy.labels,
        proxy.service_account,
        proxy.locality,
        proxy.network,
        proxy.interception,
        proxy.bind_address,
        proxy.ip if uncaptured or proxy.type is ProxyType.ROUTER else "",
        proxy.http_proxy_port,
        proxy.app_ports,
        proxy.local_ports,
        proxy.grpc,
    )


def build_scope(
    snapshot: MeshSnapshot, proxy: Proxy, previous: ProxyScope | None = None
) -> ProxyScope:
    """Return the complete input of the compiler; parts equal to ``previous`` are its own."""
    outbound = _build_outbound(snapshot, proxy)
    router = proxy.type is ProxyType.ROUTER
    inbound = None if router else build_inbound(snapshot, proxy)
    gateway = build_gateway(snapshot, proxy) if router else None
    if previous is not None:
        outbound = previous.outbound if previous.outbound == outbound else outbound
        inbound = previous.inbound if previous.inbound == inbound else inbound
        gateway = previous.gateway if previous.gateway == gateway else gateway
    return ProxyScope(proxy=proxy, outbound=outbound, inbound=inbound, gateway=gateway)


def affects(dirty: Dirty, scope: ProxyScope) -> bool:
    """Whether a change may concern proxies of this scope."""
    touched = dirty.hosts | dirty.endpoint_hosts
    served = [port.service for port in scope.inbound.ports] if scope.inbound else []
    return dirty.everything or any(
        service.hostname in touched for service in (*scope.outbound.services, *served)
    )


def _build_outbound(snapshot: MeshSnapshot, proxy: Proxy) -> OutboundScope:
    mesh, namespace, labels = snapshot.mesh, proxy.namespace, dict(proxy.labels)
    router = proxy.type is ProxyType.ROUTER
    sidecar = (
        None if router else sidecar_for(snapshot.sidecars, namespace, labels, mesh.root_namespace)
    )
    declared = sidecar.spec.egress if sidecar is not None else ()
    egress = tuple(_egress(snapshot, namespace, declared))
    services = _distinct(service for listener in egress for service in listener.services)
    rules = {
        s.hostname: rule
        for s in services
        if (rule := destination_rule_for(s, namespace, labels, snapshot.destination_rules, mesh))
    }
    headless = any(s.resolution is Resolution.PASSTHROUGH and s.kubernetes for s in services)
    return OutboundScope(
        mesh=mesh,
        trust_domain=mesh.trust_domain,
        namespace=namespace,
        dns_domain=proxy.dns_domain or f"{namespace}.svc.{DOMAIN}",
        labels=proxy.labels,
        locality=proxy.locality,
        network=proxy.network,
        own_ips=(proxy.ip, *proxy.extra_ips) if headless else (),
        interception=proxy.interception,
        http_proxy_port=proxy.http_proxy_port or mesh.proxy_http_port,
        local_ports=proxy.local_ports,
        registry_only=registry_only(sidecar, mesh),
        egress=egress,
        services=services,
        endpoints={s.key: snapshot.endpoints.get(s.key, ()) for s in services},
        destination_rules=rules,
        mutual_tls=_mutual_tls(snapshot, services),
    )


def _egress(
    snapshot: MeshSnapshot, namespace: str, declared: Sequence[IstioEgressListener]
) -> Iterator[EgressListener]:
    visible_services = _best_per_host(snapshot, namespace)
    routes = tuple(virtual_services_for(snapshot.virtual_services, MESH, namespace, snapshot.mesh))
    if not declared:
        yield EgressListener(services=visible_services, virtual_services=routes)
    for listener in declared:
        imported = imported_virtual_services(listener, routes, namespace)
        yield EgressListener(
            declared=None if listener == EVERYTHING else listener,
            services=imported_services(listener, visible_services, imported, namespace),
            virtual_services=imported,
        )


def _best_per_host(snapshot: MeshSnapshot, namespace: str) -> tuple[Service, ...]:
    """Of services with one hostname: Kubernetes' own, then the proxy's namespace, then the
    oldest.
    """
    best: dict[str, Service] = {}
    for service in snapshot.services:
        if not visible(service.export_to, namespace):
            continue
        rival = best.get(service.hostname)
        if rival is None or _rank(service, namespace) > _rank(rival, namespace):
            best[service.hostname] = service
    chosen = {service.key for service in best.values()}
    return tuple(s for s in snapshot.services if s.key in chosen)


def _rank(service: Service, namespace: str) -> tuple[bool, bool]:
    return service.kubernetes, service.namespace == namespace


def _distinct(services: Iterator[Service]) -> tuple[Service, ...]:
    return tuple({service.key: service for service in services}.values())


def _mutual_tls(
    snapshot: MeshSnapshot, services: Sequence[Service]
) -> dict[tuple[str, int], MutualTls]:
    """Return the mode that clients may expect of each port; external services are unknown."""
    policies, root = snapshot.peer_authentications, snapshot.mesh.root_namespace
    return {
        (service.hostname, port.number): namespace_mode(policies, service.namespace, root)
        for service in services
        if not service.mesh_external
        for port in service.ports
    }
