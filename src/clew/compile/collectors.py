"""Where proxies send what they tell of their traffic: the clusters of MeshConfig's providers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from clew._pb.envoy.config.core.v3.base_pb2 import HeaderValue
from clew._pb.envoy.config.core.v3.grpc_service_pb2 import GrpcService
from clew.model import names
from clew.model.extension_providers import ExtensionProvider, HttpHeader
from clew.model.service import Service
from clew.snapshot.authorization_policies import service_of
from clew.snapshot.telemetries import TelemetryInForce

# From a provider's name to the hostname of its service, as far as the proxy sees it.
Hosts = Mapping[str, str]


class Remote(Protocol):
    """A provider that is a service."""

    @property
    def service(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Collector:
    """A service of the mesh that takes what proxies send it."""

    host: str
    cluster: str

    def grpc(self) -> GrpcService:
        service = GrpcService()
        service.envoy_grpc.cluster_name = self.cluster
        service.envoy_grpc.authority = self.host
        return service


def collector_of(name: str, remote: Remote, hosts: Hosts) -> Collector | None:
    """The provider's service, or the control plane; None if the proxy does not see one."""
    if remote.service == names.CONTROL_PLANE_CLUSTER:
        return Collector(names.CONTROL_PLANE_SERVER_NAME, names.CONTROL_PLANE_CLUSTER)
    host = hosts.get(name)
    return Collector(host, names.outbound_cluster(remote.port, host)) if host else None


def collector_hosts(
    telemetry: TelemetryInForce, services: Mapping[str, tuple[Service, ...]]
) -> frozenset[tuple[str, str]]:
    """The hosts of all providers in force that are services and that the proxy sees."""
    found: dict[str, str] = {}
    for provider in _in_force(telemetry):
        for remote in remotes(provider):
            names_of_it = (remote.service, f"{remote.service}.svc.cluster.local")
            host = next(filter(None, (service_of(n, services) for n in names_of_it)), "")
            known = services.get(host, ()) if host else ()
            if any(service.port(remote.port) is not None for service in known):
                found[provider.name] = host
    return frozenset(found.items())


def collector_clusters(telemetry: TelemetryInForce, hosts: Hosts) -> frozenset[str]:
    """The clusters that must be there before what is told can be sent."""
    found = (
        collector_of(provider.name, remote, hosts)
        for provider in _in_force(telemetry)
        for remote in remotes(provider)
    )
    clusters = frozenset(collector.cluster for collector in found if collector is not None)
    # That one is always there, and nobody is told of it.
    return clusters - {names.CONTROL_PLANE_CLUSTER}


def _in_force(telemetry: TelemetryInForce) -> Iterator[ExtensionProvider]:
    for side in (telemetry.client, telemetry.server):
        yield from (log.provider for log in side.access_logs or ())
        if side.tracing.provider is not None:
            yield side.tracing.provider


def remotes(provider: ExtensionProvider) -> Iterator[Remote]:
    """The service of a provider for telemetry, if it is one."""
    kinds: tuple[Remote | None, ...] = (
        provider.zipkin,
        provider.opentelemetry,
        provider.envoy_http_als,
        provider.envoy_tcp_als,
        provider.envoy_otel_als,
    )
    yield from (kind for kind in kinds if kind is not None)


def header_values(headers: Iterable[HttpHeader]) -> list[HeaderValue]:
    """Headers to send along; their values may be in the proxy's environment."""
    return [
        HeaderValue(
            key=each.name,
            value=f"%ENVIRONMENT({each.env_name})%" if each.env_name else each.value,
        )
        for each in headers
    ]
