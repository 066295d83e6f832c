"""The Gateway servers that are bound to a router, with their routes and real ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from clew.model.base import ObjectMeta
from clew.model.config_map import ConfigMap
from clew.model.gateway import Gateway
from clew.model.proxy import Proxy
from clew.model.route_semantics import CLIENT_CERTIFICATE
from clew.model.secret import Secret
from clew.model.service import Protocol, Service
from clew.snapshot.gateway_api.certificates import (
    CONFIG_MAP_REFERENCE,
    ROOTS_SUFFIX,
    SECRET_REFERENCE,
)
from clew.snapshot.inbound import served_ports
from clew.snapshot.labels import selects
from clew.snapshot.protocols import parse_protocol
from clew.snapshot.scope import GatewayScope, GatewayServer
from clew.snapshot.snapshot import MeshSnapshot

# Istio's internal name for the services that a Gateway of the Gateway API is reached by.
_SERVICES = "internal.istio.io/gateway-service"
_NO_TRANSLATION = "experimental.istio.io/disable-gateway-port-translation"

# A service that leads to the router, its port, and the router's port.
_Reached = Sequence[tuple[Service, int, int]]


def build_gateway(snapshot: MeshSnapshot, proxy: Proxy) -> GatewayScope:
    servers = tuple(_servers(snapshot, proxy))
    return GatewayScope(
        mesh=snapshot.mesh,
        trust_domain=snapshot.mesh.trust_domain,
        namespace=proxy.namespace,
        bind_address=proxy.bind_address,
        families=proxy.families,
        unprivileged=proxy.unprivileged,
        servers=servers,
        credentials=tuple(_credentials(snapshot, proxy.namespace, servers)),
    )


def _servers(snapshot: MeshSnapshot, proxy: Proxy) -> Iterator[GatewayServer]:
    connected, datagrams = _reached_by(snapshot, proxy)
    by_udp = frozenset((number, target) for _, number, target in datagrams)
    for gateway in snapshot.gateways:
        every = (_ports(gateway, proxy, connected), _ports(gateway, proxy, datagrams))
        if every == (None, None):
            continue
        name = f"{gateway.metadata.namespace}/{gateway.metadata.name}"
        rules = snapshot.virtual_services.seen_by(proxy.namespace, name)
        for server in gateway.spec.servers:
            number = server.port.number
            unknown = () if _names_services(gateway) else (number,)
            ports = every[parse_protocol(server.port.protocol) is Protocol.UDP] or {}
            for port in ports.get(number, unknown):
                yield GatewayServer(
                    gateway=gateway,
                    server=server,
                    listen_port=port,
                    datagrams=(number, port) in by_udp,
                    virtual_services=rules,
                )


def _credentials(
    snapshot: MeshSnapshot, namespace: str, servers: Iterable[GatewayServer]
) -> Iterator[Secret]:
    """Yield the Secrets with the servers' certificates, and those of their clients' authorities;
    and what the router presents to backends.

    Only a router of their own namespace gets them, except for those that a Gateway of the Gateway
    API refers to with permission. Source: istio's ``credentialName``.
    """
    servers = list(servers)
    settings = [server.server.tls for server in servers if server.server.tls]
    names = {n for s in settings for n in (s.credential_name, *s.credential_names)}
    names |= {s.ca_cert_credential_name for s in settings}
    names |= {f"{name}-cacert" for name in names}
    names |= {s.gateway.metadata.annotations.get(CLIENT_CERTIFICATE, "") for s in servers}
    secrets = snapshot.objects.get(Secret, {}).get(namespace, {})
    for name in sorted(names & secrets.keys()):
        if isinstance(secret := secrets[name], Secret):
            yield secret
    for name in sorted(names):
        yield from _referenced(snapshot, name)


def _referenced(snapshot: MeshSnapshot, reference: str) -> Iterator[Secret]:
    """Yield what a Gateway of the Gateway API refers to, named as it does.

    That it may was found out when the reference was made.
    """
    kind = Secret if reference.startswith(SECRET_REFERENCE) else ConfigMap
    scheme = SECRET_REFERENCE if kind is Secret else CONFIG_MAP_REFERENCE
    place = reference.removeprefix(scheme)
    if place == reference:
        return
    namespace, _, name = place.removesuffix(ROOTS_SUFFIX).partition("/")
    found = snapshot.objects.get(kind, {}).get(namespace, {}).get(name)
    meta = ObjectMeta(name=reference.removesuffix(ROOTS_SUFFIX), namespace=namespace)
    if isinstance(found, Secret):
        yield msgspec.structs.replace(found, metadata=meta)
    elif isinstance(found, ConfigMap):
        yield Secret(api_version="v1", kind="Secret", metadata=meta, string_data=found.data)


def _ports(
    gateway: Gateway, proxy: Proxy, reached: _Reached
) -> Mapping[int, tuple[int, ...]] | None:
    """Return the router's ports by the Service's port, which is what a Gateway names; None if
    the Gateway is not bound to the router.

    Source: istio's gateway port translation.
    """
    if names := _names_services(gateway):
        reached = [each for each in reached if each[0].hostname in names]
        if not reached:
            return None
    elif not selects(gateway.spec.selector, dict(proxy.labels)):
        return None
    ports: dict[int, tuple[int, ...]] = {}
    for service, number, target in reached:
        if dict(service.labels).get(_NO_TRANSLATION) != "true":
            ports[number] = tuple(dict.fromkeys((*ports.get(number, ()), target)))
    return ports


def _names_services(gateway: Gateway) -> frozenset[str]:
    names = gateway.metadata.annotations.get(_SERVICES, "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def _reached_by(snapshot: MeshSnapshot, proxy: Proxy) -> tuple[_Reached, _Reached]:
    """Return what leads to the router by TCP, and what by UDP."""
    served = [(p.protocol, (s, p.number, t)) for s, p, t in served_ports(snapshot, proxy)]
    connected = [each for protocol, each in served if protocol is not Protocol.UDP]
    return connected, [each for protocol, each in served if protocol is Protocol.UDP]
