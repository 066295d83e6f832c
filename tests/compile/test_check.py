"""What the invariant checks of compiled resources find, one mistake at a time."""

from __future__ import annotations

from google.protobuf.message import Message

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.address_pb2 import Address, SocketAddress
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_components_pb2 import (
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors
from clew._pb.envoy.extensions.filters.http.router.v3.router_pb2 import Router
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from clew.compile.check import check_published
from clew.compile.typed_config import typed_config
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, TypeUrl

_TYPES = {Cluster: CLUSTER, ClusterLoadAssignment: ENDPOINTS, Listener: LISTENER}


def published(*messages: Message, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The problems of these resources; ``names`` overrides what they are published as."""
    found: dict[TypeUrl, dict[str, EnvoyResource]] = {}
    for index, message in enumerate(messages):
        own = getattr(message, "name", "") or getattr(message, "cluster_name", "")
        name = names[index] if names else own
        kind = _TYPES.get(type(message), ROUTE)
        body = message.SerializeToString()
        found.setdefault(kind, {})[name] = EnvoyResource(name=name, version="1", body=body)
    return check_published(found)


def to_cluster(name: str) -> Route:
    return Route(name="to", match=RouteMatch(prefix="/"), route=RouteAction(cluster=name))


def routes(*hosts: VirtualHost) -> RouteConfiguration:
    return RouteConfiguration(name="80", virtual_hosts=hosts)


def host(name: str, *domains: str, route: Route | None = None) -> VirtualHost:
    return VirtualHost(name=name, domains=domains, routes=[route or to_cluster("a")])


def listener(name: str, *filters: Filter, port: int = 80) -> Listener:
    address = Address(socket_address=SocketAddress(address="0.0.0.0", port_value=port))
    return Listener(name=name, address=address, filter_chains=[FilterChain(filters=filters)])


def http(*filters: tuple[str, Message], rds: str = "80") -> Filter:
    manager = hcm_pb2.HttpConnectionManager(
        http_filters=[
            hcm_pb2.HttpFilter(name=name, typed_config=typed_config(config))
            for name, config in filters
        ]
    )
    manager.rds.route_config_name = rds
    return Filter(name="http", typed_config=typed_config(manager))


def tcp(cluster: str) -> Filter:
    return Filter(name="tcp", typed_config=typed_config(TcpProxy(cluster=cluster)))


ROUTER = ("envoy.filters.http.router", Router())
CORS = ("envoy.filters.http.cors", Cors())
A = Cluster(name="a", type=Cluster.STATIC)
ROUTES = routes(host("web:80", "web"))


def test_resources_that_fit_together_have_no_problems() -> None:
    eds = Cluster(name="b", type=Cluster.EDS)
    endpoints = ClusterLoadAssignment(cluster_name="b")
    assert published(A, eds, endpoints, ROUTES, listener("l", http(CORS, ROUTER))) == ()


def test_a_resource_is_published_under_its_own_name() -> None:
    assert published(A, names=("b",)) == ("Cluster b: published as b, is a",)


def test_two_listeners_may_not_bind_one_address() -> None:
    assert published(A, listener("one", tcp("a")), listener("two", tcp("a"))) == (
        "listeners: more than one binds 0.0.0.0:80",
    )


def test_two_filter_chains_may_not_match_the_same() -> None:
    doubled = listener("l", tcp("a"))
    doubled.filter_chains.append(doubled.filter_chains[0])
    assert published(A, doubled) == ("listener l: two filter chains match the same",)


def test_a_filter_chain_needs_filters() -> None:
    assert published(listener("l")) == ("listener l chain (unnamed): no filters",)


def test_the_router_is_the_last_http_filter_and_none_is_there_twice() -> None:
    assert published(A, ROUTES, listener("l", http(CORS, ROUTER, CORS))) == (
        "listener l chain (unnamed): the last HTTP filter is not the router",
        "listener l chain (unnamed): HTTP filters appear twice: envoy.filters.http.cors",
    )


def test_a_domain_belongs_to_one_virtual_host_whatever_its_case() -> None:
    assert published(A, routes(host("one", "web"), host("two", "WEB"))) == (
        "routes 80: domain web belongs to two virtual hosts",
    )


def test_virtual_hosts_have_names_of_their_own_and_domains() -> None:
    assert published(A, routes(host("one", "web"), host("one"))) == (
        "routes 80: two virtual hosts are named one",
        "routes 80: virtual host one has no domain",
    )


def test_a_route_does_something() -> None:
    idle = Route(name="idle", match=RouteMatch(prefix="/"))
    assert published(routes(host("web", "web", route=idle))) == (
        "routes 80: route idle of web does nothing",
    )


def test_weights_add_up_to_something() -> None:
    action = RouteAction()
    action.weighted_clusters.clusters.append(WeightedCluster.ClusterWeight(name="a"))
    split = Route(name="split", match=RouteMatch(prefix="/"), route=action)
    assert published(A, routes(host("web", "web", route=split))) == (
        "routes 80: the weights of route split of web add up to nothing",
    )


def test_routes_that_a_listener_asks_for_exist() -> None:
    assert published(listener("l", http(ROUTER, rds="81"))) == ("listeners: no routes 81",)


def test_clusters_that_routes_and_listeners_name_exist() -> None:
    assert published(ROUTES, listener("l", tcp("b"), port=81)) == (
        "routes 80: no cluster a",
        "listener l: no cluster b",
    )


def test_endpoints_and_the_clusters_that_want_them_come_together() -> None:
    eds = Cluster(name="b", type=Cluster.EDS)
    assert published(eds, ClusterLoadAssignment(cluster_name="c")) == (
        "cluster b: no endpoints are published",
        "endpoints c: no cluster uses them",
    )
