"""The traffic policy in force for one port and subset, after inheritance."""

from __future__ import annotations

from dataclasses import dataclass, replace

from clew.model.destination_rule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    PortTrafficPolicy,
    ProxyProtocol,
    RetryBudget,
    TrafficPolicy,
    TunnelSettings,
)
from clew.model.mesh_config import MeshConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """None: Istio's default."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


def policy_for(rule: DestinationRule | None, port: int, subset: str, mesh: MeshConfig) -> Policy:
    """The policy of a port: the rule's, its port's, its subset's, its subset's port's.

    What none of them says, the mesh may.

    A port's settings replace those above them as a whole; a subset's replace them one by one.
    Source: istio ``MergeTrafficPolicy`` and ``mergeSubsetTrafficPolicy``.
    """
    policy = Policy() if rule is None else declared_policy(rule, port, subset)
    defaults = mesh.default_traffic_policy
    if defaults is None:
        return policy
    return replace(
        policy,
        connection_pool=policy.connection_pool or defaults.connection_pool,
        outlier_detection=policy.outlier_detection or defaults.outlier_detection,
    )


def declared_policy(rule: DestinationRule, port: int, subset: str) -> Policy:
    """The same without what the mesh says."""
    policy = _overlaid(Policy(), rule.spec.traffic_policy, port)
    for declared in rule.spec.subsets:
        if subset and declared.name == subset:
            return _overlaid(policy, declared.traffic_policy, port)
    return policy


def _overlaid(policy: Policy, declared: TrafficPolicy | None, port: int) -> Policy:
    if declared is None:
        return policy
    policy = Policy(
        load_balancer=declared.load_balancer or policy.load_balancer,
        connection_pool=declared.connection_pool or policy.connection_pool,
        outlier_detection=declared.outlier_detection or policy.outlier_detection,
        tls=declared.tls or policy.tls,
        tunnel=declared.tunnel or policy.tunnel,
        proxy_protocol=declared.proxy_protocol or policy.proxy_protocol,
        retry_budget=declared.retry_budget or policy.retry_budget,
    )
    level = _port_level(declared, port)
    if level is None:
        return policy
    return replace(
        policy,
        load_balancer=level.load_balancer,
        connection_pool=level.connection_pool,
        outlier_detection=level.outlier_detection,
        tls=level.tls,
    )


def _port_level(declared: TrafficPolicy, port: int) -> PortTrafficPolicy | None:
    return next(
        (p for p in declared.port_level_settings if p.port is not None and p.port.number == port),
        None,
    )
