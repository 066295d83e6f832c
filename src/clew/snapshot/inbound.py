"""Which ports a workload serves, and for which service: the oldest wins a port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from clew.model.proxy import Interception, Proxy
from clew.model.service import Protocol, Service, ServicePort
from clew.model.sidecar import IstioIngressListener, Sidecar
from clew.snapshot.destination_rules import destination_rule_for
from clew.snapshot.peer_authentication import together
from clew.snapshot.pod_endpoints import named_port
from clew.snapshot.protocols import parse_protocol
from clew.snapshot.scope import InboundPort, InboundScope, MutualTls
from clew.snapshot.services import service_age
from clew.snapshot.sidecars import sidecar_for
from clew.snapshot.snapshot import MeshSnapshot

# A service, its port, and the port where this workload serves it.
Served = tuple[Service, ServicePort, int]


def build_inbound(snapshot: MeshSnapshot, proxy: Proxy) -> InboundScope:
    """Return what the workload serves: what its Sidecar lists, else what services select."""
    mesh, labels = snapshot.mesh, dict(proxy.labels)
    followed = (snapshot.registry.authentication, *snapshot.also_accepted)
    mode, exceptions = together(each.of_workload(proxy.namespace, labels) for each in followed)
    sidecar = sidecar_for(snapshot.sidecars, proxy.namespace, labels, mesh.root_namespace)
    ports = {
        port.target_port: replace(port, mutual_tls=exceptions.get(port.target_port, mode))
        for port in _ports(snapshot, proxy, sidecar)
    }
    uncaptured = proxy.interception is Interception.NONE
    own_address = uncaptured or serves_at_own_address(snapshot, proxy)
    return InboundScope(
        mesh=mesh,
        trust_domain=mesh.trust_domain,
        namespace=proxy.namespace,
        interception=proxy.interception,
        families=proxy.families,
        unprivileged=proxy.unprivileged,
        ips=(proxy.ip, *proxy.extra_ips) if own_address else (),
        app_ports=proxy.app_ports if uncaptured else (),
        ports=tuple(ports[number] for number in sorted(ports)),
        passthrough_mutual_tls=mode,
        passthrough_port_mutual_tls=_uncovered(exceptions, ports),
    )


def _uncovered(
    exceptions: Mapping[int, MutualTls], ports: Mapping[int, InboundPort]
) -> tuple[tuple[int, MutualTls], ...]:
    return tuple(sorted((p, m) for p, m in exceptions.items() if p not in ports))


def _at_own_address(listener: IstioIngressListener) -> bool:
    """``defaultEndpoint: 0.0.0.0:8080`` is the workload's own address."""
    return listener.default_endpoint.startswith(("0.0.0.0:", "[::]:"))


def _ports(snapshot: MeshSnapshot, proxy: Proxy, sidecar: Sidecar | None) -> Iterator[InboundPort]:
    """Yield the served ports, with the mesh's default mode in place of the workload's."""
    selected = _selected_ports(snapshot, proxy)
    if sidecar is None:
        yield from selected
        return
    pool = sidecar.spec.inbound_connection_pool
    if not sidecar.spec.ingress:
        yield from (replace(port, connection_pool=pool) for port in selected)
        return
    by_number = {port.port.number: port.service for port in reversed(selected)}
    for listener in sidecar.spec.ingress:
        declared = _declared_port(listener)
        service = by_number.get(declared.number) or _placeholder(sidecar, declared)
        yield replace(
            _inbound_port(snapshot, proxy, service, declared, declared.number),
            ingress=listener,
            connection_pool=listener.connection_pool or pool,
        )


def _declared_port(listener: IstioIngressListener) -> ServicePort:
    port = listener.port
    return ServicePort(
        name=port.name, number=port.number or 0, protocol=parse_protocol(port.protocol)
    )


def _placeholder(sidecar: Sidecar, port: ServicePort) -> Service:
    """The service of a port that none declares. Source: istio ``findOrCreateService``."""
    meta = sidecar.metadata
    return Service(
        hostname=f"{meta.name}.{meta.namespace}",
        namespace=meta.namespace,
        name=meta.name,
        ports=(port,),
        source=sidecar.key,
    )


def _selected_ports(snapshot: MeshSnapshot, proxy: Proxy) -> list[InboundPort]:
    """Return one port per target port, of the oldest service that has it."""
    ports: dict[int, InboundPort] = {}
    for service, port, target in served_ports(snapshot, proxy):
        oldest = ports.get(target)
        if port.protocol is Protocol.UDP:
            continue
        if oldest is None:
            ports[target] = _inbound_port(snapshot, proxy, service, port, target)
        elif service is not oldest.service and service not in oldest.sharing:
            ports[target] = replace(oldest, sharing=(*oldest.sharing, service))
    return list(ports.values())


def _inbound_port(
    snapshot: MeshSnapshot, proxy: Proxy, service: Service, port: ServicePort, target: int
) -> InboundPort:
    return InboundPort(
        service=service,
        port=port,
        target_port=target,
        mutual_tls=MutualTls.PERMISSIVE,
        destination_rule=destination_rule_for(
            service, proxy.namespace, dict(proxy.labels), snapshot.destination_rules, snapshot.mesh
        ),
    )


def served_ports(snapshot: MeshSnapshot, proxy: Proxy) -> Iterator[Served]:
    """Yield what reaches this workload, of the oldest service first: by its address among the
    endpoints, else by labels.
    """
    registry = snapshot.registry
    addresses = (proxy.ip, *proxy.extra_ips)
    services = {registry.services.by_key[key] for key in registry.services_at(addresses)}
    services |= set(registry.services.that_select(proxy.namespace, dict(proxy.labels)))
    for service in sorted(services, key=service_age):
        found = [e for e in registry.endpoints_of(service.key) if e.address in addresses]
        if found:
            names = {port.name: port for port in service.ports}
            targets = dict.fromkeys((e.port_name, e.port) for e in found)
            yield from ((service, names[name], target) for name, target in targets)
        elif service.kubernetes:
            yield from _by_labels(snapshot, proxy, service)


def _by_labels(snapshot: MeshSnapshot, proxy: Proxy, service: Service) -> Iterator[Served]:
    """Yield what a service selects of a workload that is not among its endpoints (yet)."""
    pod = snapshot.registry.places_of(proxy.namespace).pod_at(proxy.ip)
    for port in service.ports:
        if isinstance(port.target_port, int):
            yield service, port, port.target_port or port.number
        elif pod is not None and (number := named_port(pod, port.target_port)) is not None:
            yield service, port, number


def serves_at_own_address(snapshot: MeshSnapshot, proxy: Proxy) -> bool:
    """Whether the workload's own address is part of its configuration."""
    sidecar = sidecar_for(
        snapshot.sidecars, proxy.namespace, dict(proxy.labels), snapshot.mesh.root_namespace
    )
    return sidecar is not None and any(map(_at_own_address, sidecar.spec.ingress))
