"""The registry's own words: services and endpoints, wherever they were declared."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple

import msgspec

from clew.model.base import ResourceKey


class Protocol(StrEnum):
    """The application protocol of a service port. AUTO: detect HTTP or TCP per connection."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-Web"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    UDP = "UDP"
    MONGO = "Mongo"
    REDIS = "Redis"
    MYSQL = "MySQL"
    AUTO = "UnsupportedProtocol"

    @property
    def is_http(self) -> bool:
        return self in _HTTP

    @property
    def is_http2(self) -> bool:
        """HTTP/2 by declaration; gRPC-Web travels over either version."""
        return self in (Protocol.HTTP2, Protocol.GRPC)

    @property
    def is_tls(self) -> bool:
        """TLS that the mesh does not terminate, routed by SNI."""
        return self in (Protocol.HTTPS, Protocol.TLS)


_HTTP = frozenset({Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})


class Resolution(Enum):
    """How Envoy finds the endpoints of a service."""

    EDS = "eds"  # endpoints from the control plane: ClusterIP services, ServiceEntry STATIC
    DNS = "dns"  # STRICT_DNS
    DNS_ROUND_ROBIN = "dns-round-robin"  # LOGICAL_DNS
    PASSTHROUGH = "passthrough"  # the address the client chose: headless, ServiceEntry NONE
    DYNAMIC_DNS = "dynamic-dns"  # the host of each request
    ALIAS = "alias"  # ExternalName: another name for ``external_name``


class ServiceKey(NamedTuple):
    """A host may be declared in several namespaces; visibility decides which one a proxy sees."""

    hostname: str
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    name: str
    number: int
    protocol: Protocol
    target_port: int | str = 0  # 0: same as number; a name: the workload's named port


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One host of the mesh. Endpoints are kept apart, since they change much more often."""

    hostname: str
    namespace: str
    name: str
    ports: tuple[ServicePort, ...]
    # Virtual IPs, or CIDR ranges of a ServiceEntry; empty if it has none.
    addresses: tuple[str, ...] = ()
    resolution: Resolution = Resolution.EDS
    headless: bool = False
    mesh_external: bool = False
    kubernetes: bool = False  # from a Kubernetes Service rather than a ServiceEntry
    # Namespaces that may see it; "*" is all, empty is none. "." is resolved already.
    export_to: frozenset[str] = frozenset({"*"})
    created: str = ""  # RFC 3339
    labels: tuple[tuple[str, str], ...] = ()
    # Label selector for workloads, sorted; None: endpoints are declared, not selected.
    selector: tuple[tuple[str, str], ...] | None = None
    subject_alt_names: tuple[str, ...] = ()
    external_name: str = ""
    local_traffic_only: bool = False  # internalTrafficPolicy: Local
    traffic_distribution: str = ""
    publish_not_ready: bool = False
    source: ResourceKey
    # Younger ServiceEntries of the namespace that add ports or endpoints to this one.
    also: tuple[ResourceKey, ...] = ()
    # Made once: each change of the mesh asks thousands of services for it.
    key: ServiceKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", ServiceKey(self.hostname, self.namespace))

    @property
    def by_node(self) -> bool:
        """Whether it matters on which node a client is."""
        return self.local_traffic_only or self.traffic_distribution == "PreferSameNode"

    def port(self, number: int) -> ServicePort | None:
        return next((p for p in self.ports if p.number == number), None)


class Health(StrEnum):
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DRAINING = "DRAINING"


class Locality(NamedTuple):
    region: str = ""
    zone: str = ""
    subzone: str = ""

    @classmethod
    def parse(cls, text: str) -> Locality:
        """``region/zone/subzone``, parts from the right may be missing."""
        return cls(*text.split("/", 2)) if text else cls()


NOWHERE = Locality()


# There are tens of thousands of the following two: as structs they are made in a fraction of the
# time of dataclasses, and garbage collection need not look at them.


class Workload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What runs behind an endpoint; shared by all its ports."""

    name: str = ""  # e.g. reviews-v1, the owner rather than the replica
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()  # sorted
    service_account: str = ""
    locality: Locality = NOWHERE
    network: str = ""
    node: str = ""
    has_proxy: bool = False  # label security.istio.io/tlsMode: istio


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One address of one service port. ``address`` is an IP, a host name or ``unix://path``."""

    address: str
    port: int
    port_name: str  # the service port it serves
    # Of the other version of IP, for those who cannot reach the first one.
    more_addresses: tuple[str, ...] = ()
    weight: int = 1
    health: Health = Health.HEALTHY
    # It can be reached by mesh mTLS: it has a proxy, and no PeerAuthentication disables this port.
    mutual_tls: bool = False
    # Its own name under a headless service: <hostname>.<service's hostname>.
    hostname: str = ""
    workload: Workload = Workload()
