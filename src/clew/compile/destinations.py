"""Which cluster a VirtualService's destination is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clew.compile.traffic_policy import policy_for
from clew.model import names
from clew.model.destination_rule import DestinationRule, LoadBalancerSettings
from clew.model.mesh_config import MeshConfig
from clew.model.service import Service
from clew.model.virtual_service import Destination

# From a destination to the cluster of its host, port and subset.
ClusterOf = Callable[[Destination], str]
# From a destination to how its endpoints are chosen, as its DestinationRule says.
BalancerOf = Callable[[Destination], LoadBalancerSettings | None]


def destination_cluster(
    destination: Destination, services: Mapping[str, Service], listener_port: int
) -> str:
    """The cluster of ``destination``, whose host is resolved.

    Without a port of its own it is the service's only port, else the port that was called. An
    unknown host has a cluster name too, so that its requests fail as what they are; so has none,
    which stands for a backend that cannot be used.

    Source: istio ``GetDestinationCluster``.
    """
    if not destination.host:
        return names.UNKNOWN_SERVICE
    service = services.get(destination.host)
    port = destination.port.number if destination.port else None
    if port is None:
        ports = service.ports if service else ()
        port = ports[0].number if len(ports) == 1 else listener_port
    host = service.external_name if service and service.external_name else destination.host
    return names.outbound_cluster(port, host, destination.subset)


def destination_balancer(
    destination: Destination,
    cluster: str,
    rules: Mapping[str, DestinationRule],
    mesh: MeshConfig,
) -> LoadBalancerSettings | None:
    """How endpoints of ``destination``, which is ``cluster``, are chosen."""
    if cluster == names.UNKNOWN_SERVICE:
        return None
    port = int(cluster.split("|")[1])
    rule = rules.get(destination.host)
    return policy_for(rule, port, destination.subset, mesh).load_balancer
