"""ProxyScope: everything that the configuration of one class of proxies depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clew.model.destination_rule import ConnectionPoolSettings, DestinationRule
from clew.model.gateway import Gateway, Server
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception, IpFamilies, LocalPort, Proxy
from clew.model.secret import Secret
from clew.model.service import NOWHERE, Endpoint, Locality, Service, ServiceKey, ServicePort
from clew.model.sidecar import IstioEgressListener, IstioIngressListener
from clew.model.virtual_service import Destination, VirtualService
from clew.snapshot.authorization_policies import UNRESTRICTED, Authorization
from clew.snapshot.credentials import Credentials
from clew.snapshot.envoy_filters import SelectedPatch
from clew.snapshot.networks import ONE_NETWORK, Networks
from clew.snapshot.request_authentication import TokenRule
from clew.snapshot.telemetries import NO_TELEMETRY, TelemetryInForce


class MutualTls(StrEnum):
    """The mTLS mode in force, after inheritance: never UNSET."""

    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressListener:
    """What one ``egress`` entry of the proxy's Sidecar lets it see.

    ``declared`` is None for the implicit one (no Sidecar: everything that is exported to the
    namespace), and its ``port`` is None for the catch-all. Services are ordered oldest first, one
    per hostname (the best namespace has been chosen). VirtualServices come in Istio's lookup
    order with delegates merged in, hosts and destinations as FQDNs, gateways as ``ns/name`` or
    ``mesh``.
    """

    declared: IstioEgressListener | None = None
    services: tuple[Service, ...] = ()
    virtual_services: tuple[VirtualService, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundPort:
    """One port that this workload serves.

    ``target_port`` is where the application listens. ``service`` is the oldest service that
    selects the port; for a Sidecar ingress port without a service it is a placeholder.
    """

    service: Service
    port: ServicePort
    target_port: int
    mutual_tls: MutualTls
    ingress: IstioIngressListener | None = None
    # Younger services that select the same port: they have no say in how it is handled.
    sharing: tuple[Service, ...] = ()
    # The service's DestinationRule, whose connection pool also binds the server side, unless the
    # proxy's Sidecar has one for this port or for all.
    destination_rule: DestinationRule | None = None
    connection_pool: ConnectionPoolSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayServer:
    """One server of a Gateway bound to this router.

    ``listen_port`` is the port that Envoy binds (the Service's target port for ``port.number``).
    ``virtual_services`` are those that name this gateway, oldest first, resolved as in
    EgressListener, and exported to the router's namespace. ``datagrams``: the Service has the
    port for UDP too, so HTTP/3 reaches it.
    """

    gateway: Gateway
    server: Server
    listen_port: int
    datagrams: bool = False
    virtual_services: tuple[VirtualService, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundScope:
    """What the outbound side depends on; proxies with equal values share one compilation.

    ``services``: every visible service (union over ``egress``), oldest first. ``endpoints``: by
    service key, all ports, in stable order. ``destination_rules``: by visible hostname, the one
    rule in force for this proxy (merged, hosts resolved), absent if none.
    ``mutual_tls``: by (hostname, port number) the mode that auto-mTLS may assume; absent:
    unknown, so plaintext.
    ``egress_proxy``: where unknown traffic goes, unless it is blocked or passes as it is.
    ``own_ips`` is empty unless a visible headless service makes the proxy's own address matter.
    So is ``node`` unless one is served by nodes for themselves.
    ``credentials``: what those rules name of certificates that the mesh holds.
    """

    mesh: MeshConfig
    trust_domain: str
    namespace: str
    dns_domain: str
    labels: tuple[tuple[str, str], ...] = ()
    locality: Locality = NOWHERE
    network: str = ""
    network_view: tuple[str, ...] = ()
    networks: Networks = ONE_NETWORK
    node: str = ""
    own_ips: tuple[str, ...] = ()
    families: IpFamilies = IpFamilies.IPV4
    unprivileged: bool = False
    interception: Interception = Interception.REDIRECT
    http_proxy_port: int = 0
    local_ports: tuple[LocalPort, ...] = ()
    registry_only: bool = False
    egress_proxy: Destination | None = None
    egress: tuple[EgressListener, ...] = ()
    services: tuple[Service, ...] = ()
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]] = field(default_factory=dict)
    destination_rules: Mapping[str, DestinationRule] = field(default_factory=dict)
    mutual_tls: Mapping[tuple[str, int], MutualTls] = field(default_factory=dict)
    credentials: Credentials = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundScope:
    """What the inbound side depends on; the replicas of a workload share it.

    ``ips`` (the workload's own) and ``app_ports`` are set only without capture, where listeners
    bind explicitly.
    """

    mesh: MeshConfig
    trust_domain: str
    namespace: str
    interception: Interception = Interception.REDIRECT
    families: IpFamilies = IpFamilies.IPV4
    unprivileged: bool = False
    ips: tuple[str, ...] = ()
    app_ports: tuple[tuple[int, int], ...] = ()
    ports: tuple[InboundPort, ...] = ()
    # PeerAuthentication's mode for ports that no service covers, and exceptions by port.
    passthrough_mutual_tls: MutualTls = MutualTls.PERMISSIVE
    passthrough_port_mutual_tls: tuple[tuple[int, MutualTls], ...] = ()
    token_rules: tuple[TokenRule, ...] = ()
    authorization: Authorization = UNRESTRICTED

    @property
    def ip(self) -> str:
        return self.ips[0] if self.ips else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayScope:
    """The servers bound to one class of routers, in merge order: oldest Gateway first.

    ``credentials``: the Secrets that they name, of the router's own namespace.
    """

    mesh: MeshConfig
    trust_domain: str
    namespace: str
    bind_address: str = ""
    families: IpFamilies = IpFamilies.IPV4
    unprivileged: bool = False
    servers: tuple[GatewayServer, ...] = ()
    credentials: tuple[Secret, ...] = ()
    token_rules: tuple[TokenRule, ...] = ()
    authorization: Authorization = UNRESTRICTED


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyScope:
    """The complete input of ``compile_proxy``. Sidecars have ``inbound``, routers ``gateway``.

    ``telemetry``: what is told of its traffic. ``patches``: what EnvoyFilters change of the result,
    in order.
    """

    proxy: Proxy
    outbound: OutboundScope
    inbound: InboundScope | None = None
    gateway: GatewayScope | None = None
    telemetry: TelemetryInForce = NO_TELEMETRY
    patches: tuple[SelectedPatch, ...] = ()
