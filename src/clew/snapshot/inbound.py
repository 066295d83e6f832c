"""Which ports a workload serves, and for which service: the oldest wins a port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clew.model.pod import Pod
from clew.model.proxy import Proxy
from clew.model.service import Protocol, Service, ServicePort
from clew.snapshot.destination_rules import destination_rule_for
from clew.snapshot.labels import selects
from clew.snapshot.peer_authentication import workload_modes
from clew.snapshot.scope import InboundPort, InboundScope, MutualTls
from clew.snapshot.snapshot import MeshSnapshot


def build_inbound(snapshot: MeshSnapshot, proxy: Proxy) -> InboundScope:
    mesh, labels = snapshot.mesh, dict(proxy.labels)
    mode, exceptions = workload_modes(
        snapshot.peer_authentications, proxy.namespace, mesh.root_namespace, labels
    )
    ports: dict[int, InboundPort] = {}
    for service, port, target in _served(snapshot, proxy, labels):
        if target not in ports and port.protocol is not Protocol.UDP:
            ports[target] = InboundPort(
                service=service,
                port=port,
                target_port=target,
                mutual_tls=exceptions.get(target, mode),
                destination_rule=destination_rule_for(
                    service, proxy.namespace, labels, snapshot.destination_rules, mesh
                ),
            )
    uncaptured = proxy.interception.value == "NONE"
    return InboundScope(
        mesh=mesh,
        trust_domain=mesh.trust_domain,
        namespace=proxy.namespace,
        interception=proxy.interception,
        ip=proxy.ip if uncaptured else "",
        app_ports=proxy.app_ports if uncaptured else (),
        ports=tuple(ports[number] for number in sorted(ports)),
        passthrough_mutual_tls=mode,
        passthrough_port_mutual_tls=_uncovered(exceptions, ports),
    )


def _uncovered(
    exceptions: Mapping[int, MutualTls], ports: Mapping[int, InboundPort]
) -> tuple[tuple[int, MutualTls], ...]:
    return tuple(sorted((p, m) for p, m in exceptions.items() if p not in ports))


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
