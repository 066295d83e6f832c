from __future__ import annotations

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.route.v3.route_components_pb2 import RouteAction
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.model.xds import ENDPOINTS, ROUTE
from tests.compile.meshes import REVIEWS, SERVICE, cluster_of, policy, published


def balanced(text: str, port: int = 80) -> Cluster:
    return cluster_of(policy(f"loadBalancer: {{{text}}}"), port=port)


def hash_policy(text: str) -> RouteAction.HashPolicy:
    found = published(SERVICE, policy(f"loadBalancer: {{consistentHash: {{{text}}}}}"))
    routes = RouteConfiguration.FromString(found[ROUTE]["80"].body)
    [host] = [h for h in routes.virtual_hosts if REVIEWS in h.domains]
    [policy_] = host.routes[0].route.hash_policy
    return policy_


@pytest.mark.proves(
    "TrafficPolicy.loadBalancer",
    "LoadBalancerSettings.simple",
    "LoadBalancerSettings.simple=UNSPECIFIED",
    "LoadBalancerSettings.simple=LEAST_CONN",
    "LoadBalancerSettings.simple=LEAST_REQUEST",
    "LoadBalancerSettings.simple=RANDOM",
    "LoadBalancerSettings.simple=ROUND_ROBIN",
)
@pytest.mark.parametrize(
    ("simple", "expected"),
    [
        ("UNSPECIFIED", Cluster.LEAST_REQUEST),
        ("LEAST_CONN", Cluster.LEAST_REQUEST),
        ("LEAST_REQUEST", Cluster.LEAST_REQUEST),
        ("RANDOM", Cluster.RANDOM),
        ("ROUND_ROBIN", Cluster.ROUND_ROBIN),
    ],
)
def test_simple_load_balancers(simple: str, expected: Cluster.LbPolicy) -> None:
    assert balanced(f"simple: {simple}").lb_policy == expected


@pytest.mark.proves("LoadBalancerSettings.simple=PASSTHROUGH")
def test_passthrough_goes_to_the_address_that_the_client_chose() -> None:
    rule = policy("loadBalancer: {simple: PASSTHROUGH}")
    found = cluster_of(rule)
    assert (found.type, found.lb_policy) == (Cluster.ORIGINAL_DST, Cluster.CLUSTER_PROVIDED)
    assert f"outbound|80||{REVIEWS}" not in published(SERVICE, rule)[ENDPOINTS]


@pytest.mark.proves(
    "LoadBalancerSettings.consistentHash",
    "ConsistentHashLB.ringHash",
    "ConsistentHashLB.maglev",
    "ConsistentHashLB.minimumRingSize",
    "RingHash.minimumRingSize",
    "MagLev.tableSize",
)
def test_consistent_hashing_is_by_ring_unless_maglev_is_asked_for() -> None:
    def size(text: str) -> int:
        found = balanced(f"consistentHash: {{useSourceIp: true{text}}}")
        assert found.lb_policy == Cluster.RING_HASH
        return int(found.ring_hash_lb_config.minimum_ring_size.value)

    assert size("") == 1024
    assert size(", minimumRingSize: 2048") == 2048
    assert size(", ringHash: {minimumRingSize: 4096}") == 4096
    maglev = balanced("consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}")
    assert maglev.lb_policy == Cluster.MAGLEV
    assert maglev.maglev_lb_config.table_size.value == 65537


@pytest.mark.proves("ConsistentHashLB.httpHeaderName")
def test_a_header_may_choose_the_endpoint() -> None:
    assert hash_policy("httpHeaderName: x-user").header.header_name == "x-user"


@pytest.mark.proves("ConsistentHashLB.httpQueryParameterName")
def test_a_query_parameter_may_choose_the_endpoint() -> None:
    assert hash_policy("httpQueryParameterName: user").query_parameter.name == "user"


@pytest.mark.proves("ConsistentHashLB.useSourceIp")
def test_the_clients_address_may_choose_the_endpoint() -> None:
    assert hash_policy("useSourceIp: true").connection_properties.source_ip


@pytest.mark.proves(
    "ConsistentHashLB.httpCookie",
    "HTTPCookie.name",
    "HTTPCookie.path",
    "HTTPCookie.ttl",
    "HTTPCookie.attributes",
    "HTTPCookieAttribute.name",
    "HTTPCookieAttribute.value",
)
def test_a_cookie_may_choose_the_endpoint_and_is_made_if_it_has_a_lifetime() -> None:
    cookie = hash_policy(
        """httpCookie: {name: user, path: /app, ttl: 0s,
        attributes: [{name: SameSite, value: Lax}]}"""
    ).cookie
    assert (cookie.name, cookie.path) == ("user", "/app")
    assert cookie.HasField("ttl")
    assert cookie.ttl.ToSeconds() == 0
    assert [(a.name, a.value) for a in cookie.attributes] == [("SameSite", "Lax")]
    assert not hash_policy("httpCookie: {name: user}").cookie.HasField("ttl")


@pytest.mark.proves(
    "LoadBalancerSettings.warmup",
    "WarmupConfiguration.duration",
    "WarmupConfiguration.minimumPercent",
    "WarmupConfiguration.aggression",
)
def test_new_endpoints_warm_up() -> None:
    text = "warmup: {duration: 20s, minimumPercent: 5, aggression: 2}"
    robin = balanced(f"simple: ROUND_ROBIN, {text}").round_robin_lb_config.slow_start_config
    least = balanced(text).least_request_lb_config.slow_start_config
    for found in (robin, least):
        assert found.slow_start_window.seconds == 20
        assert found.min_weight_percent.value == 5
        assert found.aggression.default_value == 2


@pytest.mark.proves("LoadBalancerSettings.warmupDurationSecs")
def test_the_older_field_for_warming_up_still_works() -> None:
    found = balanced("warmupDurationSecs: 30s").least_request_lb_config.slow_start_config
    assert found.slow_start_window.seconds == 30
