from __future__ import annotations

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew.model.xds import CLUSTER, ENDPOINTS
from tests.compile.meshes import (
    REVIEWS,
    SERVICE,
    cluster_of,
    mesh_config,
    policy,
    published,
    rule,
    tls_of,
)

UNLIMITED = 2**32 - 1
LIMIT = "connectionPool: {{tcp: {{maxConnections: {}}}}}"


def limit(cluster: Cluster) -> int:
    return int(cluster.circuit_breakers.thresholds[0].max_connections.value)


def limited(number: int) -> str:
    return LIMIT.format(number)


@pytest.mark.proves(
    "TrafficPolicy.portLevelSettings",
    "PortTrafficPolicy.port",
    "PortSelector.number",
    "PortTrafficPolicy.loadBalancer",
    "PortTrafficPolicy.connectionPool",
    "PortTrafficPolicy.outlierDetection",
    "PortTrafficPolicy.tls",
)
def test_what_a_port_says_replaces_all_that_is_said_above_it() -> None:
    text = policy(
        f"""loadBalancer: {{simple: RANDOM}}, {limited(7)}, outlierDetection: {{interval: 1s}},
        tls: {{mode: DISABLE}}, retryBudget: {{percent: 9}}, portLevelSettings: [
        {{port: {{number: 80}}, loadBalancer: {{simple: ROUND_ROBIN}}}},
        {{port: {{number: 81}}, {limited(5)}, outlierDetection: {{interval: 2s}},
          tls: {{mode: SIMPLE, sni: of.the.port}}}}]"""
    )
    first, second, third = (cluster_of(text, port=port) for port in (80, 81, 82))
    assert first.lb_policy == Cluster.ROUND_ROBIN
    assert limit(first) == UNLIMITED
    assert not first.HasField("outlier_detection")
    assert first.transport_socket.name == "envoy.transport_sockets.tls"
    assert second.lb_policy == Cluster.LEAST_REQUEST
    assert limit(second) == 5
    assert second.outlier_detection.interval.seconds == 2
    assert tls_of(second).sni == "of.the.port"
    # What a port cannot say is still said for it.
    assert first.circuit_breakers.thresholds[0].retry_budget.budget_percent.value == 9
    assert (third.lb_policy, limit(third)) == (Cluster.RANDOM, 7)


@pytest.mark.proves(
    "DestinationRuleSpec.subsets",
    "DestinationRuleSpec.trafficPolicy",
    "Subset.name",
    "Subset.labels",
    "Subset.trafficPolicy",
)
def test_a_subset_replaces_what_it_says_and_keeps_the_rest() -> None:
    text = rule(
        f"""trafficPolicy: {{loadBalancer: {{simple: RANDOM}}, {limited(7)}}}, subsets: [
        {{name: v1, labels: {{version: v1}}, trafficPolicy: {{{limited(3)}, portLevelSettings: [
          {{port: {{number: 81}}, outlierDetection: {{interval: 1s}}}}]}}}},
        {{name: v2, labels: {{version: v2}}}}]"""
    )
    first = cluster_of(text, subset="v1")
    assert (first.lb_policy, limit(first)) == (Cluster.RANDOM, 3)
    port = cluster_of(text, subset="v1", port=81)
    assert (port.lb_policy, limit(port)) == (Cluster.LEAST_REQUEST, UNLIMITED)
    assert port.outlier_detection.interval.seconds == 1
    second = cluster_of(text, subset="v2")
    assert (second.lb_policy, limit(second)) == (Cluster.RANDOM, 7)


@pytest.mark.proves("LoadBalancerSettings.simple=PASSTHROUGH", "Subset.trafficPolicy")
def test_a_subset_of_its_own_may_go_where_the_client_wanted() -> None:
    found = published(
        SERVICE,
        rule(
            """subsets: [{name: raw, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}},
            {name: all}]"""
        ),
    )
    types = {
        subset: Cluster.FromString(found[CLUSTER][f"outbound|80|{subset}|{REVIEWS}"].body).type
        for subset in ("", "raw", "all")
    }
    assert types == {"": Cluster.EDS, "raw": Cluster.ORIGINAL_DST, "all": Cluster.EDS}
    assert f"outbound|80|raw|{REVIEWS}" not in found[ENDPOINTS]
    assert f"outbound|80|all|{REVIEWS}" in found[ENDPOINTS]


@pytest.mark.proves(
    "MeshConfig.defaultTrafficPolicy",
    "DefaultTrafficPolicy.connectionPool",
    "DefaultTrafficPolicy.outlierDetection",
)
def test_what_no_rule_says_the_mesh_may_say_for_all_block_by_block() -> None:
    mesh = mesh_config(
        f"defaultTrafficPolicy: {{{limited(50)}, outlierDetection: {{interval: 4s}}}}"
    )
    bare, ruled = cluster_of(mesh), cluster_of(mesh, policy(limited(2)))
    assert (limit(bare), bare.outlier_detection.interval.seconds) == (50, 4)
    assert (limit(ruled), ruled.outlier_detection.interval.seconds) == (2, 4)


@pytest.mark.proves("DestinationRuleSpec.host")
@pytest.mark.parametrize(
    "host",
    ["reviews", REVIEWS, "*.default.svc.cluster.local", "*.cluster.local", "*"],
)
def test_a_rule_holds_for_every_service_that_its_host_stands_for(host: str) -> None:
    text = rule(f"trafficPolicy: {{{limited(7)}}}", host=host)
    assert limit(cluster_of(text)) == 7


@pytest.mark.proves("DestinationRuleSpec.host")
def test_the_most_specific_host_holds() -> None:
    wide = rule(f"trafficPolicy: {{{limited(1)}}}", host="*.cluster.local", name="wide")
    narrow = rule(f"trafficPolicy: {{{limited(2)}}}", host="*.svc.cluster.local", name="narrow")
    exact = rule(f"trafficPolicy: {{{limited(3)}}}", name="exact")
    assert limit(cluster_of(wide, narrow)) == 2
    assert limit(cluster_of(wide, exact, narrow)) == 3
