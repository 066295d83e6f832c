"""Merging of transport sockets: their configuration is merged if both are of one name.

Source: istio ``mergeTransportSocketListener`` and ``mergeTransportSocketCluster``.
"""

from __future__ import annotations

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.base_pb2 import TransportSocket
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import FilterChain
from clew.compile.envoy_filter.merge import merge, merge_any


def merge_filter_chain(chain: FilterChain, patch: FilterChain, replace_lists: bool) -> bool:
    """Merge ``patch`` into the chain; False if its socket of the same name has another type."""
    same = patch.HasField("transport_socket") and (
        chain.transport_socket.name == patch.transport_socket.name
    )
    if not same:
        merge(chain, patch, replace_lists=replace_lists)
        return True
    if not _merge_socket(chain.transport_socket, patch.transport_socket, replace_lists):
        return False
    rest = FilterChain()
    rest.CopyFrom(patch)
    rest.ClearField("transport_socket")
    merge(chain, rest, replace_lists=replace_lists)
    return True


def merge_cluster(cluster: Cluster, patch: Cluster, replace_lists: bool) -> bool:
    """Merge ``patch`` into the cluster; False if its transport socket fits none that is there."""
    rest = Cluster()
    rest.CopyFrom(patch)
    if patch.HasField("transport_socket"):
        socket = _socket_like(cluster, patch.transport_socket)
        if socket is None and cluster.transport_socket_matches:
            # A cluster cannot have both kinds.
            return False
        if socket is not None:
            if not _merge_socket(socket, patch.transport_socket, replace_lists):
                return False
            rest.ClearField("transport_socket")
    merge(cluster, rest, replace_lists=replace_lists)
    return True


def _socket_like(cluster: Cluster, wanted: TransportSocket) -> TransportSocket | None:
    """Return the cluster's socket of the same name: the first one, if it has several."""
    for match in cluster.transport_socket_matches:
        if match.transport_socket.name == wanted.name:
            return match.transport_socket
    if cluster.HasField("transport_socket") and cluster.transport_socket.name == wanted.name:
        return cluster.transport_socket
    return None


def _merge_socket(into: TransportSocket, patch: TransportSocket, replace_lists: bool) -> bool:
    if not patch.HasField("typed_config"):
        return True
    if not into.HasField("typed_config"):
        into.typed_config.CopyFrom(patch.typed_config)
        return True
    return merge_any(into.typed_config, patch.typed_config, replace_lists=replace_lists)
