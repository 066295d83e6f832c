"""Clusters of a router that passes mesh mTLS on without ending it, told apart by server name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew.compile.resources import resource
from clew.model import names
from clew.model.service import Service, ServicePort
from clew.model.xds import EnvoyResource


def sni_name(service: Service, port: ServicePort, subset: str) -> str:
    return names.server_name(port.number, service.hostname, subset)


def sni_clusters(
    service: Service, port: ServicePort, clusters: tuple[EnvoyResource, ...]
) -> tuple[EnvoyResource, ...]:
    """The same as ``clusters``, those of a service port, for bytes that are encrypted already.

    Source: istio ``buildOutboundSniDnatClusters``.
    """
    return tuple(_passing(service, port, clusters))


def _passing(
    service: Service, port: ServicePort, clusters: Iterable[EnvoyResource]
) -> Iterator[EnvoyResource]:
    for each in clusters:
        cluster = Cluster.FromString(each.body)
        if cluster.type == Cluster.ORIGINAL_DST:
            continue
        cluster.name = sni_name(service, port, each.name.split("|")[2])
        cluster.alt_stat_name = f"{cluster.name};"
        cluster.ClearField("transport_socket")
        cluster.ClearField("transport_socket_matches")
        cluster.ClearField("typed_extension_protocol_options")
        if cluster.type == Cluster.EDS:
            cluster.eds_cluster_config.service_name = cluster.name
        elif cluster.HasField("load_assignment"):
            cluster.load_assignment.cluster_name = cluster.name
        yield resource(cluster.name, cluster, sources=each.sources)
