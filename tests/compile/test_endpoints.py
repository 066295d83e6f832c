from __future__ import annotations

from dataclasses import replace

import pytest

from clew._pb.envoy.config.core.v3.health_check_pb2 import HealthStatus
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew.model.destination_rule import DestinationRule
from clew.model.service import Endpoint, Health, Locality
from tests.compile.scopes import assignment, endpoint, outbound, resources, service, with_endpoints

REVIEWS = service("reviews")
NAME = "outbound|8080||reviews.default.svc.cluster.local"
HERE, NEAR, FAR = Locality("eu", "a", "1"), Locality("eu", "b", "1"), Locality("us", "a", "1")


def load_assignment(
    *endpoints: Endpoint, policy: str = "", labels: tuple[tuple[str, str], ...] = ()
) -> ClusterLoadAssignment:
    scope = with_endpoints(outbound(REVIEWS, locality=HERE, labels=labels), REVIEWS, *endpoints)
    if policy:
        [rule] = resources(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
            "metadata: {name: rule, namespace: default}\n"
            f"spec: {{host: {REVIEWS.hostname}, trafficPolicy: {{{policy}}}}}"
        )
        assert isinstance(rule, DestinationRule)
        scope = replace(scope, destination_rules={REVIEWS.hostname: rule})
    return assignment(scope, NAME)


def priorities(found: ClusterLoadAssignment) -> dict[str, int]:
    return {
        e.endpoint.address.socket_address.address: locality.priority
        for locality in found.endpoints
        for e in locality.lb_endpoints
    }


def test_endpoints_are_grouped_by_locality_and_weighed() -> None:
    found = load_assignment(
        endpoint("10.0.0.1", locality=HERE, weight=3),
        endpoint("10.0.0.2", locality=FAR),
        endpoint("10.0.0.3", locality=HERE),
    )
    weights = {e.locality.region: e.load_balancing_weight.value for e in found.endpoints}
    assert weights == {"eu": 4, "us": 1}


def test_the_unhealthy_are_named_as_such_and_the_leaving_are_not_named() -> None:
    found = load_assignment(
        endpoint("10.0.0.1", health=Health.UNHEALTHY),
        endpoint("10.0.0.2", health=Health.DRAINING),
    )
    [only] = found.endpoints[0].lb_endpoints
    assert only.health_status == HealthStatus.UNHEALTHY


def test_an_endpoint_says_who_it_is() -> None:
    found = load_assignment(endpoint(labels={"app": "reviews", "version": "v1"}))
    metadata = found.endpoints[0].lb_endpoints[0].metadata.filter_metadata
    assert metadata["istio"]["workload"] == "app;default;reviews;v1;Kubernetes"
    assert "envoy.transport_socket_match" not in metadata


def test_those_in_plaintext_are_marked_where_others_take_mtls() -> None:
    plain = endpoint("10.0.0.2", mutual_tls=False)
    assert _marks(load_assignment(endpoint("10.0.0.1"), plain)) == ["", "disabled"]
    assert _marks(load_assignment(plain)) == [""]


def _marks(found: ClusterLoadAssignment) -> list[str]:
    metadata = [each.metadata.filter_metadata for each in found.endpoints[0].lb_endpoints]
    name = "envoy.transport_socket_match"
    return [str(each[name]["tlsMode"]) if name in each else "" for each in metadata]


def test_endpoints_of_other_ports_and_host_names_are_left_out() -> None:
    found = load_assignment(
        endpoint("10.0.0.1"), endpoint("10.0.0.2", port_name="admin"), endpoint("db.example.com")
    )
    assert priorities(found) == {"10.0.0.1": 0}


@pytest.mark.parametrize("address", ["0.0.0.0", "255.249.199.9", "fd00::2", "unix:///app.sock"])
def test_an_address_is_taken(address: str) -> None:
    assert len(load_assignment(endpoint(address)).endpoints) == 1


@pytest.mark.parametrize(
    "address", ["10.0.0", "10.0.0.0.1", "10.0.0.256", "10.0.0.01", "10.0.0.1.", "10.0.0.1\n", "db"]
)
def test_what_only_looks_like_an_address_is_left_out(address: str) -> None:
    assert not load_assignment(endpoint(address)).endpoints


def test_without_outlier_detection_distance_does_not_matter() -> None:
    found = load_assignment(endpoint("10.0.0.1", locality=HERE), endpoint("10.0.0.2", locality=FAR))
    assert set(priorities(found).values()) == {0}


def test_with_outlier_detection_the_nearest_go_first_without_gaps() -> None:
    found = load_assignment(
        endpoint("10.0.0.1", locality=HERE),
        endpoint("10.0.0.2", locality=NEAR),
        endpoint("10.0.0.3", locality=FAR),
        policy="outlierDetection: {consecutive5xxErrors: 5}",
    )
    assert priorities(found) == {"10.0.0.1": 0, "10.0.0.2": 1, "10.0.0.3": 2}


def test_a_region_to_fail_over_to_goes_before_the_others() -> None:
    asia = Locality("asia", "a", "1")
    found = load_assignment(
        endpoint("10.0.0.1", locality=asia),
        endpoint("10.0.0.2", locality=FAR),
        policy="""outlierDetection: {consecutive5xxErrors: 5},
            loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}]}}""",
    )
    assert priorities(found) == {"10.0.0.1": 1, "10.0.0.2": 0}


def test_labels_that_agree_with_the_clients_decide_if_asked_to() -> None:
    found = load_assignment(
        endpoint("10.0.0.1", labels={"tier": "gold"}),
        endpoint("10.0.0.2", labels={"tier": "iron"}),
        policy="""outlierDetection: {consecutive5xxErrors: 5},
            loadBalancer: {localityLbSetting: {failoverPriority: [tier]}}""",
        labels=(("tier", "iron"),),
    )
    assert priorities(found) == {"10.0.0.1": 1, "10.0.0.2": 0}


def test_declared_shares_are_weights_and_localities_not_named_get_nothing() -> None:
    found = load_assignment(
        endpoint("10.0.0.1", locality=HERE),
        endpoint("10.0.0.2", locality=FAR),
        endpoint("10.0.0.3", locality=Locality("asia")),
        policy="""loadBalancer: {localityLbSetting: {distribute: [
            {from: eu/*, to: {"eu/a/*": 80, "us": 20}}]}}""",
    )
    weights = {e.locality.region: e.load_balancing_weight.value for e in found.endpoints}
    assert weights == {"eu": 80, "us": 20}
