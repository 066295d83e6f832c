from __future__ import annotations

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from tests.compile.meshes import cluster_of, options_of, policy


def detecting(text: str) -> Cluster:
    return cluster_of(policy(f"outlierDetection: {{{text}}}"))


@pytest.mark.proves(
    "TrafficPolicy.outlierDetection",
    "OutlierDetection.consecutive5xxErrors",
    "OutlierDetection.consecutiveGatewayErrors",
    "OutlierDetection.interval",
    "OutlierDetection.baseEjectionTime",
    "OutlierDetection.maxEjectionPercent",
)
def test_what_is_declared_is_enforced_and_success_rates_are_not() -> None:
    found = detecting(
        """consecutive5xxErrors: 3, consecutiveGatewayErrors: 4, interval: 5s,
        baseEjectionTime: 6s, maxEjectionPercent: 70"""
    ).outlier_detection
    assert (found.consecutive_5xx.value, found.enforcing_consecutive_5xx.value) == (3, 100)
    assert found.consecutive_gateway_failure.value == 4
    assert found.enforcing_consecutive_gateway_failure.value == 100
    assert (found.interval.seconds, found.base_ejection_time.seconds) == (5, 6)
    assert found.max_ejection_percent.value == 70
    assert found.HasField("enforcing_success_rate")
    assert found.enforcing_success_rate.value == 0


@pytest.mark.proves(
    "OutlierDetection.consecutive5xxErrors", "OutlierDetection.consecutiveGatewayErrors"
)
def test_zero_errors_switch_a_detection_off() -> None:
    found = detecting("consecutive5xxErrors: 0, consecutiveGatewayErrors: 0").outlier_detection
    assert found.HasField("enforcing_consecutive_5xx")
    assert found.enforcing_consecutive_5xx.value == 0
    assert found.enforcing_consecutive_gateway_failure.value == 0


@pytest.mark.proves(
    "OutlierDetection.splitExternalLocalOriginErrors",
    "OutlierDetection.consecutiveLocalOriginFailures",
)
def test_failures_to_connect_count_apart_if_asked_to() -> None:
    found = detecting(
        "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2"
    ).outlier_detection
    assert found.split_external_local_origin_errors
    assert found.consecutive_local_origin_failure.value == 2
    assert found.enforcing_consecutive_local_origin_failure.value == 100
    assert found.HasField("enforcing_local_origin_success_rate")
    assert found.enforcing_local_origin_success_rate.value == 0


@pytest.mark.proves("OutlierDetection.minHealthPercent")
def test_endpoints_are_ejected_only_while_enough_are_healthy() -> None:
    found = detecting("minHealthPercent: 40").common_lb_config
    assert found.healthy_panic_threshold.value == 40
    unsaid = detecting("interval: 1s").common_lb_config
    assert unsaid.HasField("healthy_panic_threshold")
    assert unsaid.healthy_panic_threshold.value == 0


@pytest.mark.proves("OutlierDetection.outlierDetectionHttpErrorCodes")
def test_some_statuses_may_be_the_errors_that_count() -> None:
    found = options_of(detecting("outlierDetectionHttpErrorCodes: [429, 503]"))
    rules = found.outlier_detection.error_matcher.or_match.rules
    codes = [r.http_response_headers_match.headers[0].string_match.exact for r in rules]
    assert codes == ["429", "503"]


@pytest.mark.proves("OutlierDetection.consecutiveErrors")
def test_the_old_name_of_consecutive_errors_is_read_no_longer() -> None:
    assert not detecting("consecutiveErrors: 3").outlier_detection.HasField("consecutive_5xx")
