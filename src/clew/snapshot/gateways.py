"""The Gateway servers that are bound to a router, with their routes and real ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clew.model.proxy import Proxy
from clew.snapshot.labels import selects
from clew.snapshot.scope import GatewayScope, GatewayServer
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.virtual_services import virtual_services_for


def build_gateway(snapshot: MeshSnapshot, proxy: Proxy) -> GatewayScope:
    return GatewayScope(
        mesh=snapshot.mesh,
        trust_domain=snapshot.mesh.trust_domain,
        namespace=proxy.namespace,
        bind_address=proxy.bind_address,
        unprivileged=proxy.unprivileged,
        servers=tuple(_servers(snapshot, proxy)),
    )


def _servers(snapshot: MeshSnapshot, proxy: Proxy) -> Iterator[GatewayServer]:
    labels = dict(proxy.labels)
    targets = _target_ports(snapshot, proxy, labels)
    for gateway in snapshot.gateways:
        if not selects(gateway.spec.selector, labels):
            continue
        name = f"{gateway.metadata.namespace}/{gateway.metadata.name}"
        routes = tuple(
            virtual_services_for(snapshot.virtual_services, name, proxy.namespace, snapshot.mesh)
        )
        for server in gateway.spec.servers:
            for port in targets.get(server.port.number, (server.port.number,)):
                yield GatewayServer(
                    gateway=gateway, server=server, listen_port=port, virtual_services=routes
                )


def _target_ports(
    snapshot: MeshSnapshot, proxy: Proxy, labels: Mapping[str, str]
) -> dict[int, tuple[int, ...]]:
    """Map Service ports to the ports of this router: a Gateway names the Service's.

    Source: istio's gateway port translation.
    """
    targets: dict[int, tuple[int, ...]] = {}
    for service in snapshot.services:
        if dict(service.labels).get(_NO_TRANSLATION) == "true":
            continue
        own = [e for e in snapshot.endpoints.get(service.key, ()) if e.address == proxy.ip]
        chosen = service.selector is not None and selects(dict(service.selector), labels)
        for port in service.ports:
            found = {e.port for e in own if e.port_name == port.name}
            if not found and chosen and isinstance(port.target_port, int) and port.target_port:
                found = {port.target_port}
            known = targets.get(port.number, ())
            targets[port.number] = (*known, *sorted(found - set(known)))
    return {number: ports for number, ports in targets.items() if ports}


_NO_TRANSLATION = "experimental.istio.io/disable-gateway-port-translation"
