"""One connected Envoy: what its node message says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Self

from clew.model.service import NOWHERE, Locality

# Istio's metadata key (as a variable of the proxy: ISTIO_META_ENABLE_SELF_DISCOVERY).
SELF_DISCOVERY = "ENABLE_SELF_DISCOVERY"
# clew's: the address at which a workload's metrics can be read.
STATUS_ADDRESS = "CLEW_STATUS_ADDRESS"


class ProxyType(StrEnum):
    SIDECAR = "sidecar"
    ROUTER = "router"


class Interception(StrEnum):
    """How traffic reaches the proxy."""

    REDIRECT = "REDIRECT"
    TPROXY = "TPROXY"
    NONE = "NONE"  # no capture: explicit ports and HTTP_PROXY


class IpFamilies(Enum):
    """The versions of IP that a proxy has addresses of.

    ``wildcards`` stand for all addresses of the machine, the first is the main one.
    """

    IPV4 = ("0.0.0.0",)
    IPV6 = ("::",)
    BOTH = ("0.0.0.0", "::")

    @property
    def wildcards(self) -> tuple[str, ...]:
        addresses: tuple[str, ...] = self.value
        return addresses

    @property
    def loopback(self) -> str:
        return "::1" if self is IpFamilies.IPV6 else "127.0.0.1"

    def among(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Those addresses, or ranges, that such a proxy can reach; all if it can reach none."""
        if len(addresses) < 2 or self is IpFamilies.BOTH:
            return addresses
        six = self is IpFamilies.IPV6
        return tuple(a for a in addresses if (":" in a) is six) or addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPort:
    """Without capture: the address at which this proxy offers one upstream port to its app."""

    hostname: str
    port: int
    address: str
    local_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy's identity and place.

    Node id: ``sidecar~10.0.0.7~reviews-v1-0.default~default.svc.cluster.local``.
    """

    type: ProxyType
    name: str
    namespace: str
    ip: str
    dns_domain: str = ""  # "" means <namespace>.svc.<mesh domain>
    extra_ips: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()  # sorted
    service_account: str = "default"
    locality: Locality = NOWHERE
    network: str = ""
    network_view: tuple[str, ...] = ()  # the networks that it asks to see; none: all
    cluster_id: str = ""
    node_name: str = ""
    interception: Interception = Interception.REDIRECT
    # Without capture: port the app sends HTTP_PROXY traffic to (on 127.0.0.1); 0: none.
    http_proxy_port: int = 0
    # Without capture: container port -> port at which the app really listens on 127.0.0.1.
    app_ports: tuple[tuple[int, int], ...] = ()
    local_ports: tuple[LocalPort, ...] = ()
    # The address that a gateway's listeners bind ("" = 0.0.0.0).
    bind_address: str = ""
    unprivileged: bool = False
    # Percent of requests whose spans the control plane gets, unless the mesh says otherwise.
    trace_sampling: float = 0.0
    tapped: bool = False  # it tells the control plane of each request while that is wanted
    explains: bool = False  # its refusals say why, to everybody
    # It knows the endpoints of its own service, to compare their zones with those of others.
    self_discovery: bool = False
    grpc: bool = False  # proxyless gRPC (metadata GENERATOR: grpc)
    version: str = ""  # Istio's, of which it has the API
    # All metadata that is text, sorted, for EnvoyFilters to match.
    metadata: tuple[tuple[str, str], ...] = ()
    # The WorkloadGroup that it joins, or the WorkloadEntry that stands for it already.
    auto_register_group: str = ""
    workload_entry: str = ""
    health_checked: bool = False  # the workload's health is reported
    config: str = ""  # its own MeshProxyConfig, as JSON; "": the mesh's

    @property
    def families(self) -> IpFamilies:
        """Source: istio ``DiscoverIPMode``."""
        six = {":" in address for address in (self.ip, *self.extra_ips)}
        if len(six) == 2:
            return IpFamilies.BOTH
        return IpFamilies.IPV6 if True in six else IpFamilies.IPV4

    @property
    def node_id(self) -> str:
        domain = self.dns_domain or f"{self.namespace}.svc.cluster.local"
        return f"{self.type.value}~{self.ip}~{self.name}.{self.namespace}~{domain}"

    @property
    def workload(self) -> str:
        """``reviews-v1``, as its metadata says; the name of the proxy where that says nothing."""
        return dict(self.metadata).get("WORKLOAD_NAME", "") or self.name

    @classmethod
    def from_node(cls, node_id: str, metadata: Mapping[str, Any], locality: Locality) -> Self:
        """Read a node id and Istio's metadata keys (NAMESPACE, LABELS, INTERCEPTION_MODE …).

        clew's own keys: HTTP_PROXY_PORT (Istio's), CLEW_APP_PORTS ``{"9080": 31000}``,
        CLEW_LOCAL_PORTS ``{"host:port": "address:port"}``, CLEW_BIND_ADDRESS.

        Raises:
            ValueError: the node id does not have Istio's four parts.
        """
        parts = node_id.split("~")
        if len(parts) != 4 or parts[0] not in set(ProxyType):
            raise ValueError(
                f"node id {node_id!r} is not <sidecar|router>~<ip>~<name>.<namespace>~<domain>"
            )
        kind, ip, full_name, domain = parts
        name, _, namespace = full_name.rpartition(".")
        namespace = str(metadata.get("NAMESPACE", "")) or namespace
        return cls(
            type=ProxyType(kind),
            name=name,
            namespace=namespace,
            ip=ip,
            dns_domain=domain,
            extra_ips=tuple(each for each in _listed(metadata, "INSTANCE_IPS") if each != ip),
            labels=tuple(sorted(dict(metadata.get("LABELS") or {}).items())),
            service_account=str(metadata.get("SERVICE_ACCOUNT", "")) or "default",
            locality=locality,
            network=str(metadata.get("NETWORK", "")),
            network_view=_listed(metadata, "REQUESTED_NETWORK_VIEW"),
            cluster_id=str(metadata.get("CLUSTER_ID", "")),
            node_name=str(metadata.get("NODE_NAME", "")),
            interception=Interception(metadata.get("INTERCEPTION_MODE") or "REDIRECT"),
            http_proxy_port=int(metadata.get("HTTP_PROXY_PORT") or 0),
            app_ports=tuple(
                sorted(
                    (int(k), int(v)) for k, v in dict(metadata.get("CLEW_APP_PORTS") or {}).items()
                )
            ),
            local_ports=tuple(
                _local_port(upstream, str(local))
                for upstream, local in sorted(dict(metadata.get("CLEW_LOCAL_PORTS") or {}).items())
            ),
            bind_address=str(metadata.get("CLEW_BIND_ADDRESS", "")),
            unprivileged=_flag(metadata, "UNPRIVILEGED_POD"),
            trace_sampling=_percent(str(metadata.get("CLEW_TRACE_SAMPLING", ""))),
            tapped=_flag(metadata, "CLEW_TAP"),
            explains=_flag(metadata, "CLEW_EXPLAIN"),
            self_discovery=_flag(metadata, SELF_DISCOVERY),
            grpc=metadata.get("GENERATOR") == "grpc",
            version=str(metadata.get("ISTIO_VERSION", "")),
            metadata=tuple(sorted((k, v) for k, v in metadata.items() if isinstance(v, str))),
            auto_register_group=str(metadata.get("AUTO_REGISTER_GROUP", "")),
            workload_entry=str(metadata.get("WORKLOAD_ENTRY", "")),
            health_checked=bool(dict(metadata.get("PROXY_CONFIG") or {}).get("readinessProbe")),
            config=_own_config(dict(metadata.get("PROXY_CONFIG") or {})),
        )


def _flag(metadata: Mapping[str, Any], key: str) -> bool:
    return str(metadata.get(key, "")).lower() == "true"


def _listed(metadata: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """What stands there with commas between."""
    texts = (each.strip() for each in str(metadata.get(key, "")).split(","))
    return tuple(text for text in texts if text)


def _own_config(said: Mapping[str, Any]) -> str:
    settings = {key: value for key, value in said.items() if key != "readinessProbe"}
    return json.dumps(settings, sort_keys=True) if settings else ""


def _percent(text: str) -> float:
    return min(float(text), 100.0) if text.replace(".", "", 1).isdecimal() else 0.0


def _local_port(upstream: str, local: str) -> LocalPort:
    hostname, _, port = upstream.rpartition(":")
    address, _, local_port = local.rpartition(":")
    return LocalPort(hostname=hostname, port=int(port), address=address, local_port=int(local_port))
