"""Virtual hosts of the outbound side: a service's own, and those that VirtualServices add."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from clew._pb.envoy.config.route.v3.route_components_pb2 import (
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.http_routes import compile_http_routes
from clew.compile.retries import compile_retries
from clew.model import names
from clew.model.mesh_config import MeshConfig
from clew.model.service import Service
from clew.model.virtual_service import Destination, VirtualService
from clew.snapshot.hosts import is_wildcard, most_specific
from clew.snapshot.scope import OutboundScope
from clew.snapshot.virtual_services import MESH

_MAX_DIRECT_RESPONSE = 1024 * 1024


def compile_route_configuration(
    name: str, port: int, services: Sequence[Service], scope: OutboundScope
) -> RouteConfiguration:
    """Return the routes of one listener port for the HTTP services on it.

    A domain belongs to the first virtual host that claims it: the oldest.
    Source: istio ``buildSidecarOutboundVirtualHosts``.
    """
    configuration = RouteConfiguration(name=name, ignore_port_in_host_matching=True)
    configuration.validate_clusters.value = False
    configuration.max_direct_response_body_size_bytes.value = _MAX_DIRECT_RESPONSE
    taken: set[str] = set()
    for host in _virtual_hosts(port, services, scope):
        free = [domain for domain in host.domains if domain not in taken]
        if free:
            taken.update(free)
            host.domains[:] = free
            configuration.virtual_hosts.append(host)
    configuration.virtual_hosts.sort(key=lambda h: h.name)
    configuration.virtual_hosts.append(_catch_all(scope))
    return configuration


def sniffed_route_configuration(
    name: str, port: int, service: Service, scope: OutboundScope
) -> RouteConfiguration:
    """Return the routes of a port whose protocol is detected: one service, whatever the host."""
    configuration = compile_route_configuration(name, port, [service], scope)
    own = [
        h
        for h in configuration.virtual_hosts
        if h.name == names.virtual_host(service.hostname, port)
    ]
    del configuration.virtual_hosts[:]
    for host in own:
        host.domains[:] = ["*"]
        configuration.virtual_hosts.append(host)
    return configuration


def cluster_of(destination: Destination, port: int, scope: OutboundScope) -> str:
    """Return the cluster of a destination: its port, else the host's only one, else ours."""
    number = destination.port.number if destination.port is not None else None
    service = next((s for s in scope.services if s.hostname == destination.host), None)
    if number is None and service is not None and len(service.ports) == 1:
        number = service.ports[0].number
    return names.outbound_cluster(number or port, destination.host, destination.subset)


def service_domains(service: Service, dns_domain: str) -> list[str]:
    """Return every name by which a client in ``dns_domain`` may call the service.

    Source: istio ``generateVirtualHostDomains``.
    """
    domains = [service.hostname, f"{service.hostname}."]
    parts = service.hostname.split(".")
    shared = dns_domain.split(".")
    if service.kubernetes and len(parts) > 2 and parts[2:] == shared[1:]:
        name, namespace = parts[0], parts[1]
        if namespace == shared[0]:
            domains.append(name)
        domains += [f"{name}.{namespace}.svc", f"{name}.{namespace}"]
    if service.headless:
        domains += [f"*.{d}" for d in list(domains)]
    addresses = [a for a in service.addresses if "/" not in a]
    return domains + [f"[{a}]" if ":" in a else a for a in addresses]


def _virtual_hosts(
    port: int, services: Sequence[Service], scope: OutboundScope
) -> Iterator[VirtualHost]:
    by_host = {s.hostname: s for s in services}
    routed = [vs for e in scope.egress for vs in e.virtual_services if vs.spec.http]
    rules = _first_by_host(routed)
    wildcards = [h for h in rules if is_wildcard(h)]
    known = {s.hostname for s in scope.services}
    for hostname, service in by_host.items():
        best = most_specific(hostname, rules, wildcards)
        routes = _routes(rules[best], port, scope) if best is not None else []
        domains = service_domains(service, scope.dns_domain)
        yield _virtual_host(
            hostname, port, domains, routes or [_default_route(service, port, scope)]
        )
    for host, vs in rules.items():
        # A host without a service has a virtual host on port 80 only.
        if host in by_host or (port != 80 and port != 0) or host in known:
            continue
        if routes := _routes(vs, port, scope):
            yield _virtual_host(host, port, [host], routes)


def _first_by_host(services: Sequence[VirtualService]) -> dict[str, VirtualService]:
    rules: dict[str, VirtualService] = {}
    for vs in services:
        for host in vs.spec.hosts:
            rules.setdefault(host, vs)
    return rules


def _routes(vs: VirtualService, port: int, scope: OutboundScope) -> list[Route]:
    return compile_http_routes(
        vs,
        port=port,
        gateway=MESH,
        namespace=scope.namespace,
        labels=scope.labels,
        cluster_of=lambda destination: cluster_of(destination, port, scope),
        mesh=scope.mesh,
    )


def _virtual_host(
    hostname: str, port: int, domains: Sequence[str], routes: Sequence[Route]
) -> VirtualHost:
    return VirtualHost(
        name=names.virtual_host(hostname, port),
        domains=list(dict.fromkeys(domains)),
        routes=routes,
        include_request_attempt_count=True,
    )


def _default_route(service: Service, port: int, scope: OutboundScope) -> Route:
    route = _plain_route(names.outbound_cluster(port, service.hostname), scope.mesh)
    route.decorator.operation = f"{service.hostname}:{port}/*"
    return route


def _plain_route(cluster: str, mesh: MeshConfig) -> Route:
    action = RouteAction(cluster=cluster)
    action.timeout.FromTimedelta(timedelta(0))
    action.max_grpc_timeout.FromTimedelta(timedelta(0))
    retries = compile_retries(None, mesh.default_http_retry_policy)
    if retries is not None:
        action.retry_policy.CopyFrom(retries)
    return Route(name="default", match=RouteMatch(prefix="/"), route=action)


def _catch_all(scope: OutboundScope) -> VirtualHost:
    """Say what happens to hosts that nobody declared: as they are, or 502."""
    if scope.registry_only:
        blocked = Route(name="block_all", match=RouteMatch(prefix="/"))
        blocked.direct_response.status = 502
        return VirtualHost(name="block_all", domains=["*"], routes=[blocked])
    action = RouteAction(cluster=names.PASSTHROUGH_CLUSTER)
    action.timeout.FromTimedelta(timedelta(0))
    action.max_grpc_timeout.FromTimedelta(timedelta(0))
    allowed = Route(name="allow_any", match=RouteMatch(prefix="/"), route=action)
    return VirtualHost(
        name="allow_any", domains=["*"], routes=[allowed], include_request_attempt_count=True
    )
