from __future__ import annotations

from typing import Any

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew.model.xds import CLUSTER
from tests.compile.meshes import (
    addresses,
    assignment_in,
    cluster_in,
    mesh_config,
    published,
    rule,
    service_entry,
)

HOST = "api.example"
DETECTS = "outlierDetection: {interval: 1s}"
PLACES = {
    "10.0.0.1": "eu/a/1",
    "10.0.0.2": "eu/a/2",
    "10.0.0.3": "eu/b/1",
    "10.0.0.4": "us/a/1",
    "10.0.0.5": "asia/a/1",
}
LABELS = {"10.0.0.4": "tier: gold", "10.0.0.5": "tier: gold, disk: fast"}


def entry(resolution: str = "STATIC") -> str:
    endpoints = ", ".join(
        f"{{address: {address}, locality: {place}, labels: {{{LABELS.get(address, '')}}}}}"
        for address, place in PLACES.items()
    )
    return service_entry(
        f"""hosts: [{HOST}], location: MESH_INTERNAL, resolution: {resolution},
        ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{endpoints}]"""
    )


def assigned(*texts: str, policy: str = "", **about: Any) -> ClusterLoadAssignment:
    ruled = [rule(f"trafficPolicy: {{{policy}}}", host=HOST)] if policy else []
    about = {"locality": "eu/a/1", **about}
    return assignment_in(published(entry(), *texts, *ruled, **about), host=HOST)


def ranked(of: ClusterLoadAssignment) -> dict[int, set[str]]:
    """The last numbers of the addresses, by priority."""
    found: dict[int, set[str]] = {}
    for locality in of.endpoints:
        numbers = {e.endpoint.address.socket_address.address[-1] for e in locality.lb_endpoints}
        found.setdefault(locality.priority, set()).update(numbers)
    return found


def weights(of: ClusterLoadAssignment) -> dict[str, int]:
    return {
        "/".join((e.locality.region, e.locality.zone, e.locality.sub_zone)): int(
            e.load_balancing_weight.value
        )
        for e in of.endpoints
    }


def setting(text: str) -> str:
    return f"{DETECTS}, loadBalancer: {{localityLbSetting: {{{text}}}}}"


@pytest.mark.proves(
    "LoadBalancerSettings.localityLbSetting",
    "LocalityLoadBalancerSetting.enabled",
    "MeshConfig.localityLbSetting",
)
def test_near_endpoints_go_first_where_failing_ones_are_noticed() -> None:
    near = {0: {"1"}, 1: {"2"}, 2: {"3"}, 3: {"4", "5"}}
    everywhere = {0: {"1", "2", "3", "4", "5"}}
    assert ranked(assigned(policy=DETECTS)) == near
    assert ranked(assigned()) == everywhere
    assert ranked(assigned(policy=setting("enabled: false"))) == everywhere
    off = mesh_config("localityLbSetting: {enabled: false}")
    assert ranked(assigned(off, policy=DETECTS)) == everywhere
    assert ranked(assigned(off, policy=setting("enabled: true"))) == near


@pytest.mark.proves(
    "LocalityLoadBalancerSetting.failover", "LocalityFailover.from", "LocalityFailover.to"
)
def test_a_region_may_fail_over_to_another_before_the_rest() -> None:
    found = assigned(policy=setting("failover: [{from: eu, to: asia}]"))
    assert ranked(found) == {0: {"1"}, 1: {"2"}, 2: {"3"}, 3: {"5"}, 4: {"4"}}
    other = assigned(policy=setting("failover: [{from: us, to: asia}]"))
    assert ranked(other)[3] == {"4", "5"}


@pytest.mark.proves("LocalityLoadBalancerSetting.failoverPriority")
def test_labels_that_agree_with_the_clients_decide_if_asked_to() -> None:
    policy = setting("failoverPriority: [tier, disk]")
    found = assigned(policy=policy, labels={"tier": "gold", "disk": "fast"})
    assert ranked(found) == {0: {"5"}, 1: {"4"}, 2: {"1", "2", "3"}}
    # A value may be stated instead of the client's own.
    stated = assigned(policy=setting("failoverPriority: ['tier=gold']"), labels={"app": "a"})
    assert ranked(stated) == {0: {"4", "5"}, 1: {"1", "2", "3"}}


@pytest.mark.proves("LocalityLoadBalancerSetting.failoverPriority")
def test_the_topology_counts_as_labels_and_distance_breaks_ties() -> None:
    zones = "failoverPriority: [topology.kubernetes.io/region, topology.kubernetes.io/zone]"
    assert ranked(assigned(policy=setting(zones))) == {0: {"1", "2"}, 1: {"3"}, 2: {"4", "5"}}
    both = "failoverPriority: ['tier=gold'], failover: [{from: eu, to: us}]"
    assert ranked(assigned(policy=setting(both))) == {
        0: {"4"},
        1: {"5"},
        2: {"1"},
        3: {"2"},
        4: {"3"},
    }


