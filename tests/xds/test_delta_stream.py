from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE
from clew.xds.answers import Acked, Nacked
from tests.xds.conversation import DeltaConversation, resources

# Subscribing


def test_no_clusters_is_still_an_answer() -> None:
    c = DeltaConversation()
    c.subscribes(CLUSTER)
    assert c.heard() == [(CLUSTER, {})]


def test_naming_nothing_means_all_clusters_but_no_endpoints() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="1", b="1"), ENDPOINTS: resources(a="1")})
    c.subscribes(CLUSTER)
    c.subscribes(ENDPOINTS)
    assert c.heard() == [(CLUSTER, {"a": "1", "b": "1"}), (ENDPOINTS, {})]


def test_an_explicit_wildcard_and_a_name_get_each_resource_once() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="1", b="1")})
    c.subscribes(CLUSTER, "*", "a")
    assert c.heard() == [(CLUSTER, {"a": "1", "b": "1"})]


def test_a_named_resource_that_does_not_exist_is_reported_as_removed_and_sent_once_it_does() -> (
    None
):
    c = DeltaConversation()
    c.subscribes(ROUTE, "80")
    assert c.heard_and_acked() == [(ROUTE, {"80": None})]
    c.publish({ROUTE: resources(**{"80": "1"})})
    assert c.heard_and_acked() == [(ROUTE, {"80": "1"})]


def test_an_unknown_cluster_and_unknown_endpoints_are_reported_too() -> None:
    c = DeltaConversation()
    c.subscribes(CLUSTER, "a")
    c.subscribes(ENDPOINTS, "a")
    assert c.heard_and_acked() == [
        (CLUSTER, {}),
        (ENDPOINTS, {}),
        (ENDPOINTS, {"a": None}),
        (CLUSTER, {"a": None}),
    ]


def test_subscribing_again_gets_the_resource_again() -> None:
    c = DeltaConversation()
    c.publish({ROUTE: resources(**{"80": "1"})})
    c.subscribes(ROUTE, "80")
    c.heard_and_acked()
    c.subscribes(ROUTE, "80")
    assert c.heard_and_acked() == [(ROUTE, {"80": "1"})]


def test_subscribing_again_in_an_ack_gets_a_fresh_answer() -> None:
    c = DeltaConversation()
    c.publish({ROUTE: resources(**{"80": "1"})})
    c.subscribes(ROUTE, "80")
    c.heard()
    c.unsubscribes(ROUTE, "80")  # Envoy drops the route, and ignores it in what is on its way.
    c.acks(ROUTE, "80")
    assert c.heard() == [(ROUTE, {"80": "1"})]


def test_unsubscribing_ends_updates() -> None:
    c = DeltaConversation()
    c.publish({ROUTE: resources(a="1", b="1")})
    c.subscribes(ROUTE, "a", "b")
    c.heard_and_acked()
    c.unsubscribes(ROUTE, "a")
    c.publish({ROUTE: resources(a="2", b="2")})
    assert c.heard_and_acked() == [(ROUTE, {"b": "2"})]


def test_unsubscribing_from_the_wildcard_keeps_the_names() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="1", b="1")})
    c.subscribes(CLUSTER, "*", "a")
    c.heard_and_acked()
    c.unsubscribes(CLUSTER, "*")
    c.publish({CLUSTER: resources(a="2", b="2")})
    assert c.heard_and_acked() == [(CLUSTER, {"a": "2"})]


def test_a_subscription_counts_even_with_a_stale_nonce() -> None:
    c = DeltaConversation()
    c.publish({ROUTE: resources(a="1", b="1")})
    c.subscribes(ROUTE, "a")
    c.heard_and_acked()
    stale = DeltaDiscoveryRequest(
        type_url=ROUTE, response_nonce="stale", resource_names_subscribe=["b"]
    )
    assert c.stream.receive(stale) is None
    assert c.heard_and_acked() == [(ROUTE, {"b": "1"})]


# Flow


def test_a_change_says_only_what_changed() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="1", b="1")})
    c.subscribes(CLUSTER)
    c.heard_and_acked()
    c.publish({CLUSTER: resources(a="2", b="1", c="1")})
    assert c.heard_and_acked() == [(CLUSTER, {"a": "2", "c": "1"})]


