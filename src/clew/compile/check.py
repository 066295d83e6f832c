"""Invariants that Envoy insists on, or that requests suffer from: run by every golden test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.any_pb2 import Any as PackedMessage

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.address_pb2 import SocketAddress
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import FilterChain
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_components_pb2 import RouteAction, VirtualHost
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtAuthentication
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from clew._pb.envoy.extensions.filters.udp.udp_proxy.v3.route_pb2 import Route as UdpRoute
from clew._pb.envoy.extensions.filters.udp.udp_proxy.v3.udp_proxy_pb2 import UdpProxyConfig
from clew.model import names
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, Published, TypeUrl

_ROUTER = "envoy.filters.http.router"
# One filter of it for each action of policies.
_MAY_REPEAT = "envoy.filters.http.rbac"


def check_published(published: Published) -> tuple[str, ...]:
    """What is wrong with one proxy's resources, in words; nothing if Envoy would take them all."""
    return (
        *_misnamed(published),
        *_listener_problems(_listeners(published)),
        *_route_problems(_route_configurations(published)),
        *_dangling_routes(published),
        *_dangling_endpoints(published),
        *missing_clusters(published),
    )


def missing_clusters(published: Published) -> Iterator[str]:
    """Clusters that routes or TCP proxies name and that the proxy does not get.

    Envoy takes such routes and answers 503. They are the result of destinations that nobody
    declares, so a mesh with such a mistake is not at fault itself.
    """
    known = published.get(CLUSTER, {}).keys()
    for configuration in _route_configurations(published):
        for name in sorted(route_clusters(configuration) - known):
            yield f"routes {configuration.name}: no cluster {name}"
    for listener in _listeners(published):
        for name in sorted(listener_clusters(listener) - known):
            yield f"listener {listener.name}: no cluster {name}"


def route_clusters(configuration: RouteConfiguration) -> frozenset[str]:
    """The clusters that requests may be sent or mirrored to."""
    actions = [
        route.route
        for host in configuration.virtual_hosts
        for route in host.routes
        if route.HasField("route")
    ]
    return frozenset(name for action in actions for name in _action_clusters(action))


def _action_clusters(action: RouteAction) -> Iterator[str]:
    if action.cluster:
        yield action.cluster
    yield from (each.name for each in action.weighted_clusters.clusters)
    yield from (policy.cluster for policy in action.request_mirror_policies)


def _listeners(published: Published) -> list[Listener]:
    return [Listener.FromString(r.body) for r in published.get(LISTENER, {}).values()]


def _route_configurations(published: Published) -> list[RouteConfiguration]:
    return [RouteConfiguration.FromString(r.body) for r in published.get(ROUTE, {}).values()]


_NAME_FIELDS: Mapping[TypeUrl, tuple[type[Listener | Cluster | RouteConfiguration], str]] = {
    LISTENER: (Listener, "name"),
    CLUSTER: (Cluster, "name"),
    ROUTE: (RouteConfiguration, "name"),
}


def _misnamed(published: Published) -> Iterator[str]:
    for type_url, (message_type, field) in _NAME_FIELDS.items():
        for name, resource in published.get(type_url, {}).items():
            inside = getattr(message_type.FromString(resource.body), field)
            if not (name == resource.name == inside):
                yield f"{message_type.__name__} {name}: published as {resource.name}, is {inside}"


def _repeated(values: Iterable[str]) -> list[str]:
    return sorted(value for value, count in Counter(values).items() if count > 1)


def _listener_problems(listeners: list[Listener]) -> Iterator[str]:
    for address in _repeated(_addresses(listeners)):
        yield f"listeners: more than one binds {address}"
    for listener in listeners:
        matches = (
            chain.filter_chain_match.SerializeToString(deterministic=True).hex()
            for chain in listener.filter_chains
        )
        if _repeated(matches):
            yield f"listener {listener.name}: two filter chains match the same"
        for chain in listener.filter_chains:
            yield from _chain_problems(listener, chain)


def _addresses(listeners: list[Listener]) -> Iterator[str]:
    for listener in listeners:
        addresses = [listener.address, *(more.address for more in listener.additional_addresses)]
        for address in addresses:
            socket = address.socket_address
            transport = "udp " if socket.protocol == SocketAddress.UDP else ""
            yield address.pipe.path or f"{transport}{socket.address}:{socket.port_value}"


