"""Istio's admission rules for DestinationRule."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_export_to, check_port, host_problem, is_dns_label
from clew.model.destination_rule import (
    ClientTLSMode,
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    PortTrafficPolicy,
    TrafficPolicy,
)


def validate_destination_rule(resource: DestinationRule) -> Iterator[Finding]:
    spec, namespace = resource.spec, resource.metadata.namespace
    if problem := host_problem(spec.host):
        yield Finding(("spec", "host"), problem)
    yield from check_export_to(spec.export_to, namespace, ("spec", "exportTo"))
    if spec.traffic_policy is not None:
        yield from _check_policy(spec.traffic_policy, ("spec", "trafficPolicy"))
    seen: set[str] = set()
    for index, subset in enumerate(spec.subsets):
        path: FieldPath = ("spec", "subsets", index)
        if not is_dns_label(subset.name):
            yield Finding((*path, "name"), f'"{subset.name}" is not a subset name')
        if subset.name in seen:
            yield Finding((*path, "name"), f'the subset "{subset.name}" is there twice')
        seen.add(subset.name)
        if subset.traffic_policy is not None:
            yield from _check_policy(subset.traffic_policy, (*path, "trafficPolicy"))


def _check_policy(policy: TrafficPolicy, path: FieldPath) -> Iterator[Finding]:
    if policy == TrafficPolicy():
        yield Finding(path, "a traffic policy must set something")
    yield from _check_parts(policy, path)
    for index, port in enumerate(policy.port_level_settings):
        at = (*path, "portLevelSettings", index)
        if port.port is None or port.port.number is None:
            yield Finding((*at, "port"), "the port number is missing")
        else:
            yield from check_port(port.port.number, (*at, "port", "number"))
        yield from _check_parts(port, at)


def _check_parts(policy: TrafficPolicy | PortTrafficPolicy, path: FieldPath) -> Iterator[Finding]:
    if policy.load_balancer is not None:
        yield from _check_load_balancer(policy.load_balancer, (*path, "loadBalancer"))
    if policy.connection_pool is not None:
        yield from _check_connection_pool(policy.connection_pool, (*path, "connectionPool"))
    if policy.outlier_detection is not None:
        yield from _check_outlier_detection(policy.outlier_detection, (*path, "outlierDetection"))
    if policy.tls is not None:
        yield from _check_tls(policy.tls, (*path, "tls"))


def _check_load_balancer(lb: LoadBalancerSettings, path: FieldPath) -> Iterator[Finding]:
    if lb.simple is not None and lb.consistent_hash is not None:
        yield Finding(path, "simple and consistentHash exclude each other")
    if (hashing := lb.consistent_hash) is not None:
        keys = (
            hashing.http_header_name,
            hashing.http_cookie,
            hashing.use_source_ip,
            hashing.http_query_parameter_name,
        )
        if sum(key is not None for key in keys) != 1:
            problem = (
                "set exactly one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName"
            )
            yield Finding((*path, "consistentHash"), problem)
    if (locality := lb.locality_lb_setting) is not None and locality.distribute:
        if locality.failover:
            yield Finding(
                (*path, "localityLbSetting"), "distribute and failover exclude each other"
            )
        for index, rule in enumerate(locality.distribute):
            if sum(rule.to.values()) != 100:
                at = (*path, "localityLbSetting", "distribute", index, "to")
                yield Finding(at, f"the weights add up to {sum(rule.to.values())}, not 100")


def _check_connection_pool(pool: ConnectionPoolSettings, path: FieldPath) -> Iterator[Finding]:
    if pool.http is None and pool.tcp is None:
        yield Finding(path, "set http, tcp or both")
    if (http := pool.http) is not None:
        numbers = {
            "http1MaxPendingRequests": http.http1_max_pending_requests,
            "http2MaxRequests": http.http2_max_requests,
            "maxRequestsPerConnection": http.max_requests_per_connection,
            "maxRetries": http.max_retries,
        }
        for name, value in numbers.items():
            if value is not None and value < 0:
                yield Finding((*path, "http", name), "cannot be negative")
    if pool.tcp is not None and (pool.tcp.max_connections or 0) < 0:
        yield Finding((*path, "tcp", "maxConnections"), "cannot be negative")


def _check_outlier_detection(outlier: OutlierDetection, path: FieldPath) -> Iterator[Finding]:
    percents = {
        "maxEjectionPercent": outlier.max_ejection_percent,
        "minHealthPercent": outlier.min_health_percent,
    }
    for name, value in percents.items():
        if value is not None and not 0 <= value <= 100:
            yield Finding((*path, name), f"{value} is not between 0 and 100")


def _check_tls(tls: ClientTLSSettings, path: FieldPath) -> Iterator[Finding]:
    if tls.mode is ClientTLSMode.MUTUAL and not tls.credential_name:
        for name, value in (
            ("clientCertificate", tls.client_certificate),
            ("privateKey", tls.private_key),
        ):
            if not value:
                yield Finding((*path, name), f"mode MUTUAL needs {name} or a credentialName")
    if tls.mode is ClientTLSMode.ISTIO_MUTUAL and (tls.client_certificate or tls.private_key):
        yield Finding(path, "with ISTIO_MUTUAL the mesh brings the certificates")