def test_a_proxy_that_is_slow_to_ack_skips_to_the_newest_version() -> None:
    c = DeltaConversation()
    for version in "123456":
        c.publish({CLUSTER: resources(reviews=version)})
        c.subscribes(CLUSTER) if version == "1" else None
        assert len(c.heard()) == (1 if version in "12" else 0)
    assert c.acks(CLUSTER) == Acked(CLUSTER, {"reviews": "1"})
    assert c.heard() == [(CLUSTER, {"reviews": "6"})]


def test_a_change_that_is_undone_before_it_was_sent_is_not_sent() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="1")})
    c.subscribes(CLUSTER)
    c.heard_and_acked()
    c.publish({CLUSTER: resources(a="2")})
    c.publish({CLUSTER: resources(a="1")})
    assert c.heard() == []


def test_the_owner_may_say_what_changed() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="1", b="1")})
    c.subscribes(CLUSTER)
    c.heard_and_acked()
    c.stream.publish({CLUSTER: resources(a="1", b="2")}, {CLUSTER: {"a", "b"}})
    assert c.heard_and_acked() == [(CLUSTER, {"b": "2"})]
    assert c.stream.lagging() == {}


def test_a_proxy_in_sync_costs_no_memory_per_resource() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(**{f"c{i}": "1" for i in range(100)})})
    c.subscribes(CLUSTER)
    c.heard()
    assert len(c.stream.lagging()[CLUSTER]) == 100
    c.acks(CLUSTER)
    assert c.stream.lagging() == {}


# Refusals


def test_a_rejected_push_is_not_repeated_until_it_changes() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(reviews="1")})
    c.subscribes(CLUSTER)
    c.heard()
    assert c.nacks(CLUSTER, "bad policy") == Nacked(CLUSTER, {"reviews": "1"}, "bad policy")
    assert c.heard() == []
    assert c.stream.rejected() == {CLUSTER: {"reviews": "1"}}
    c.publish({CLUSTER: resources(reviews="2")})
    assert c.heard_and_acked() == [(CLUSTER, {"reviews": "2"})]
    assert c.stream.rejected() == {}


def test_a_version_that_was_rejected_once_is_sent_again_after_another_was_accepted() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(reviews="bad")})
    c.subscribes(CLUSTER)
    c.heard(), c.nacks(CLUSTER, "no")
    c.publish({CLUSTER: resources(reviews="good")})
    c.heard_and_acked()
    c.publish({CLUSTER: resources(reviews="bad")})
    assert c.heard() == [(CLUSTER, {"reviews": "bad"})]


def test_going_back_to_the_old_version_after_a_rejection_is_sent() -> None:
    """Envoy may have applied a part of what it refused."""
    c = DeltaConversation()
    c.publish({ROUTE: resources(a="1")})
    c.subscribes(ROUTE, "a")
    c.heard_and_acked()
    c.publish({ROUTE: resources(a="bad")})
    c.heard(), c.nacks(ROUTE, "no")
    c.publish({ROUTE: resources(a="1")})
    assert c.heard_and_acked() == [(ROUTE, {"a": "1"})]


def test_only_the_resource_that_envoy_names_is_rejected() -> None:
    c = DeltaConversation()
    c.publish({LISTENER: resources(bad="1", good="1")})
    c.subscribes(LISTENER)
    c.heard()
    why = "Error adding/updating listener(s) bad: address is necessary"
    assert c.nacks(LISTENER, f"{why}\n") == Nacked(LISTENER, {"bad": "1"}, why)
    assert c.heard() == []
    assert c.stream.lagging() == {LISTENER: {"bad"}}


def test_a_response_refused_as_a_whole_is_tried_again_in_parts() -> None:
    c = DeltaConversation()
    c.publish({ROUTE: resources(a="1", b="1", c="bad", d="1")})
    c.subscribes(ROUTE, *"abcd")
    c.heard(), c.nacks(ROUTE, "duplicate domain")
    refused = set()
    while heard := c.heard():
        for type_url, versions in heard:
            if "bad" in versions.values():
                answer = c.nacks(type_url, "duplicate domain")
                assert isinstance(answer, Nacked)
                refused = set(answer.versions)
            else:
                c.acks(type_url)
    assert refused == {"c"}
    assert c.stream.rejected() == {ROUTE: {"c": "bad"}}
    assert c.stream.lagging() == {ROUTE: {"c"}}


# Reconnecting


def test_a_reconnecting_proxy_hears_only_what_it_missed() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(reviews="2", ratings="1", new="1")})
    c.reconnects(CLUSTER, holding={"reviews": "1", "ratings": "1", "gone": "1"})
    assert c.heard_and_acked() == [
        (CLUSTER, {"reviews": "2", "new": "1"}),
        (CLUSTER, {"gone": None}),
    ]


