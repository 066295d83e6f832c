"""Istio's rules for the proxy settings in MeshConfig.

Source: istio ``ValidateMeshConfigProxyConfig``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem
from clew.config.validate.scalars import check_duration, check_not_negative, check_range
from clew.config.validate.traffic_policy import check_client_tls
from clew.model.addresses import is_ip
from clew.model.duration import Duration
from clew.model.mesh_proxy_config import (
    AuthenticationPolicy,
    ConnectionSettings,
    MeshProxyConfig,
    ProxyTracing,
)

_SMALLEST_WINDOW, _LARGEST_WINDOW = 65_535, 2**31 - 1
_POSITIVE = (
    "http_max_concurrent_streams",
    "listener_connection_limit",
    "global_downstream_connection_limit",
)
_OLD_ADDRESSES = "ISTIO_META_DNS_AUTO_ALLOCATE"
_VARIABLE = re.compile(r"\$\([A-Z_]+\)")


def check_proxy_config(proxy: MeshProxyConfig, path: FieldPath) -> Iterator[Finding]:
    addresses = {
        "discoveryAddress": proxy.discovery_address,
        "statsdUdpAddress": proxy.statsd_udp_address,
        "zipkinAddress": proxy.zipkin_address,
        "envoyMetricsServiceAddress": proxy.envoy_metrics_service_address,
    }
    for name, address in addresses.items():
        if address:
            yield from _check_address(address, (*path, name))
    for name, service in (
        ("envoyMetricsService", proxy.envoy_metrics_service),
        ("envoyAccessLogService", proxy.envoy_access_log_service),
    ):
        if service is not None and service.address:
            yield from _check_address(service.address, (*path, name, "address"))
    yield from _check_drain(proxy.drain_duration, (*path, "drainDuration"))
    if proxy.control_plane_auth_policy is AuthenticationPolicy.INHERIT:
        yield Finding((*path, "controlPlaneAuthPolicy"), "set NONE or MUTUAL_TLS")
    yield from check_port(proxy.proxy_admin_port or None, (*path, "proxyAdminPort"))
    yield from check_port(proxy.status_port or None, (*path, "statusPort"))
    yield from check_not_negative(proxy.concurrency, (*path, "concurrency"))
    if proxy.tracing is not None:
        yield from _check_tracing(proxy.tracing, (*path, "tracing"))
    if (keys := proxy.private_key_provider) is not None:
        if keys.cryptomb is None and keys.qat is None:
            yield Finding((*path, "privateKeyProvider"), "set cryptomb or qat")
        for name, provider in (("cryptomb", keys.cryptomb), ("qat", keys.qat)):
            at = (*path, "privateKeyProvider", name, "pollDelay")
            if provider is not None and not (
                provider.poll_delay and provider.poll_delay.nanoseconds > 0
            ):
                yield Finding(at, "the delay must be more than 0")
    if _OLD_ADDRESSES in proxy.proxy_metadata:
        problem = "this setting is deprecated: hosts without addresses have them anyway"
        yield Finding((*path, "proxyMetadata", _OLD_ADDRESSES), problem, warning=True)
    if proxy.connection_settings is not None:
        yield from _check_connections(proxy.connection_settings, (*path, "connectionSettings"))


def _check_drain(duration: Duration | None, path: FieldPath) -> Iterator[Finding]:
    yield from check_duration(duration, path)
    if duration is not None and duration.nanoseconds % 1_000_000_000:
        yield Finding(path, "must be whole seconds")


def _check_tracing(tracing: ProxyTracing, path: FieldPath) -> Iterator[Finding]:
    tracers = {
        "zipkin": tracing.zipkin,
        "lightstep": tracing.lightstep,
        "datadog": tracing.datadog,
        "openCensusAgent": tracing.open_census_agent,
    }
    for name, tracer in tracers.items():
        # OpenCensus takes gRPC's names, which have many forms.
        if tracer is not None and name != "openCensusAgent":
            yield from _check_address(tracer.address, (*path, name, "address"))
    if tracing.lightstep is not None and not tracing.lightstep.access_token:
        yield Finding((*path, "lightstep", "accessToken"), "the access token is missing")
    yield from check_range(tracing.sampling, 0, 100, (*path, "sampling"))
    if tracing.tls_settings is not None:
        yield from check_client_tls(tracing.tls_settings, (*path, "tlsSettings"))


def _check_address(address: str, path: FieldPath) -> Iterator[Finding]:
    """``host:port``, ``[IPv6]:port``; the host may be a variable such as ``$(HOST_IP)``."""
    given, _, port = address.rpartition(":")
    in_brackets = given.startswith("[") and given.endswith("]")
    host = given[1:-1] if in_brackets else given
    known = _VARIABLE.fullmatch(host) or is_ip(host) or not host_problem(host, wildcard=False)
    if (
        not known
        or (":" in host and not in_brackets)
        or not (port.isdecimal() and 1 <= int(port) <= 65535)
    ):
        yield Finding(path, f'"{address}" is not host:port')


def _check_connections(settings: ConnectionSettings, path: FieldPath) -> Iterator[Finding]:
    for field in msgspec.structs.fields(settings):
        value, at = getattr(settings, field.name), (*path, field.encode_name)
        if isinstance(value, Duration) and value.nanoseconds < 0:
            yield Finding(at, "cannot be negative")
        elif field.name.startswith("http2_initial_"):
            yield from check_range(value, _SMALLEST_WINDOW, _LARGEST_WINDOW, at)
        elif field.name in _POSITIVE:
            yield from check_range(value, 1, 2**31 - 1, at)
        elif isinstance(value, int) and value < 0:
            yield Finding(at, "cannot be negative")
