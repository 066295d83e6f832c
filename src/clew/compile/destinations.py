"""Which cluster a VirtualService's destination is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clew.model import names
from clew.model.service import Service
from clew.model.virtual_service import Destination

# From a destination to the cluster of its host, port and subset.
ClusterOf = Callable[[Destination], str]


def destination_cluster(
    destination: Destination, services: Mapping[str, Service], listener_port: int
) -> str:
    """The cluster of ``destination``, whose host is resolved.

    Without a port of its own it is the service's only port, else the port that was called. An
    unknown host has a cluster name too, so that its requests fail as what they are.

    Source: istio ``GetDestinationCluster``.
    """
    service = services.get(destination.host)
    port = destination.port.number if destination.port else None
    if port is None:
        ports = service.ports if service else ()
        port = ports[0].number if len(ports) == 1 else listener_port
    host = service.external_name if service and service.external_name else destination.host
    return names.outbound_cluster(port, host, destination.subset)
