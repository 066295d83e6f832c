"""Istio's admission rules for DestinationRule."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_export_to, host_problem, is_host_label
from clew.config.validate.load_balancer import check_load_balancer, fails_over
from clew.config.validate.selectors import check_instance_labels, check_selector
from clew.config.validate.traffic_policy import (
    check_client_tls,
    check_connection_pool,
    check_outlier_detection,
    check_retry_budget,
    check_tunnel,
)
from clew.model.destination_rule import DestinationRule, PortTrafficPolicy, TrafficPolicy


def validate_destination_rule(resource: DestinationRule) -> Iterator[Finding]:
    spec, namespace = resource.spec, resource.metadata.namespace
    if problem := host_problem(spec.host):
        yield Finding(("spec", "host"), problem)
    yield from check_export_to(spec.export_to, namespace, ("spec", "exportTo"))
    yield from check_selector(spec.workload_selector, ("spec", "workloadSelector"))
    if spec.workload_selector is not None and set(spec.export_to) - {".", namespace}:
        problem = "a rule with a workloadSelector is for its own namespace only"
        yield Finding(("spec", "exportTo"), problem, 'use "."')
    if spec.traffic_policy is not None:
        yield from _check_policy(spec.traffic_policy, ("spec", "trafficPolicy"), namespace)
    seen: set[str] = set()
    for index, subset in enumerate(spec.subsets):
        path: FieldPath = ("spec", "subsets", index)
        if not is_host_label(subset.name):
            yield Finding((*path, "name"), f'"{subset.name}" is not a subset name')
        if subset.name in seen:
            yield Finding((*path, "name"), f'the subset "{subset.name}" is there twice')
        seen.add(subset.name)
        yield from check_instance_labels(subset.labels, (*path, "labels"))
        if subset.traffic_policy is not None:
            yield from _check_policy(subset.traffic_policy, (*path, "trafficPolicy"), namespace)


def _check_policy(policy: TrafficPolicy, path: FieldPath, namespace: str) -> Iterator[Finding]:
    if policy == TrafficPolicy():
        yield Finding(path, "a traffic policy must set something")
    yield from _check_parts(policy, path, namespace)
    if policy.tunnel is not None:
        yield from check_tunnel(policy.tunnel, (*path, "tunnel"))
        if policy.proxy_protocol is not None:
            yield Finding((*path, "tunnel"), "tunnel and proxyProtocol exclude each other")
    if policy.retry_budget is not None:
        yield from check_retry_budget(policy.retry_budget, (*path, "retryBudget"))
    for index, port in enumerate(policy.port_level_settings):
        at = (*path, "portLevelSettings", index)
        if port.port is None:
            yield Finding((*at, "port"), "the port is missing")
        elif not 1 <= (port.port.number or 0) <= 65535:
            problem = f"there is no port {port.port.number or 0}, so this has no effect"
            yield Finding((*at, "port", "number"), problem, warning=True)
        if port == PortTrafficPolicy(port=port.port):
            yield Finding(at, "a traffic policy must set something")
        yield from _check_parts(port, at, namespace)


def _check_parts(
    policy: TrafficPolicy | PortTrafficPolicy, path: FieldPath, namespace: str
) -> Iterator[Finding]:
    if policy.load_balancer is not None:
        yield from check_load_balancer(policy.load_balancer, (*path, "loadBalancer"))
        if policy.outlier_detection is None and fails_over(policy.load_balancer):
            problem = "without outlierDetection no endpoint is ever found unhealthy"
            yield Finding((*path, "loadBalancer"), problem, warning=True)
    yield from check_connection_pool(policy.connection_pool, (*path, "connectionPool"))
    if policy.outlier_detection is not None:
        yield from check_outlier_detection(policy.outlier_detection, (*path, "outlierDetection"))
    if policy.tls is not None:
        yield from check_client_tls(policy.tls, (*path, "tls"), namespace)
