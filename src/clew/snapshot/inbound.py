"""Which ports a workload serves, and for which service: the oldest wins a port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from clew.model.pod import Pod
from clew.model.proxy import Interception, Proxy
from clew.model.service import Protocol, Service, ServicePort
from clew.model.sidecar import IstioIngressListener, Sidecar
from clew.snapshot.destination_rules import destination_rule_for
from clew.snapshot.labels import selects
from clew.snapshot.peer_authentication import workload_modes
from clew.snapshot.protocols import parse_protocol
from clew.snapshot.scope import InboundPort, InboundScope, MutualTls
from clew.snapshot.sidecars import sidecar_for
from clew.snapshot.snapshot import MeshSnapshot


def build_inbound(snapshot: MeshSnapshot, proxy: Proxy) -> InboundScope:
    """Return what the workload serves: what its Sidecar lists, else what services select."""
    mesh, labels = snapshot.mesh, dict(proxy.labels)
    mode, exceptions = workload_modes(
        snapshot.peer_authentications, proxy.namespace, mesh.root_namespace, labels
    )
    sidecar = sidecar_for(snapshot.sidecars, proxy.namespace, labels, mesh.root_namespace)
    ports = {
        port.target_port: replace(port, mutual_tls=exceptions.get(port.target_port, mode))
        for port in _ports(snapshot, proxy, sidecar)
    }
    uncaptured = proxy.interception is Interception.NONE
    own_address = uncaptured or any(_at_own_address(port) for port in ports.values())
    return InboundScope(
        mesh=mesh,
        trust_domain=mesh.trust_domain,
        namespace=proxy.namespace,
        interception=proxy.interception,
        ip=proxy.ip if own_address else "",
        app_ports=proxy.app_ports if uncaptured else (),
        ports=tuple(ports[number] for number in sorted(ports)),
        passthrough_mutual_tls=mode,
        passthrough_port_mutual_tls=_uncovered(exceptions, ports),
    )


def _uncovered(
    exceptions: Mapping[int, MutualTls], ports: Mapping[int, InboundPort]
) -> tuple[tuple[int, MutualTls], ...]:
    return tuple(sorted((p, m) for p, m in exceptions.items() if p not in ports))


def _at_own_address(port: InboundPort) -> bool:
    """``defaultEndpoint: 0.0.0.0:8080`` is the workload's own address."""
    return port.ingress is not None and port.ingress.default_endpoint.startswith(
        ("0.0.0.0:", "[::]:")
    )


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
    for service, port, target in _served(snapshot, proxy, dict(proxy.labels)):
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


def _served(
    snapshot: MeshSnapshot, proxy: Proxy, labels: Mapping[str, str]
) -> Iterator[tuple[Service, ServicePort, int]]:
    """Yield what reaches this workload: by its address among the endpoints, else by labels."""
    pods = [
        r
        for r in snapshot.resources.values()
        if isinstance(r, Pod) and r.metadata.namespace == proxy.namespace
    ]
    addresses = {proxy.ip, *proxy.extra_ips}
    for service in snapshot.services:
        found = [e for e in snapshot.endpoints.get(service.key, ()) if e.address in addresses]
        if found:
            for endpoint in found:
                port = next((p for p in service.ports if p.name == endpoint.port_name), None)
                if port is not None:
                    yield service, port, endpoint.port
        elif service.kubernetes and service.namespace == proxy.namespace and service.selector:
            own = dict(service.selector)
            if not any(selects(own, p.metadata.labels) for p in pods) and selects(own, labels):
                for port in service.ports:
                    if isinstance(port.target_port, int):
                        yield service, port, port.target_port or port.number
