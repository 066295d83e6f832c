"""Everything that one proxy gets: the one list of what is compiled, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain

from clew.compile.check import listener_clusters
from clew.compile.clusters import black_hole_cluster, passthrough_cluster, resolving_cluster
from clew.compile.envoy_filter.apply import apply_envoy_filters
from clew.compile.envoy_filter.patches import Applied
from clew.compile.extension_configs import with_fetched_configs
from clew.compile.gateway_connections import Known
from clew.compile.gateway_datagrams import compile_datagram_upstreams
from clew.compile.gateway_listeners import compile_gateway_listeners
from clew.compile.gateway_routes import compile_gateway_routes
from clew.compile.inbound_clusters import compile_inbound_clusters
from clew.compile.inbound_listeners import compile_inbound_listeners
from clew.compile.local_cluster import compile_local_cluster
from clew.compile.memo import Memo
from clew.compile.outbound_plan import compile_outbound
from clew.compile.outbound_routes import services_by_hostname
from clew.compile.proxy_settings import with_proxy_settings
from clew.compile.resources import resource
from clew.compile.rule_routes import Client
from clew.compile.secrets import (
    compile_client_files,
    compile_client_secrets,
    compile_secrets,
)
from clew.compile.tap import with_tap
from clew.compile.telemetry import with_telemetry
from clew.compile.token_keys import compile_key_clusters, compile_key_secrets
from clew.compile.unknown_traffic import RESOLVING_CLUSTER, unknown_requests, unknown_tls
from clew.compile.upstreams import compile_upstreams, site_of, upstreams_shape
from clew.model.destination_rule import DestinationRule
from clew.model.gateway import ServerTLSSettings
from clew.model.mesh_config import MeshConfig
from clew.model.secret import Secret
from clew.model.service import Service
from clew.model.xds import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    SECRET,
    EnvoyResource,
    Published,
    ResourcesByName,
)
from clew.snapshot.credentials import Credentials, tls_settings
from clew.snapshot.scope import GatewayScope, InboundScope, ProxyScope


def compile_proxy(scope: ProxyScope, memo: Memo) -> Published:
    """All resources of a proxy, by type. Equal scopes get equal bytes, whatever ``memo`` holds."""
    found = apply_envoy_filters(_configured(scope, memo), scope, memo)[0]
    return {**found, ENDPOINTS: _of_clusters(found[ENDPOINTS], found[CLUSTER], memo)}


def compile_published(scope: ProxyScope, memo: Memo) -> Published:
    """The same as a connected proxy gets it: it fetches what policies ask for by itself, and can
    be asked to tell of each request.
    """
    found = compile_proxy(scope, memo)
    if scope.proxy.tapped:
        found = with_tap(found, memo)
    if scope.inbound is None:
        return with_fetched_configs(found, scope, found[LISTENER], memo)
    serving = [each.name for each in memo.call(_inbound, scope.inbound)[0]]
    return with_fetched_configs(found, scope, serving, memo)


def applied_patches(scope: ProxyScope, memo: Memo) -> Applied:
    """In how many places of a proxy's resources each patch of its EnvoyFilters applied."""
    if not scope.patches:
        return Applied()
    return apply_envoy_filters(_configured(scope, memo), scope, memo)[1]


def _configured(scope: ProxyScope, memo: Memo) -> Published:
    told = with_telemetry(_compiled(scope, memo), scope, memo)
    return with_proxy_settings(told, scope.outbound.mesh, memo)


def _compiled(scope: ProxyScope, memo: Memo) -> Published:
    clusters: list[EnvoyResource] = []
    endpoints: list[EnvoyResource] = []
    outbound, site = scope.outbound, site_of(scope)
    for upstreams in compile_upstreams(outbound.services, outbound, site, memo):
        clusters += upstreams.clusters
        endpoints += upstreams.endpoints
    endpoints += compile_local_cluster(scope, memo)
    clusters.append(memo.call(black_hole_cluster, outbound.mesh))
    if scope.gateway is not None:
        for _, upstreams in compile_datagram_upstreams(scope.gateway, outbound, memo):
            clusters += upstreams.clusters
            endpoints += upstreams.endpoints
        listeners, secrets = memo.call(
            _gateway, scope.gateway, outbound.services, outbound.destination_rules
        )
        routes = memo.call(
            _gateway_routes,
            scope.gateway,
            outbound.services,
            outbound.labels,
            outbound.destination_rules,
            memo,
        )
    else:
        clusters.append(memo.call(_passthrough, outbound.mesh, site.original_destination))
        if unknown_requests(outbound, memo) == RESOLVING_CLUSTER:
            clusters.append(memo.call(resolving_cluster, outbound.mesh))
        listeners, routes = compile_outbound(outbound, memo)
        secrets = []
    if scope.inbound is not None:
        for_inbound = memo.call(_inbound, scope.inbound)
        listeners = [*listeners, *for_inbound[0]]
        clusters += for_inbound[1]
        secrets = [*secrets, *for_inbound[2]]
    for serving in (scope.inbound, scope.gateway):
        if serving is not None and serving.token_rules:
            clusters += memo.call(compile_key_clusters, serving.token_rules, outbound.mesh)
            secrets = [*secrets, *memo.call(compile_key_secrets, serving.token_rules)]
    client = memo.call(
        _client_secrets, outbound.destination_rules, outbound.credentials, outbound.mesh
    )
    if client:
        secrets = [*secrets, *client]
    return {
        CLUSTER: _named(clusters),
        ENDPOINTS: _named(endpoints),
        LISTENER: _named(listeners),
        ROUTE: _named(routes),
        SECRET: _named(secrets),
    }