def test_a_reconnecting_proxy_that_missed_nothing_hears_an_empty_answer_per_type() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="1"), ENDPOINTS: resources(a="1"), ROUTE: resources(r="1")})
    c.reconnects(ENDPOINTS, "a", holding={"a": "1"})  # Envoy may ask for these first.
    c.reconnects(CLUSTER, "*", "a", holding={"a": "1"})
    c.reconnects(ROUTE, "r", holding={"r": "1"})
    assert c.heard_and_acked() == [(CLUSTER, {}), (ENDPOINTS, {}), (ROUTE, {})]


def test_endpoints_that_a_reconnecting_proxy_asks_for_before_clusters_are_sent() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="1"), ENDPOINTS: resources(a="2")})
    c.reconnects(ENDPOINTS, "a", "b", holding={"a": "1", "b": "1"})
    assert c.heard_and_acked() == [(ENDPOINTS, {"a": "2"}), (ENDPOINTS, {"b": None})]


# Make before break


def test_clusters_go_out_before_the_listeners_and_routes() -> None:
    c = DeltaConversation()
    c.publish({t: resources(x="1") for t in (ROUTE, LISTENER, ENDPOINTS, CLUSTER)})
    c.subscribes(ROUTE, "x")
    c.subscribes(LISTENER)
    c.subscribes(ENDPOINTS, "x")
    c.subscribes(CLUSTER)
    assert [t for t, _ in c.heard()] == [CLUSTER, ENDPOINTS, LISTENER, ROUTE]


def proxy_with_route_to_old_cluster() -> DeltaConversation:
    c = DeltaConversation()
    c.publish(
        {
            CLUSTER: resources(old="1"),
            ENDPOINTS: resources(old="1"),
            ROUTE: {**resources(["old"], r="1"), **resources(other="1")},
        }
    )
    c.subscribes(CLUSTER)
    c.subscribes(ENDPOINTS, "old")
    c.subscribes(ROUTE, "r", "other")
    c.heard_and_acked()
    return c


def test_a_route_waits_for_its_new_cluster_and_the_old_cluster_for_the_route() -> None:
    c = proxy_with_route_to_old_cluster()
    c.publish(
        {
            CLUSTER: resources(new="1"),
            ENDPOINTS: resources(new="1"),
            ROUTE: {**resources(["new"], r="2"), **resources(other="2")},
        }
    )
    assert c.heard() == [(CLUSTER, {"new": "1"}), (ROUTE, {"other": "2"})]
    c.subscribes(ENDPOINTS, "new")  # Envoy asks for endpoints while the cluster is warming.
    assert c.heard() == [(ENDPOINTS, {"new": "1"})]
    c.acks(CLUSTER)
    assert c.heard() == []
    c.acks(ENDPOINTS)
    assert c.heard() == [(ROUTE, {"r": "2"})]
    c.acks(ROUTE)  # other
    assert c.heard() == []
    c.acks(ROUTE)  # r
    assert c.heard() == [(ENDPOINTS, {"old": None}), (CLUSTER, {"old": None})]


def test_a_route_does_not_wait_for_a_cluster_that_was_rejected() -> None:
    c = proxy_with_route_to_old_cluster()
    c.publish({CLUSTER: resources(new="bad"), ROUTE: resources(["new"], r="2", other="1")})
    assert c.heard() == [(CLUSTER, {"new": "bad"})]
    c.nacks(CLUSTER, "no")
    assert c.heard() == [(ROUTE, {"r": "2"})]


def test_a_route_does_not_wait_for_clusters_that_nobody_publishes_or_asks_for() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: resources(new="1"), ROUTE: resources(["new", "nowhere"], r="1")})
    c.subscribes(ROUTE, "r")
    assert c.heard() == [(ROUTE, {"r": "1"})]


def test_a_route_does_not_wait_for_the_update_of_a_cluster_that_the_proxy_has() -> None:
    c = proxy_with_route_to_old_cluster()
    c.publish({CLUSTER: resources(old="2"), ROUTE: resources(["old"], r="2", other="1")})
    assert [t for t, _ in c.heard()] == [CLUSTER, ROUTE]


