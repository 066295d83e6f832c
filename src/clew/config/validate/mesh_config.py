"""Istio's rules for MeshConfig.

Source: istio ``ValidateMeshConfig`` and ``ValidateMeshConfigProxyConfig``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import msgspec

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_dns_label, is_ip
from clew.config.validate.http_retries import check_retries
from clew.config.validate.load_balancer import check_locality
from clew.config.validate.scalars import check_not_negative, check_range
from clew.config.validate.traffic_policy import check_connection_pool, check_outlier_detection
from clew.model.duration import Duration
from clew.model.mesh_config import ExtensionProvider, MeshConfig
from clew.model.mesh_proxy_config import ConnectionSettings, MeshProxyConfig, ProxyTracing

_MILLISECOND = Duration(1_000_000)
_LONGEST_CONNECT = Duration(30_000_000_000)
_SMALLEST_WINDOW, _LARGEST_WINDOW = 65_535, 2**31 - 1
_VARIABLE = re.compile(r"\$\([A-Z_]+\)")


class _Remote(Protocol):
    @property
    def service(self) -> str: ...
    @property
    def port(self) -> int: ...


def validate_mesh_config(mesh: MeshConfig) -> Iterator[Finding]:
    for name, port in (
        ("proxyListenPort", mesh.proxy_listen_port),
        ("proxyInboundListenPort", mesh.proxy_inbound_listen_port),
        ("proxyHttpPort", mesh.proxy_http_port or None),
    ):
        yield from check_port(port, (name,))
    if not _MILLISECOND <= mesh.connect_timeout <= _LONGEST_CONNECT:
        yield Finding(("connectTimeout",), f"{mesh.connect_timeout} is not between 1ms and 30s")
    domains = (
        (("trustDomain",), mesh.trust_domain),
        *(
            (("trustDomainAliases", index), alias)
            for index, alias in enumerate(mesh.trust_domain_aliases)
        ),
    )
    for path, domain in domains:
        if problem := host_problem(domain, wildcard=False):
            yield Finding(path, problem)
    if mesh.locality_lb_setting is not None:
        yield from check_locality(mesh.locality_lb_setting, ("localityLbSetting",))
    yield from _check_traffic(mesh)
    yield from _check_services(mesh)
    for index, provider in enumerate(mesh.extension_providers):
        yield from _check_provider(provider, ("extensionProviders", index))
    if mesh.default_config is not None:
        yield from _check_proxy_config(mesh.default_config, ("defaultConfig",))


def _check_traffic(mesh: MeshConfig) -> Iterator[Finding]:
    if (policy := mesh.default_traffic_policy) is not None:
        path: FieldPath = ("defaultTrafficPolicy",)
        yield from check_connection_pool(policy.connection_pool, (*path, "connectionPool"))
        if policy.outlier_detection is not None:
            yield from check_outlier_detection(
                policy.outlier_detection, (*path, "outlierDetection")
            )
    for name, retries in (
        ("defaultHttpRetryPolicy", mesh.default_http_retry_policy),
        ("defaultInboundHttpRetryPolicy", mesh.default_inbound_http_retry_policy),
    ):
        if retries is None:
            continue
        yield from check_retries(retries, (name,))
        if not retries.attempts and retries.backoff is not None:
            yield Finding((name, "backoff"), "with attempts: 0 nothing is retried")


def _check_services(mesh: MeshConfig) -> Iterator[Finding]:
    for index, settings in enumerate(mesh.service_settings):
        for number, host in enumerate(settings.hosts):
            if problem := host_problem(host):
                yield Finding(("serviceSettings", index, "hosts", number), problem)


def _check_provider(provider: ExtensionProvider, path: FieldPath) -> Iterator[Finding]:
    kinds = {
        field.encode_name: value
        for field in msgspec.structs.fields(provider)
        if field.name != "name" and (value := getattr(provider, field.name)) is not None
    }
    if not provider.name:
        yield Finding((*path, "name"), "the name is missing")
    if len(kinds) != 1:
        yield Finding(path, "set exactly one kind of provider")
    for name, value in kinds.items():
        if hasattr(value, "service"):
            yield from _check_remote(value, (*path, name))


def _check_remote(remote: _Remote, path: FieldPath) -> Iterator[Finding]:
    """A service as ``host`` or ``namespace/host``, and a port beside it."""
    namespace, slash, host = remote.service.partition("/")
    if not slash:
        namespace, host = "", remote.service
    if slash and not is_dns_label(namespace):
        yield Finding((*path, "service"), f'"{namespace}" is not a namespace')
    if not is_ip(host) and (problem := host_problem(host, wildcard=False)):
        yield Finding((*path, "service"), problem, "<host> or <namespace>/<host>, without a port")
    yield from check_port(remote.port, (*path, "port"))


def _check_proxy_config(proxy: MeshProxyConfig, path: FieldPath) -> Iterator[Finding]:
    addresses = {
        "discoveryAddress": proxy.discovery_address,
        "statsdUdpAddress": proxy.statsd_udp_address,
        "zipkinAddress": proxy.zipkin_address,
    }
    for name, address in addresses.items():
        if address:
            yield from _check_address(address, (*path, name))
    yield from check_port(proxy.proxy_admin_port or None, (*path, "proxyAdminPort"))
    yield from check_port(proxy.status_port or None, (*path, "statusPort"))
    yield from check_not_negative(proxy.concurrency, (*path, "concurrency"))
    if proxy.tracing is not None:
        yield from _check_tracing(proxy.tracing, (*path, "tracing"))
    if (keys := proxy.private_key_provider) is not None:
        for name, provider in (("cryptomb", keys.cryptomb), ("qat", keys.qat)):
            at = (*path, "privateKeyProvider", name, "pollDelay")
            if provider is not None and not (
                provider.poll_delay and provider.poll_delay.nanoseconds > 0
            ):
                yield Finding(at, "the delay must be more than 0")
    if proxy.connection_settings is not None:
        yield from _check_connections(proxy.connection_settings, (*path, "connectionSettings"))


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


def _check_address(address: str, path: FieldPath) -> Iterator[Finding]:
    """``host:port``; the host may be a variable such as ``$(HOST_IP)``."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    known = _VARIABLE.fullmatch(host) or is_ip(host) or not host_problem(host, wildcard=False)
    if not known or not (port.isdecimal() and 1 <= int(port) <= 65535):
        yield Finding(path, f'"{address}" is not host:port')


def _check_connections(settings: ConnectionSettings, path: FieldPath) -> Iterator[Finding]:
    for field in msgspec.structs.fields(settings):
        value, at = getattr(settings, field.name), (*path, field.encode_name)
        if isinstance(value, Duration) and value.nanoseconds < 0:
            yield Finding(at, "cannot be negative")
        elif field.name.startswith("http2_initial_"):
            yield from check_range(value, _SMALLEST_WINDOW, _LARGEST_WINDOW, at)
        elif isinstance(value, int) and value < 0:
            yield Finding(at, "cannot be negative")
