"""Istio's rules for MeshConfig.

Source: istio ``ValidateMeshConfig``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from clew.config.finding import FieldPath, Finding
from clew.config.validate.extension_providers import check_providers
from clew.config.validate.hosts import check_port, host_problem, is_host_label
from clew.config.validate.http_retries import check_retries
from clew.config.validate.load_balancer import check_locality, check_zones
from clew.config.validate.mesh_proxy_config import check_proxy_config
from clew.config.validate.scalars import check_duration
from clew.config.validate.tls_parameters import check_curves
from clew.config.validate.traffic_policy import check_connection_pool, check_outlier_detection
from clew.model.duration import Duration
from clew.model.mesh_config import MeshConfig

_LONGEST_CONNECT = Duration.parse("1h")
_DURATIONS = ("perTryTimeout", "backoff")


def validate_mesh_config(mesh: MeshConfig) -> Iterator[Finding]:
    for name, port in (
        ("proxyListenPort", mesh.proxy_listen_port),
        ("proxyInboundListenPort", mesh.proxy_inbound_listen_port),
        ("proxyHttpPort", mesh.proxy_http_port or None),
    ):
        yield from check_port(port, (name,))
    yield from check_duration(mesh.connect_timeout, ("connectTimeout",))
    if mesh.connect_timeout > _LONGEST_CONNECT:
        yield Finding(("connectTimeout",), f"{mesh.connect_timeout} is longer than 1h")
    detection = mesh.protocol_detection_timeout
    if detection is not None and detection.nanoseconds % 1_000_000:
        problem = f"{detection} is not a whole number of milliseconds"
        yield Finding(("protocolDetectionTimeout",), problem)
    domains = (
        (("trustDomain",), mesh.trust_domain),
        *(
            (("trustDomainAliases", index), alias)
            for index, alias in enumerate(mesh.trust_domain_aliases)
        ),
    )
    for path, domain in domains:
        if not is_trust_domain(domain):
            yield Finding(path, f'"{domain}" is not a trust domain such as cluster.local')
    if mesh.locality_lb_setting is not None:
        yield from check_locality(mesh.locality_lb_setting, ("localityLbSetting",))
    if mesh.zone_aware_lb_setting is not None:
        yield from check_zones(mesh.zone_aware_lb_setting, ("zoneAwareLbSetting",))
    yield from _check_traffic(mesh)
    yield from _check_services(mesh)
    yield from check_providers(mesh.extension_providers)
    yield from _check_tls(mesh)
    if mesh.default_config is not None:
        yield from check_proxy_config(mesh.default_config, ("defaultConfig",))


def is_trust_domain(text: str) -> bool:
    """Labels of DNS, which may all be digits. Source: istio ``ValidateTrustDomain``."""
    return all(is_host_label(label) for label in text.removesuffix(".").split("."))


def _check_tls(mesh: MeshConfig) -> Iterator[Finding]:
    if mesh.mesh_mtls is not None and mesh.mesh_mtls.ecdh_curves:
        problem = "curves cannot be chosen for mutual TLS in the mesh"
        yield Finding(("meshMTLS", "ecdhCurves"), problem, "use tlsDefaults")
    if mesh.tls_defaults is not None:
        yield from check_curves(mesh.tls_defaults.ecdh_curves, ("tlsDefaults", "ecdhCurves"))


def _check_traffic(mesh: MeshConfig) -> Iterator[Finding]:
    if (policy := mesh.default_traffic_policy) is not None:
        path: FieldPath = ("defaultTrafficPolicy",)
        yield from check_connection_pool(policy.connection_pool, (*path, "connectionPool"))
        if policy.outlier_detection is not None:
            yield from check_outlier_detection(
                policy.outlier_detection, (*path, "outlierDetection")
            )
    if (retries := mesh.default_http_retry_policy) is not None:
        for found in check_retries(retries, ("defaultHttpRetryPolicy",)):
            # Istio takes all of it; of a duration below zero Envoy would refuse every route.
            yield replace(found, warning=found.path[-1] not in _DURATIONS)
    if (retries := mesh.default_inbound_http_retry_policy) is not None:
        path = ("defaultInboundHttpRetryPolicy",)
        yield from check_retries(retries, path)
        if not retries.attempts and retries.backoff is not None:
            yield Finding((*path, "backoff"), "with attempts: 0 nothing is retried")
        for name, value in (
            ("perTryTimeout", retries.per_try_timeout),
            ("retryRemoteLocalities", retries.retry_remote_localities),
            ("retryIgnorePreviousHosts", retries.retry_ignore_previous_hosts),
        ):
            if value is not None:
                problem = f"{name} has no effect on requests to the workload itself"
                yield Finding((*path, name), problem, warning=True)


def _check_services(mesh: MeshConfig) -> Iterator[Finding]:
    for index, settings in enumerate(mesh.service_settings):
        for number, host in enumerate(settings.hosts):
            if problem := host_problem(host):
                yield Finding(("serviceSettings", index, "hosts", number), problem)
