"""Names that users, tools and other proxies depend on; Istio's, but for ``jwks|`` and ``udp|``.

Source: Istio's cluster, listener and route naming (``BuildSubsetKey`` and friends) and SPIFFE.
"""

from __future__ import annotations

PASSTHROUGH_CLUSTER = "PassthroughCluster"
BLACK_HOLE_CLUSTER = "BlackHoleCluster"
UNKNOWN_SERVICE = "UnknownService"
INBOUND_PASSTHROUGH_CLUSTER = "InboundPassthroughCluster"
VIRTUAL_OUTBOUND = "virtualOutbound"
VIRTUAL_INBOUND = "virtualInbound"

OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
STATUS_PORT = 15020

# SDS names of the workload's own certificate and of the roots it trusts.
WORKLOAD_CERTIFICATE = "default"
ROOT_CERTIFICATE = "ROOTCA"

# Who the control plane is, by its certificate.
CONTROL_PLANE_NAMESPACE = "istio-system"
CONTROL_PLANE_SERVICE_ACCOUNT = "istiod"
CONTROL_PLANE_SERVER_NAME = "istiod.istio-system.svc"

# By which a proxy reaches the control plane; it is in the bootstrap of each.
CONTROL_PLANE_CLUSTER = "xds-grpc"

# Of which the endpoints are those of the proxy's own service, for zone-aware balancing.
LOCAL_CLUSTER = "local_cluster"


def outbound_cluster(port: int, hostname: str, subset: str = "") -> str:
    """``outbound|9080|v1|reviews.default.svc.cluster.local``"""
    return f"outbound|{port}|{subset}|{hostname}"


def datagram_cluster(port: int, hostname: str) -> str:
    """``udp|53||dns.default.svc.cluster.local``: a service may have the port for TCP as well."""
    return f"udp|{port}||{hostname}"


def inbound_cluster(target_port: int) -> str:
    """``inbound|9080||``"""
    return f"inbound|{target_port}||"


def keys_cluster(port: int, host: str, *, tls: bool) -> str:
    """``jwks|443|tls|idp.example.com``: where keys are fetched that no service of the mesh has."""
    return f"jwks|{port}|{'tls' if tls else ''}|{host}"


def server_name(port: int, hostname: str, subset: str = "") -> str:
    """The SNI that mesh clients send: ``outbound_.9080_.v1_.reviews.default.svc.cluster.local``"""
    return f"outbound_.{port}_.{subset}_.{hostname}"


def listener(address: str, port: int) -> str:
    """``0.0.0.0_9080``; IPv6 without brackets."""
    return f"{address}_{port}"


def virtual_host(hostname: str, port: int) -> str:
    return f"{hostname}:{port}"


def spiffe_id(trust_domain: str, namespace: str, service_account: str) -> str:
    """``spiffe://cluster.local/ns/default/sa/bookinfo-reviews``"""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"


def short_to_fqdn(name: str, namespace: str, domain_suffix: str) -> str:
    """Complete a host without dots to ``name.namespace.svc.domain``; ``*`` and others stay.

    Source: istio ``ResolveShortnameToFQDN``.
    """
    if not name or name == "*" or "." in name:
        return name
    return f"{name}.{namespace}.svc.{domain_suffix}"


def config_path(group: str, version: str, namespace: str, kind_kebab: str, name: str) -> str:
    """The provenance that compiled objects carry in ``filter_metadata.istio.config``.

    ``/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews``
    """
    return f"/apis/{group}/{version}/namespaces/{namespace}/{kind_kebab}/{name}"
