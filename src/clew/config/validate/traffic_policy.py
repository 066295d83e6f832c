"""Istio's admission rules for what a DestinationRule, or a Sidecar, sets for connections."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem
from clew.config.validate.scalars import check_duration, check_not_negative, check_range
from clew.model.addresses import is_ip
from clew.model.destination_rule import (
    ClientTLSMode,
    ClientTLSSettings,
    ConnectionPoolSettings,
    H2UpgradePolicy,
    HTTPSettings,
    OutlierDetection,
    RetryBudget,
    TCPSettings,
    TunnelSettings,
)

_CONFIG_MAP = "configmap://"


def check_connection_pool(
    pool: ConnectionPoolSettings | None, path: FieldPath
) -> Iterator[Finding]:
    if pool is None:
        return
    if pool.http is None and pool.tcp is None:
        yield Finding(path, "set http, tcp or both")
    if pool.http is not None:
        yield from _check_http(pool.http, (*path, "http"))
    if pool.tcp is not None:
        yield from _check_tcp(pool.tcp, (*path, "tcp"))


def _check_http(http: HTTPSettings, path: FieldPath) -> Iterator[Finding]:
    numbers = {
        "http1MaxPendingRequests": http.http1_max_pending_requests,
        "http2MaxRequests": http.http2_max_requests,
        "maxRequestsPerConnection": http.max_requests_per_connection,
        "maxRetries": http.max_retries,
        "maxConcurrentStreams": http.max_concurrent_streams,
    }
    for name, value in numbers.items():
        yield from check_not_negative(value, (*path, name))
    yield from check_duration(http.idle_timeout, (*path, "idleTimeout"))
    if http.use_client_protocol and http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
        yield Finding((*path, "useClientProtocol"), "it excludes h2UpgradePolicy: UPGRADE")
    if (keepalive := http.http2_keep_alive) is not None:
        at = (*path, "http2KeepAlive")
        for name, duration in (("interval", keepalive.interval), ("timeout", keepalive.timeout)):
            if duration is None:
                yield Finding((*at, name), f"{name} is missing")
            yield from check_duration(duration, (*at, name))


def _check_tcp(tcp: TCPSettings, path: FieldPath) -> Iterator[Finding]:
    """``idleTimeout`` may be 0: never."""
    yield from check_not_negative(tcp.max_connections, (*path, "maxConnections"))
    yield from check_duration(tcp.connect_timeout, (*path, "connectTimeout"))
    yield from check_duration(tcp.max_connection_duration, (*path, "maxConnectionDuration"))
    if tcp.idle_timeout is not None and tcp.idle_timeout.nanoseconds >= 1_000_000:
        yield from check_duration(tcp.idle_timeout, (*path, "idleTimeout"))
    if (keepalive := tcp.tcp_keepalive) is not None:
        yield from check_duration(keepalive.time, (*path, "tcpKeepalive", "time"))
        yield from check_duration(keepalive.interval, (*path, "tcpKeepalive", "interval"))


def check_outlier_detection(outlier: OutlierDetection, path: FieldPath) -> Iterator[Finding]:
    yield from check_range(outlier.max_ejection_percent, 0, 100, (*path, "maxEjectionPercent"))
    yield from check_range(outlier.min_health_percent, 0, 100, (*path, "minHealthPercent"))
    yield from check_duration(outlier.interval, (*path, "interval"))
    yield from check_duration(outlier.base_ejection_time, (*path, "baseEjectionTime"))
    if outlier.consecutive_errors:
        hint = "use consecutiveGatewayErrors or consecutive5xxErrors"
        yield Finding((*path, "consecutiveErrors"), "this field is deprecated", hint, warning=True)
    local_failures = outlier.consecutive_local_origin_failures
    if local_failures and not outlier.split_external_local_origin_errors:
        problem = "it has no effect without splitExternalLocalOriginErrors: true"
        yield Finding((*path, "consecutiveLocalOriginFailures"), problem)
    for index, code in enumerate(outlier.outlier_detection_http_error_codes):
        at = (*path, "outlierDetectionHttpErrorCodes", index)
        yield from check_range(code, 100, 599, at)


def check_client_tls(
    tls: ClientTLSSettings, path: FieldPath, namespace: str = ""
) -> Iterator[Finding]:
    """Certificates come from files or from a credential, never from both.

    Source: istio ``ValidateTLS``.
    """
    if tls.credential_name.startswith(_CONFIG_MAP):
        where, _, name = tls.credential_name.removeprefix(_CONFIG_MAP).partition("/")
        if not namespace or where != namespace or not name or "/" in name:
            problem = "a ConfigMap is named by its namespace, which is this object's, and its name"
            yield Finding((*path, "credentialName"), problem, "configmap://<namespace>/<name>")
    files = {
        "clientCertificate": tls.client_certificate,
        "privateKey": tls.private_key,
        "caCertificates": tls.ca_certificates,
        "caCrl": tls.ca_crl,
    }
    given = [name for name, value in files.items() if value]
    if tls.insecure_skip_verify and tls.mode in (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL):
        yield from _check_unverified(tls, path)
    if tls.mode is ClientTLSMode.ISTIO_MUTUAL and (given or tls.credential_name):
        problem = "with ISTIO_MUTUAL the mesh brings the certificates, and these are ignored"
        yield Finding(path, problem, warning=True)
    if tls.mode not in (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL):
        return
    if tls.credential_name:
        for name in given:
            yield Finding((*path, name), f"credentialName brings what {name} would")
    elif tls.mode is ClientTLSMode.MUTUAL:
        for name in {"clientCertificate", "privateKey"}.difference(given):
            yield Finding((*path, name), f"mode MUTUAL needs {name} or a credentialName")


def _check_unverified(tls: ClientTLSSettings, path: FieldPath) -> Iterator[Finding]:
    by_credential = tls.credential_name if tls.mode is ClientTLSMode.SIMPLE else ""
    unused = {
        "caCertificates": tls.ca_certificates,
        "subjectAltNames": tls.subject_alt_names,
        "credentialName": by_credential,
    }
    for name, value in unused.items():
        if value:
            yield Finding((*path, name), f"insecureSkipVerify verifies nothing: remove {name}")


def check_tunnel(tunnel: TunnelSettings, path: FieldPath) -> Iterator[Finding]:
    if tunnel.protocol not in ("", "CONNECT", "POST"):
        yield Finding((*path, "protocol"), f'"{tunnel.protocol}" is neither CONNECT nor POST')
    if not is_ip(tunnel.target_host) and (
        problem := host_problem(tunnel.target_host, wildcard=False)
    ):
        yield Finding((*path, "targetHost"), problem)
    yield from check_port(tunnel.target_port, (*path, "targetPort"))


def check_retry_budget(budget: RetryBudget, path: FieldPath) -> Iterator[Finding]:
    yield from check_range(budget.percent, 0, 100, (*path, "percent"))
