"""Forwarding to the host that a request names, resolved by the proxy when it comes."""

from __future__ import annotations

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter
from clew._pb.envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2 import ClusterConfig
from clew._pb.envoy.extensions.common.dynamic_forward_proxy.v3.dns_cache_pb2 import DnsCacheConfig
from clew._pb.envoy.extensions.filters.http.dynamic_forward_proxy.v3 import (
    dynamic_forward_proxy_pb2,
)
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3 import (
    sni_dynamic_forward_proxy_pb2,
)
from clew.compile.typed_config import typed_config

# Cluster and filter must name the same cache with equal settings.
_CACHE = DnsCacheConfig(name="dynamic-hosts", dns_lookup_family=Cluster.V4_PREFERRED)

FORWARD_TO_NAMED_HOST = hcm_pb2.HttpFilter(
    name="envoy.filters.http.dynamic_forward_proxy",
    typed_config=typed_config(dynamic_forward_proxy_pb2.FilterConfig(dns_cache_config=_CACHE)),
)


def resolve_server_name(port: int) -> Filter:
    """The network filter that resolves the name which a TLS client asks for, before forwarding."""
    config = sni_dynamic_forward_proxy_pb2.FilterConfig(dns_cache_config=_CACHE, port_value=port)
    return Filter(
        name="envoy.filters.network.sni_dynamic_forward_proxy", typed_config=typed_config(config)
    )


def forward_to_named_host(cluster: Cluster) -> None:
    """Make ``cluster`` resolve the host of each request. Needs the filter where it is used."""
    cluster.lb_policy = Cluster.CLUSTER_PROVIDED
    cluster.cluster_type.name = "envoy.clusters.dynamic_forward_proxy"
    # Requests go out as the application made them; without the option Envoy asks for TLS settings.
    config = ClusterConfig(dns_cache_config=_CACHE, allow_insecure_cluster_options=True)
    cluster.cluster_type.typed_config.CopyFrom(typed_config(config))
