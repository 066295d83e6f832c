from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE
from clew.xds.answers import Acked, Nacked
from clew.xds.sotw_stream import content_version
from tests.xds.conversation import SotwConversation, resources


def test_a_client_gets_what_it_names_and_all_of_it_at_each_change() -> None:
    c = SotwConversation()
    c.publish({ENDPOINTS: resources(a="1", b="1", c="1")})
    c.subscribes(ENDPOINTS, "a", "b")
    assert c.heard() == [(ENDPOINTS, {"a": "1", "b": "1"})]
    assert c.acks(ENDPOINTS) == Acked(ENDPOINTS, {"a": "1", "b": "1"})
    assert c.heard() == []
    c.publish({ENDPOINTS: resources(a="1", b="2", c="2")})
    assert c.heard() == [(ENDPOINTS, {"a": "1", "b": "2"})]


def test_naming_nothing_means_all_clusters_until_names_are_given() -> None:
    c = SotwConversation()
    c.publish({CLUSTER: resources(a="1", b="1")})
    c.subscribes(CLUSTER)
    assert c.heard_and_acked() == [(CLUSTER, {"a": "1", "b": "1"})]
    c.subscribes(CLUSTER, "a")
    c.publish({CLUSTER: resources(a="2", b="2")})
    assert c.heard_and_acked() == [(CLUSTER, {"a": "2"})]


def test_a_listener_that_does_not_exist_is_answered_at_once() -> None:
    c = SotwConversation()
    c.subscribes(LISTENER, "nosuch:1")
    assert c.heard_and_acked() == [(LISTENER, {})]
    c.subscribes(LISTENER, "nosuch:1", "nosuch:2")
    assert c.heard_and_acked() == [(LISTENER, {})]


def test_asking_for_less_needs_no_answer_and_for_more_does() -> None:
    c = SotwConversation()
    c.publish({ROUTE: resources(a="1", b="1")})
    c.subscribes(ROUTE, "a", "b")
    c.heard_and_acked()
    c.subscribes(ROUTE, "a")
    assert c.heard() == []
    c.subscribes(ROUTE, "a", "b")
    assert c.heard() == [(ROUTE, {"a": "1", "b": "1"})]


def test_a_slow_client_skips_to_the_newest_version() -> None:
    c = SotwConversation()
    c.publish({CLUSTER: resources(a="1")})
    c.subscribes(CLUSTER)
    c.heard()
    c.publish({CLUSTER: resources(a="2")})
    c.publish({CLUSTER: resources(a="3")})
    assert c.heard() == []
    c.acks(CLUSTER)
    assert c.heard() == [(CLUSTER, {"a": "3"})]


def test_names_count_even_with_a_stale_nonce() -> None:
    c = SotwConversation()
    c.publish({ROUTE: resources(a="1", b="1")})
    c.subscribes(ROUTE, "a")
    c.heard_and_acked()
    stale = DiscoveryRequest(type_url=ROUTE, response_nonce="stale", resource_names=["a", "b"])
    assert c.stream.receive(stale) is None
    assert c.heard() == [(ROUTE, {"a": "1", "b": "1"})]


def test_a_rejected_response_is_not_repeated_until_something_changes() -> None:
    c = SotwConversation()
    c.publish({LISTENER: resources(bad="1", good="1")})
    c.subscribes(LISTENER)
    c.heard()
    why = "Error adding/updating listener(s) bad: no address"
    assert c.nacks(LISTENER, f"{why}\n") == Nacked(LISTENER, {"bad": "1"}, why)
    assert c.heard() == []
    c.publish({LISTENER: resources(bad="2", good="1")})
    assert c.heard_and_acked() == [(LISTENER, {"bad": "2", "good": "1"})]


def test_a_reconnecting_client_that_missed_nothing_hears_nothing() -> None:
    c = SotwConversation()
    published = resources(a="1", b="1")
    c.publish({CLUSTER: published})
    c.subscribes(CLUSTER, version=content_version(published))
    assert c.heard() == []
    c.publish({CLUSTER: resources(a="2", b="1")})
    assert c.heard() == [(CLUSTER, {"a": "2", "b": "1"})]


def client_with_route_to_old_cluster() -> SotwConversation:
    c = SotwConversation()
    c.publish({CLUSTER: resources(old="1"), ROUTE: resources(["old"], r="1")})
    c.subscribes(CLUSTER)
    c.subscribes(ROUTE, "r")
    c.heard_and_acked()
    c.heard_and_acked()
    return c


def test_a_route_waits_for_its_new_cluster_and_the_old_cluster_for_the_route() -> None:
    c = client_with_route_to_old_cluster()
    c.publish({CLUSTER: resources(new="1"), ROUTE: resources(["new"], r="2")})
    assert c.heard() == [(CLUSTER, {"new": "1", "old": "1"})]
    c.acks(CLUSTER)
    assert c.heard() == [(ROUTE, {"r": "2"})]
    c.acks(ROUTE)
    assert c.heard_and_acked() == [(CLUSTER, {"new": "1"})]


def test_a_route_does_not_wait_for_a_cluster_that_was_rejected() -> None:
    c = client_with_route_to_old_cluster()
    c.publish({CLUSTER: resources(new="bad"), ROUTE: resources(["new"], r="2")})
    c.heard()
    c.nacks(CLUSTER, "no")
    assert c.heard() == [(ROUTE, {"r": "2"})]


def test_a_grpc_client_hears_of_the_route_before_it_asks_for_its_clusters() -> None:
    c = SotwConversation()
    c.publish({CLUSTER: resources(a="1", b="1"), ROUTE: resources(["a"], r="1")})
    c.subscribes(ROUTE, "r")
    assert c.heard_and_acked() == [(ROUTE, {"r": "1"})]
    c.subscribes(CLUSTER, "a")
    assert c.heard_and_acked() == [(CLUSTER, {"a": "1"})]
    c.publish({CLUSTER: resources(b="1"), ROUTE: resources(["b"], r="2")})
    assert c.heard_and_acked() == [(ROUTE, {"r": "2"}), (CLUSTER, {})]


def test_endpoints_are_sent_again_after_their_cluster_was_updated() -> None:
    c = SotwConversation()
    c.publish({CLUSTER: resources(a="1"), ENDPOINTS: resources(a="1")})
    c.subscribes(CLUSTER)
    c.subscribes(ENDPOINTS, "a")
    c.heard_and_acked()
    c.publish({CLUSTER: resources(a="2"), ENDPOINTS: resources(a="1")})
    assert c.heard_and_acked() == [(CLUSTER, {"a": "2"}), (ENDPOINTS, {"a": "1"})]
