"""What becomes of traffic to hosts and addresses that nobody declared."""

from __future__ import annotations

from enum import Enum

from clew.model import names
from clew.model.mesh_config import MeshConfig, OutboundTrafficPolicyMode

RESOLVING_CLUSTER = "AllowAnyDynamicDNSCluster"


class UnknownTraffic(Enum):
    """Istio's ``outboundTrafficPolicy``, as far as it is about one proxy."""

    PASSES = "ALLOW_ANY"  # to the address that the client chose
    BLOCKED = "REGISTRY_ONLY"
    RESOLVED = "ALLOW_ANY_DYNAMIC_DNS"  # HTTP: to the host it names; the rest passes


def unknown_traffic(registry_only: bool, mesh: MeshConfig) -> UnknownTraffic:
    if registry_only:
        return UnknownTraffic.BLOCKED
    policy = mesh.outbound_traffic_policy
    mode = policy.mode if policy is not None else None
    resolves = mode is OutboundTrafficPolicyMode.ALLOW_ANY_DYNAMIC_DNS
    return UnknownTraffic.RESOLVED if resolves else UnknownTraffic.PASSES


def connection_cluster(policy: UnknownTraffic) -> str:
    """The cluster of connections that are not HTTP."""
    blocked = policy is UnknownTraffic.BLOCKED
    return names.BLACK_HOLE_CLUSTER if blocked else names.PASSTHROUGH_CLUSTER