def _chain_problems(listener: Listener, chain: FilterChain) -> Iterator[str]:
    where = f"listener {listener.name} chain {chain.name or '(unnamed)'}"
    if not chain.filters:
        yield f"{where}: no filters"
    for manager in _connection_managers([chain]):
        filters = [each.name for each in manager.http_filters]
        if filters[-1:] != [_ROUTER]:
            yield f"{where}: the last HTTP filter is not the router"
        if twice := [name for name in _repeated(filters) if name != _MAY_REPEAT]:
            yield f"{where}: HTTP filters appear twice: {', '.join(twice)}"
        if manager.HasField("route_config"):
            yield from _route_problems([manager.route_config])


def _route_problems(configurations: list[RouteConfiguration]) -> Iterator[str]:
    for configuration in configurations:
        where = f"routes {configuration.name}"
        for name in _repeated(host.name for host in configuration.virtual_hosts):
            yield f"{where}: two virtual hosts are named {name}"
        domains = (d.lower() for host in configuration.virtual_hosts for d in host.domains)
        for domain in _repeated(domains):
            yield f"{where}: domain {domain} belongs to two virtual hosts"
        for host in configuration.virtual_hosts:
            yield from _host_problems(where, host)


def _host_problems(where: str, host: VirtualHost) -> Iterator[str]:
    if not host.domains:
        yield f"{where}: virtual host {host.name} has no domain"
    for route in host.routes:
        if route.WhichOneof("action") is None:
            yield f"{where}: route {route.name} of {host.name} does nothing"
        clusters = route.route.weighted_clusters.clusters
        if clusters and not sum(each.weight.value for each in clusters):
            yield f"{where}: the weights of route {route.name} of {host.name} add up to nothing"


def _dangling_routes(published: Published) -> Iterator[str]:
    known = published.get(ROUTE, {}).keys()
    wanted = {
        manager.rds.route_config_name
        for listener in _listeners(published)
        for manager in _connection_managers(listener.filter_chains)
        if manager.HasField("rds")
    }
    yield from (f"listeners: no routes {name}" for name in sorted(wanted - known))


def _dangling_endpoints(published: Published) -> Iterator[str]:
    clusters = [Cluster.FromString(r.body) for r in published.get(CLUSTER, {}).values()]
    wanted = {
        cluster.eds_cluster_config.service_name or cluster.name
        for cluster in clusters
        if cluster.type == Cluster.EDS
    }
    known = {
        ClusterLoadAssignment.FromString(r.body).cluster_name
        for r in published.get(ENDPOINTS, {}).values()
    }
    built_in = {names.LOCAL_CLUSTER}
    yield from (f"cluster {name}: no endpoints are published" for name in sorted(wanted - known))
    yield from (
        f"endpoints {name}: no cluster uses them" for name in sorted(known - wanted - built_in)
    )


def _filters(chains: Iterable[FilterChain]) -> Iterator[PackedMessage]:
    for chain in chains:
        for each in chain.filters:
            yield each.typed_config


def _connection_managers(chains: Iterable[FilterChain]) -> Iterator[hcm_pb2.HttpConnectionManager]:
    for packed in _filters(chains):
        manager = hcm_pb2.HttpConnectionManager()
        if packed.Unpack(manager):
            yield manager


def listener_clusters(listener: Listener) -> frozenset[str]:
    chains = [*listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    found: set[str] = set()
    for packed in _filters(chains):
        proxy = TcpProxy()
        if packed.Unpack(proxy):
            found.update(each.name for each in proxy.weighted_clusters.clusters)
            found.update(filter(None, [proxy.cluster]))
    for manager in _connection_managers(chains):
        found.update(route_clusters(manager.route_config))
        found.update(_key_clusters(manager))
    for each in listener.listener_filters:
        datagrams = UdpProxyConfig()
        if each.typed_config.Unpack(datagrams):
            found.update(_datagram_clusters(datagrams))
    return frozenset(found)


def _datagram_clusters(proxy: UdpProxyConfig) -> Iterator[str]:
    matchers = proxy.matcher.matcher_list.matchers
    for action in (*(each.on_match for each in matchers), proxy.matcher.on_no_match):
        route = UdpRoute()
        if action.action.typed_config.Unpack(route):
            yield route.cluster


def _key_clusters(manager: hcm_pb2.HttpConnectionManager) -> Iterator[str]:
    """Through which the keys of tokens' issuers are fetched."""
    for each in manager.http_filters:
        tokens = JwtAuthentication()
        if each.typed_config.Unpack(tokens):
            providers = tokens.providers.values()
            remote = [each.remote_jwks for each in providers if each.HasField("remote_jwks")]
            yield from (each.http_uri.cluster for each in remote)