def compile_endpoints(
    scope: ProxyScope, hosts: frozenset[str], clusters: ResourcesByName, memo: Memo
) -> ResourcesByName:
    """The load assignments of these hosts, which replace those of the last compilation.

    Enough for a change that touches nothing but endpoints, if ``endpoints_shape`` is the same.
    ``clusters`` are those of the last compilation.
    """
    outbound = scope.outbound
    services = [service for service in outbound.services if service.hostname in hosts]
    found = compile_upstreams(services, outbound, site_of(scope), memo)
    assignments = [*chain.from_iterable(upstreams.endpoints for upstreams in found)]
    if scope.gateway is not None:
        datagrams = compile_datagram_upstreams(scope.gateway, outbound, memo)
        assignments += (e for host, each in datagrams if host in hosts for e in each.endpoints)
    local = compile_local_cluster(scope, memo)
    return _of_clusters(_named([*assignments, *local]), clusters, memo)


def _of_clusters(
    endpoints: ResourcesByName, clusters: ResourcesByName, memo: Memo
) -> ResourcesByName:
    """Return load assignments that are new versions whenever their clusters are.

    Envoy waits for endpoints after each update of a cluster. If its stream ends in between, it
    says of the former endpoints that it has them; they must not be the current ones then.
    """
    return {
        name: memo.call(_of_cluster, each, clusters[name].version) if name in clusters else each
        for name, each in endpoints.items()
    }


def _of_cluster(endpoints: EnvoyResource, version: str) -> EnvoyResource:
    return replace(endpoints, version=f"{endpoints.version}-{version}")


def endpoints_shape(scope: ProxyScope, hosts: frozenset[str], memo: Memo) -> object:
    """What clusters and listeners depend on of the endpoints of ``hosts``: equal if unaffected.

    It changes where endpoints bring a new identity, come without a proxy, or have listeners of
    their own.
    """
    services = [service for service in scope.outbound.services if service.hostname in hosts]
    return upstreams_shape(services, scope.outbound, site_of(scope), memo)


def _passthrough(mesh: MeshConfig, original_destination: bool) -> EnvoyResource:
    return passthrough_cluster(mesh, original_destination=original_destination)


def _inbound(scope: InboundScope) -> tuple[list[EnvoyResource], ...]:
    """Listeners, clusters and secrets."""
    listeners = [
        resource(listener.name, listener, uses=listener_clusters(listener))
        for listener in compile_inbound_listeners(scope)
    ]
    clusters = [resource(each.name, each) for each in compile_inbound_clusters(scope)]
    servers = [p.ingress.tls for p in scope.ports if p.ingress and p.ingress.tls]
    return listeners, clusters, _secrets(servers, ())


def _gateway(
    scope: GatewayScope,
    services: tuple[Service, ...],
    rules: Mapping[str, DestinationRule],
) -> tuple[list[EnvoyResource], list[EnvoyResource]]:
    """Listeners and secrets."""
    known = Known(services=services_by_hostname(services), destination_rules=rules, mesh=scope.mesh)
    listeners = [
        resource(listener.name, listener, uses=listener_clusters(listener))
        for listener in compile_gateway_listeners(scope, known)
    ]
    servers = [each.server.tls for each in scope.servers if each.server.tls]
    return listeners, _secrets(servers, scope.credentials)


def _gateway_routes(
    scope: GatewayScope,
    services: tuple[Service, ...],
    labels: tuple[tuple[str, str], ...],
    rules: Mapping[str, DestinationRule],
    memo: Memo,
) -> list[EnvoyResource]:
    client = Client(scope.namespace, labels, services_by_hostname(services), rules, scope.mesh)
    return list(compile_gateway_routes(scope, client, memo))


def _client_secrets(
    rules: Mapping[str, DestinationRule], credentials: Credentials, mesh: MeshConfig
) -> list[EnvoyResource]:
    """What clients need, files beside the proxy included."""
    settings = [each for rule in rules.values() for each in tls_settings(rule)]
    if (of_unknown := unknown_tls(mesh)) is not None:
        settings.append(of_unknown)
    found = chain(compile_client_secrets(credentials), compile_client_files(settings))
    return [resource(secret.name, secret) for secret in found]


def _secrets(
    servers: Iterable[ServerTLSSettings], credentials: Iterable[Secret]
) -> list[EnvoyResource]:
    by_name = {secret.metadata.name: secret for secret in credentials}
    return [resource(secret.name, secret) for secret in compile_secrets(servers, by_name)]


def _named(compiled: Iterable[EnvoyResource]) -> dict[str, EnvoyResource]:
    """By name, the first of each: what is declared earlier counts."""
    named: dict[str, EnvoyResource] = {}
    for each in compiled:
        named.setdefault(each.name, each)
    return named