def test_a_cluster_stays_while_the_route_that_replaces_its_user_is_rejected() -> None:
    c = proxy_with_route_to_old_cluster()
    c.publish({ROUTE: resources(r="bad", other="1")})
    assert c.heard() == [(ROUTE, {"r": "bad"})]
    c.nacks(ROUTE, "no")
    assert c.heard() == []
    c.publish({ROUTE: resources(r="good", other="1")})
    assert c.heard_and_acked() == [
        (ROUTE, {"r": "good"}),
        (ENDPOINTS, {"old": None}),
        (CLUSTER, {"old": None}),
    ]


def test_after_a_reconnect_clusters_stay_until_unknown_routes_are_replaced() -> None:
    c = DeltaConversation()
    c.publish({ROUTE: resources(r="2")})
    c.reconnects(CLUSTER, holding={"old": "1"})
    c.reconnects(ROUTE, "r", holding={"r": "1"})
    assert c.heard() == [(CLUSTER, {}), (ROUTE, {"r": "2"})]
    c.acks(CLUSTER)
    assert c.heard() == []
    c.acks(ROUTE)
    assert c.heard() == [(CLUSTER, {"old": None})]


def test_a_route_waits_for_its_new_cluster_where_a_reconnecting_proxy_asks_for_clusters_last() -> (
    None
):
    c = DeltaConversation()
    published = {
        CLUSTER: resources(warming="1", new="1"),
        ENDPOINTS: resources(warming="1", new="1"),
    }
    c.publish({**published, ROUTE: {**resources(["new"], r="2"), **resources(other="2")}})
    # Envoy does not ask for clusters as long as one of them waits for its endpoints.
    c.reconnects(ENDPOINTS, "warming", holding={})
    c.reconnects(ROUTE, "r", "other", holding={"r": "1", "other": "1"})
    assert c.heard() == [(ENDPOINTS, {"warming": "1"}), (ROUTE, {"other": "2"})]
    c.acks(ENDPOINTS)
    c.reconnects(CLUSTER, holding={"warming": "1"})
    assert c.heard() == [(CLUSTER, {"new": "1"})]
    c.subscribes(ENDPOINTS, "new")
    c.acks(CLUSTER)
    assert c.heard() == [(ENDPOINTS, {"new": "1"})]
    c.acks(ENDPOINTS)
    assert c.heard() == [(ROUTE, {"r": "2"})]


def test_a_listener_is_removed_together_with_the_arrival_of_its_successor() -> None:
    c = DeltaConversation()
    c.publish({CLUSTER: {}, LISTENER: resources(old="1")})
    c.subscribes(CLUSTER)
    c.subscribes(LISTENER)
    c.heard_and_acked()
    c.publish({CLUSTER: resources(a="1"), LISTENER: resources(["a"], new="1")})
    assert c.heard() == [(CLUSTER, {"a": "1"})]
    c.acks(CLUSTER)
    assert c.heard() == [(LISTENER, {"new": "1", "old": None})]


# Endpoints again


def test_endpoints_are_sent_again_after_their_cluster_was_updated() -> None:
    c = proxy_with_route_to_old_cluster()
    c.publish(
        {
            CLUSTER: resources(old="2"),
            ENDPOINTS: resources(old="1"),
            ROUTE: resources(["old"], r="1", other="1"),
        }
    )
    assert c.heard_and_acked() == [(CLUSTER, {"old": "2"}), (ENDPOINTS, {"old": "1"})]
    assert c.heard() == []


def test_endpoints_on_their_way_are_sent_again_after_their_cluster_too() -> None:
    c = proxy_with_route_to_old_cluster()
    routes = resources(["old"], r="1", other="1")
    c.publish({CLUSTER: resources(old="1"), ENDPOINTS: resources(old="2"), ROUTE: routes})
    assert c.heard() == [(ENDPOINTS, {"old": "2"})]
    c.publish({CLUSTER: resources(old="2"), ENDPOINTS: resources(old="2"), ROUTE: routes})
    assert c.heard() == [(CLUSTER, {"old": "2"}), (ENDPOINTS, {"old": "2"})]


def test_endpoints_are_sent_again_to_a_proxy_that_reconnects_if_their_cluster_was() -> None:
    """It says which endpoints it has before it knows that the cluster has changed."""
    c = DeltaConversation()
    c.publish({CLUSTER: resources(a="2", b="1"), ENDPOINTS: resources(a="1", b="1")})
    c.reconnects(CLUSTER, holding={"a": "1", "b": "1"})
    assert c.heard() == [(CLUSTER, {"a": "2"})]
    c.reconnects(ENDPOINTS, "a", "b", holding={"a": "1", "b": "1"})
    assert c.heard_and_acked() == [(ENDPOINTS, {"a": "1"})]