@pytest.mark.proves(
    "LocalityLoadBalancerSetting.distribute", "LocalityDistribute.from", "LocalityDistribute.to"
)
def test_localities_get_the_shares_that_are_declared_for_the_clients() -> None:
    policy = """loadBalancer: {localityLbSetting: {distribute: [
        {from: us/*, to: {us/*: 100}},
        {from: eu/a/*, to: {"eu/a/*": 70, us: 30}}]}}"""
    found = assigned(policy=policy)
    assert weights(found) == {"eu/a/1": 35, "eu/a/2": 35, "us/a/1": 30}
    assert set(ranked(found)) == {0}
    assert addresses(assigned(policy=policy, locality="us/z/9")) == ["10.0.0.4"]
    assert len(addresses(assigned(policy=policy, locality="asia"))) == 5


@pytest.mark.proves("LocalityLoadBalancerSetting.distribute")
def test_envoy_heeds_weights_of_localities_only_where_they_have_a_say() -> None:
    def weighed(policy: str) -> bool:
        found = published(entry(), rule(f"trafficPolicy: {{{policy}}}", host=HOST))
        common = Cluster.FromString(found[CLUSTER][f"outbound|80||{HOST}"].body).common_lb_config
        return common.HasField("locality_weighted_lb_config")

    assert not weighed(DETECTS)
    assert weighed(setting("failover: [{from: eu, to: us}]"))
    assert weighed("loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 100}}]}}")


@pytest.mark.proves(
    "LoadBalancerSettings.zoneAwareLbSetting",
    "ZoneAwareLoadBalancerSetting.enabled",
    "ZoneAwareLoadBalancerSetting.minClusterSize",
    "ZoneAwareLoadBalancerSetting.failover",
    "ZoneAwareLoadBalancerSetting.failoverPriority",
    "MeshConfig.zoneAwareLbSetting",
)
def test_envoy_may_spread_requests_over_the_zones_of_a_region() -> None:
    def zones(*texts: str, policy: str) -> Cluster.CommonLbConfig.ZoneAwareLbConfig:
        found = published(entry(), *texts, rule(f"trafficPolicy: {{{policy}}}", host=HOST))
        return cluster_in(found, host=HOST).common_lb_config.zone_aware_lb_config

    def zoned(text: str) -> str:
        return f"{DETECTS}, loadBalancer: {{zoneAwareLbSetting: {{{text}}}}}"

    assert zones(policy=zoned("minClusterSize: 3")).min_cluster_size.value == 3
    off = zones(policy=zoned("enabled: false"))
    assert off.HasField("routing_enabled")
    assert off.routing_enabled.value == 0
    assert (
        zones(
            mesh_config("zoneAwareLbSetting: {minClusterSize: 4}"), policy=DETECTS
        ).min_cluster_size.value
        == 4
    )
    assert ranked(assigned(policy=zoned("enabled: true"))) == {0: {"1", "2", "3"}, 1: {"4", "5"}}
    to_asia = assigned(policy=zoned("failover: [{from: eu, to: asia}]"))
    assert ranked(to_asia) == {0: {"1", "2", "3"}, 1: {"5"}, 2: {"4"}}
    by_label = assigned(policy=zoned("failoverPriority: ['tier=gold']"))
    assert ranked(by_label) == {0: {"4", "5"}, 1: {"1", "2", "3"}}


NODES = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.2.0.1, selector: {app: web}, ports: [{name: http, port: 80}], %s}
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: a}}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: a}}
---
apiVersion: v1
kind: Node
metadata: {name: n3, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: b}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: web-{0}, namespace: default, labels: {{app: web}}}}
spec: {{nodeName: n{0}, containers: [{{name: app}}]}}
status: {{podIP: 10.0.0.{0}, conditions: [{{type: Ready, status: "True"}}]}}
"""
PODS = "\n---\n".join(POD.format(number) for number in (1, 2, 3))


def of_service(more: str, *texts: str, node: str = "n1") -> dict[int, set[str]]:
    found = published(NODES % more, PODS, *texts, locality="eu/a", node_name=node)
    return ranked(assignment_in(found, host="web.default.svc.cluster.local"))


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("PreferClose", {0: {"1", "2"}, 1: {"3"}}),
        ("PreferSameZone", {0: {"1", "2"}, 1: {"3"}}),
        ("PreferSameNode", {0: {"1"}, 1: {"2"}, 2: {"3"}}),
    ],
)
def test_a_service_may_prefer_near_endpoints_without_outlier_detection(
    wish: str, expected: dict[int, set[str]]
) -> None:
    assert of_service(f"trafficDistribution: {wish}") == expected


def test_the_services_wish_goes_before_the_meshs_and_after_a_destination_rules() -> None:
    wish = "trafficDistribution: PreferClose"
    mesh = mesh_config("localityLbSetting: {failoverPriority: ['app=none']}")
    assert of_service(wish, mesh) == {0: {"1", "2"}, 1: {"3"}}
    off = "trafficPolicy: {loadBalancer: {localityLbSetting: {enabled: false}}}"
    assert of_service(wish, rule(off, host="web")) == {0: {"1", "2", "3"}}


def test_endpoints_of_a_service_may_be_for_clients_of_their_own_node() -> None:
    assert of_service("internalTrafficPolicy: Local", node="n2") == {0: {"2"}}
    assert of_service("internalTrafficPolicy: Cluster", node="n2") == {0: {"1", "2", "3"}}
