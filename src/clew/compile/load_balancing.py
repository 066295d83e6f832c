"""A DestinationRule's ``loadBalancer``: the cluster's policy and the routes' hash policies."""

from __future__ import annotations

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.route.v3.route_components_pb2 import RouteAction
from clew.model.destination_rule import (
    ConsistentHashLB,
    HTTPCookie,
    LoadBalancerSettings,
    SimpleLB,
)

# Envoy's own default of 1024 is also its minimum's; Istio states it.
_MINIMUM_RING_SIZE = 1024
_SIMPLE = {
    SimpleLB.RANDOM: Cluster.RANDOM,
    SimpleLB.ROUND_ROBIN: Cluster.ROUND_ROBIN,
}


def apply_load_balancer(cluster: Cluster, settings: LoadBalancerSettings | None) -> None:
    """Set how ``cluster`` chooses among its endpoints: the least busy of two, unless declared.

    Source: istio ``applyLoadBalancer``.
    """
    if settings is not None and settings.consistent_hash is not None:
        _apply_hash(cluster, settings.consistent_hash)
        return
    simple = settings.simple if settings is not None else None
    cluster.lb_policy = _SIMPLE.get(simple or SimpleLB.UNSPECIFIED, Cluster.LEAST_REQUEST)
    if settings is not None and cluster.lb_policy != Cluster.RANDOM:
        _apply_warmup(cluster, settings)


def hash_policies(settings: LoadBalancerSettings | None) -> list[RouteAction.HashPolicy]:
    """What of a request decides its endpoint; nothing without a consistent hash."""
    consistent = settings.consistent_hash if settings is not None else None
    if consistent is None:
        return []
    policy = RouteAction.HashPolicy()
    if consistent.http_header_name is not None:
        policy.header.header_name = consistent.http_header_name
    elif consistent.http_cookie is not None:
        _set_cookie(policy, consistent.http_cookie)
    elif consistent.use_source_ip:
        policy.connection_properties.source_ip = True
    elif consistent.http_query_parameter_name is not None:
        policy.query_parameter.name = consistent.http_query_parameter_name
    else:
        return []
    return [policy]


def _apply_hash(cluster: Cluster, consistent: ConsistentHashLB) -> None:
    if consistent.maglev is not None:
        cluster.lb_policy = Cluster.MAGLEV
        if consistent.maglev.table_size:
            cluster.maglev_lb_config.table_size.value = consistent.maglev.table_size
        return
    cluster.lb_policy = Cluster.RING_HASH
    ring = consistent.ring_hash.minimum_ring_size if consistent.ring_hash else None
    size = ring or consistent.minimum_ring_size or _MINIMUM_RING_SIZE
    cluster.ring_hash_lb_config.minimum_ring_size.value = size


def _apply_warmup(cluster: Cluster, settings: LoadBalancerSettings) -> None:
    """New endpoints start with a small share that grows over the window."""
    warmup = settings.warmup
    window = warmup.duration if warmup is not None else settings.warmup_duration_secs
    if window is None:
        return
    if cluster.lb_policy == Cluster.ROUND_ROBIN:
        slow_start = cluster.round_robin_lb_config.slow_start_config
    else:
        slow_start = cluster.least_request_lb_config.slow_start_config
    slow_start.slow_start_window.FromTimedelta(window.timedelta)
    if warmup is not None and warmup.minimum_percent is not None:
        slow_start.min_weight_percent.value = warmup.minimum_percent
    if warmup is not None and warmup.aggression is not None:
        slow_start.aggression.default_value = warmup.aggression
        slow_start.aggression.runtime_key = "slow_start.aggression"


def _set_cookie(policy: RouteAction.HashPolicy, cookie: HTTPCookie) -> None:
    """With a time to live (0 is: for the session) Envoy makes the cookie if there is none."""
    policy.cookie.name = cookie.name
    policy.cookie.path = cookie.path
    if cookie.ttl is not None:
        policy.cookie.ttl.FromTimedelta(cookie.ttl.timedelta)
    for attribute in cookie.attributes:
        policy.cookie.attributes.add(name=attribute.name, value=attribute.value)
