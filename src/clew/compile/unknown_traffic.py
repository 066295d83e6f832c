"""What becomes of traffic to hosts and addresses that nobody declared: the cluster it goes to."""

from __future__ import annotations

from clew.compile.destinations import destination_cluster
from clew.compile.memo import Memo
from clew.compile.upstream_tls import tls_in_force
from clew.model import names
from clew.model.destination_rule import ClientTLSSettings
from clew.model.mesh_config import MeshConfig, OutboundTrafficPolicyMode
from clew.model.service import Service
from clew.snapshot.scope import OutboundScope

# Requests go to the host they name.
RESOLVING_CLUSTER = "AllowAnyDynamicDNSCluster"


def unknown_requests(scope: OutboundScope, memo: Memo) -> str:
    """The cluster of requests to unknown hosts.

    REGISTRY_ONLY blocks them and a Sidecar's egress proxy takes them; else they pass, to the
    address that the client chose, or with ALLOW_ANY_DYNAMIC_DNS to the host that they name.

    Source: Istio's ``outboundTrafficPolicy``.
    """
    if scope.registry_only:
        return names.BLACK_HOLE_CLUSTER
    if scope.egress_proxy is not None:
        return destination_cluster(
            scope.egress_proxy, memo.call(_services_by_hostname, scope.services), 0
        )
    policy = scope.mesh.outbound_traffic_policy
    if policy and policy.mode is OutboundTrafficPolicyMode.ALLOW_ANY_DYNAMIC_DNS:
        return RESOLVING_CLUSTER
    return names.PASSTHROUGH_CLUSTER


def unknown_tls(mesh: MeshConfig) -> ClientTLSSettings | None:
    """How requests leave that go to the host they name; None: as the client made them.

    Source: Istio's ``outboundTrafficPolicy.tls``, which is about ALLOW_ANY_DYNAMIC_DNS only.
    """
    policy = mesh.outbound_traffic_policy
    if policy is None or policy.mode is not OutboundTrafficPolicyMode.ALLOW_ANY_DYNAMIC_DNS:
        return None
    return tls_in_force(policy.tls, None, router=False)


def _services_by_hostname(services: tuple[Service, ...]) -> dict[str, Service]:
    return {service.hostname: service for service in services}


def unknown_connections(requests: str) -> str:
    """The cluster of connections that are not HTTP, given that of requests."""
    return names.PASSTHROUGH_CLUSTER if requests == RESOLVING_CLUSTER else requests
