"""Istio's admission rules for DestinationRule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.admission import errors, warnings


def rule(**spec: Any) -> list[str]:
    return errors("DestinationRule", {"host": "a", **spec})


def policy(**fields: Any) -> list[str]:
    return [each.removeprefix("trafficPolicy.") for each in rule(trafficPolicy=fields)]


def policy_warnings(**fields: Any) -> list[str]:
    found = warnings("DestinationRule", {"host": "a", "trafficPolicy": fields})
    return [each.removeprefix("trafficPolicy.") for each in found]


def balancer(**fields: Any) -> list[str]:
    return [each.removeprefix("loadBalancer.") for each in policy(loadBalancer=fields)]


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"host": "*.a.b"}, []),
        ({"host": "a.*"}, ["host"]),
        ({"subsets": [{"name": "v1", "labels": {"version": "v1"}}]}, []),
        ({"subsets": [{"name": "v.1"}]}, ["subsets[0].name"]),
        ({"subsets": [{"name": "V1", "labels": {"Example.com/a": "b" * 64}}]}, []),
        ({"subsets": [{"name": "v1"}, {"name": "v1"}]}, ["subsets[1].name"]),
        ({"subsets": [{"name": "v1", "labels": {"a": "b c"}}]}, ["subsets[0].labels.a"]),
        ({"subsets": [{"name": "v1", "trafficPolicy": {}}]}, ["subsets[0].trafficPolicy"]),
        ({"exportTo": ["*", "a"]}, ["exportTo"]),
        ({"workloadSelector": {"matchLabels": {"a": "b"}}, "exportTo": ["."]}, []),
        ({"workloadSelector": {"matchLabels": {"a": "b"}}, "exportTo": ["*"]}, ["exportTo"]),
        ({"workloadSelector": {"matchLabels": {"a*": "b"}}}, ["workloadSelector.matchLabels.a*"]),
        ({"workloadSelector": {"matchLabels": {"a": "b c"}}}, []),
        ({"exportTo": ["Team-A"]}, []),
    ],
)
def test_hosts_subsets_and_selectors(spec: dict[str, Any], wrong: list[str]) -> None:
    assert rule(**spec) == wrong


def test_a_selector_without_labels_is_warned_of() -> None:
    assert warnings("DestinationRule", {"host": "a", "workloadSelector": {}}) == [
        "workloadSelector"
    ]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, ["trafficPolicy"]),
        ({"connectionPool": {}}, ["connectionPool"]),
        (
            {"connectionPool": {"http": {"http2MaxRequests": -1}}},
            ["connectionPool.http.http2MaxRequests"],
        ),
        ({"connectionPool": {"http": {"maxRetries": 2**31}}}, ["connectionPool.http.maxRetries"]),
        ({"connectionPool": {"tcp": {"idleTimeout": "0s"}}}, []),
        (
            {"connectionPool": {"tcp": {"idleTimeout": "1500us"}}},
            ["connectionPool.tcp.idleTimeout"],
        ),
        (
            {"connectionPool": {"http": {"useClientProtocol": True, "h2UpgradePolicy": "UPGRADE"}}},
            ["connectionPool.http.useClientProtocol"],
        ),
        (
            {"outlierDetection": {"maxEjectionPercent": 101}},
            ["outlierDetection.maxEjectionPercent"],
        ),
        (
            {"outlierDetection": {"consecutive5xxErrors": -1}},
            ["outlierDetection.consecutive5xxErrors"],
        ),
        (
            {"outlierDetection": {"consecutiveLocalOriginFailures": 1}},
            ["outlierDetection.consecutiveLocalOriginFailures"],
        ),
        (
            {"tunnel": {"targetHost": "a.b", "targetPort": 80, "protocol": "GET"}},
            ["tunnel.protocol"],
        ),
        ({"tunnel": {"targetHost": "1.2.3.4", "targetPort": 0}}, ["tunnel.targetPort"]),
        ({"portLevelSettings": [{"port": {"number": 80}}]}, ["portLevelSettings[0]"]),
        ({"portLevelSettings": [{"tls": {"mode": "DISABLE"}}]}, ["portLevelSettings[0].port"]),
        ({"portLevelSettings": [{"port": {}, "tls": {"mode": "DISABLE"}}]}, []),
        (
            {"portLevelSettings": [{"port": {"number": -1}, "tls": {"mode": "DISABLE"}}]},
            ["portLevelSettings[0].port.number"],
        ),
    ],
)
def test_a_policy_sets_something_that_can_be(fields: dict[str, Any], wrong: list[str]) -> None:
    assert policy(**fields) == wrong


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"simple": "RANDOM"}, []),
        ({"simple": "RANDOM", "consistentHash": {"useSourceIp": True}}, ["loadBalancer"]),
        ({"consistentHash": {}}, []),
        (
            {"consistentHash": {"useSourceIp": True, "httpHeaderName": "x-a"}},
            ["consistentHash"],
        ),
        ({"consistentHash": {"httpCookie": {"name": ""}}}, ["consistentHash.httpCookie.name"]),
        (
            {"consistentHash": {"httpCookie": {"name": "a", "attributes": [{"name": ""}]}}},
            ["consistentHash.httpCookie.attributes[0].name"],
        ),
        ({"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 65537}}}, []),
        (
            {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 65536}}},
            ["consistentHash.maglev.tableSize"],
        ),
        (
            {"consistentHash": {"useSourceIp": True, "maglev": {}}},
            ["consistentHash.maglev.tableSize"],
        ),
        ({"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 1}}}, []),
        ({"warmup": {"duration": "10s", "aggression": 0.5}}, ["warmup.aggression"]),
        ({"warmup": {"duration": "10s", "minimumPercent": 101}}, ["warmup.minimumPercent"]),
        ({"warmup": {"duration": "1us"}}, ["warmup.duration"]),
        ({"zoneAwareLbSetting": {"minClusterSize": 0}}, ["zoneAwareLbSetting.minClusterSize"]),
    ],
)
def test_a_balancer_is_one_that_envoy_knows(fields: dict[str, Any], wrong: list[str]) -> None:
    assert balancer(**fields) == wrong


def locality(**setting: Any) -> list[str]:
    found = balancer(localityLbSetting=setting)
    return [each.removeprefix("localityLbSetting.") for each in found]


def distribute(*rules: tuple[str, dict[str, int]]) -> list[str]:
    return locality(distribute=[{"from": place, "to": to} for place, to in rules])


def test_places_have_weights_that_add_up_to_100_and_do_not_overlap() -> None:
    assert distribute(("a/*", {"a/*": 80, "b/*": 20})) == []
    assert distribute(("a", {"a": 80})) == ["distribute[0].to"]
    assert distribute(("a", {"a": 0, "b": 100})) == ["distribute[0].to.a"]
    assert distribute(("a", {"b": 100}), ("a/b", {"c": 100})) == ["distribute[1]"]
    assert distribute(("*/b", {"c": 100})) == ["distribute[0]"]
    assert distribute(("a//b", {"c": 100})) == ["distribute[0]"]
    assert distribute(("a/b/*", {"c": 100}), ("a/b/c", {"c": 100})) == ["distribute[1]"]
    assert distribute(("a/b/c", {"c": 100}), ("a", {"c": 100})) == ["distribute[1]"]
    assert distribute(("a", {"c": 100}), ("b/*", {"c": 100}), ("*", {"c": 100})) == []
    assert distribute(("*", {"c": 100}), ("a", {"c": 100})) == ["distribute[1]"]
    assert distribute(("a/b*", {"c": 100}), ("a/bc", {"c": 100})) == []


def test_failover_is_between_regions() -> None:
    assert locality(failover=[{"from": "a", "to": "b"}]) == []
    assert locality(failover=[{"from": "a", "to": "a"}]) == ["failover[0]"]
    assert locality(failover=[{"from": "a/b", "to": "c"}]) == ["failover[0].from"]
    assert locality(failover=[{"from": "a", "to": "*"}]) == ["failover[0].to"]
    both = locality(
        failover=[{"from": "a", "to": "b"}], distribute=[{"from": "a", "to": {"a": 100}}]
    )
    assert both == ["localityLbSetting"]
    by_place = ["topology.kubernetes.io/region"]
    assert locality(failover=[{"from": "a", "to": "b"}], failoverPriority=by_place) == [
        "failoverPriority[0]"
    ]
    assert locality(failoverPriority=by_place) == []


@pytest.mark.parametrize("setting", ["localityLbSetting", "zoneAwareLbSetting"])
def test_without_outlier_detection_nothing_fails_over(setting: str) -> None:
    lb = {"loadBalancer": {setting: {"failover": [{"from": "a", "to": "b"}]}}}
    assert policy_warnings(**lb) == ["loadBalancer"]
    assert policy_warnings(**lb, outlierDetection={"interval": "1s"}) == []


def test_settings_of_a_port_that_there_is_not_are_warned_of() -> None:
    for port in ({}, {"number": 0}, {"number": 65536}):
        settings = [{"port": port, "tls": {"mode": "DISABLE"}}]
        assert policy_warnings(portLevelSettings=settings) == ["portLevelSettings[0].port.number"]


def test_deprecated_fields_are_warned_of() -> None:
    assert policy_warnings(outlierDetection={"consecutiveErrors": 5}) == [
        "outlierDetection.consecutiveErrors"
    ]
    hash_ring = {"useSourceIp": True, "minimumRingSize": 5}
    assert policy_warnings(loadBalancer={"consistentHash": hash_ring}) == [
        "loadBalancer.consistentHash.minimumRingSize"
    ]


@pytest.mark.parametrize(
    ("tls", "wrong"),
    [
        ({"mode": "SIMPLE", "caCertificates": "/ca.pem"}, []),
        ({"mode": "MUTUAL"}, ["clientCertificate", "privateKey"]),
        ({"mode": "MUTUAL", "credentialName": "a"}, []),
        ({"mode": "SIMPLE", "credentialName": "a", "caCertificates": "b"}, ["caCertificates"]),
        (
            {"mode": "SIMPLE", "insecureSkipVerify": True, "subjectAltNames": ["a"]},
            ["subjectAltNames"],
        ),
        ({"mode": "DISABLE", "insecureSkipVerify": True, "subjectAltNames": ["a"]}, []),
        ({"mode": "SIMPLE", "credentialName": "configmap://default/ca"}, []),
        ({"mode": "SIMPLE", "credentialName": "configmap://other/ca"}, ["credentialName"]),
        ({"mode": "SIMPLE", "credentialName": "configmap://ca"}, ["credentialName"]),
    ],
)
def test_certificates_come_from_one_place(tls: dict[str, Any], wrong: list[str]) -> None:
    assert sorted(policy(tls=tls)) == [f"tls.{each}" for each in wrong]


def test_certificates_beside_those_of_the_mesh_are_ignored_with_a_warning() -> None:
    assert policy_warnings(tls={"mode": "ISTIO_MUTUAL", "caCertificates": "/ca"}) == ["tls"]
