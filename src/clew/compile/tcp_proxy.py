"""The TCP proxy: bytes to one cluster, or to several by weight."""

from __future__ import annotations

from collections.abc import Sequence

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter
from clew._pb.envoy.extensions.filters.network.mongo_proxy.v3.mongo_proxy_pb2 import MongoProxy
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from clew.compile.access_log import compile_access_log
from clew.compile.typed_config import typed_config
from clew.model.destination_rule import TunnelSettings
from clew.model.duration import Duration
from clew.model.mesh_config import MeshConfig
from clew.model.service import Protocol


def connection_filters(protocol: Protocol, forwarding: Filter, stat_prefix: str) -> list[Filter]:
    """``forwarding``, after what only watches connections of a known protocol.

    Source: istio ``buildNetworkFiltersStack``.
    """
    if protocol is not Protocol.MONGO:
        return [forwarding]
    watching = typed_config(MongoProxy(stat_prefix=stat_prefix))
    return [Filter(name="envoy.filters.network.mongo_proxy", typed_config=watching), forwarding]


def compile_tcp_proxy(
    *,
    stat_prefix: str,
    clusters: Sequence[tuple[str, int]],
    mesh: MeshConfig,
    idle_timeout: Duration | None = None,
    max_connection_duration: Duration | None = None,
    tunnel: TunnelSettings | None = None,
    hash_source_address: bool = False,
) -> Filter:
    """The network filter that forwards a connection to one of ``clusters`` (name, weight).

    Source: istio ``buildOutboundNetworkFilters``.
    """
    proxy = TcpProxy(stat_prefix=stat_prefix, access_log=compile_access_log(mesh))
    if len(clusters) == 1:
        proxy.cluster = clusters[0][0]
    else:
        proxy.weighted_clusters.clusters.extend(
            TcpProxy.WeightedCluster.ClusterWeight(name=name, weight=weight)
            for name, weight in clusters
        )
    if idle_timeout is not None:
        proxy.idle_timeout.FromTimedelta(idle_timeout.timedelta)
    if max_connection_duration is not None:
        proxy.max_downstream_connection_duration.FromTimedelta(max_connection_duration.timedelta)
    if tunnel is not None:
        host = tunnel.target_host
        host = f"[{host}]" if ":" in host else host
        proxy.tunneling_config.hostname = f"{host}:{tunnel.target_port}"
        proxy.tunneling_config.use_post = tunnel.protocol == "POST"
    if hash_source_address:
        proxy.hash_policy.add().source_ip.SetInParent()
    return Filter(name="envoy.filters.network.tcp_proxy", typed_config=typed_config(proxy))
