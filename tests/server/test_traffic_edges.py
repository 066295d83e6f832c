"""Which edge a series belongs to, and which of both sides' counts is taken."""

from __future__ import annotations

from collections import Counter

import pytest

from clew.api.traffic_report import Counted
from clew.model.metrics import Own, Peer
from clew.server.traffic_counts import CLOSED, MUTUAL_TLS, PLAIN, REQUESTS, SENT, codes
from clew.server.traffic_edges import Series, series_of

REVIEWS = Own(
    Peer("reviews-v1", "default", "reviews", "v1", "Kubernetes", "reviews", "v1"),
    "spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
)
PRODUCTPAGE = "productpage-v1;default;productpage;v1;Kubernetes"
RATINGS = "ratings-v1;default;ratings;v1;Kubernetes"
PRINCIPAL = "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"
RATINGS_PRINCIPAL = "spiffe://cluster.local/ns/default/sa/bookinfo-ratings"
SERVED = f"destination~{PRODUCTPAGE}~reviews.default.svc.cluster.local;reviews;default"
CALLED = f"source~{RATINGS}~outbound|9080||ratings.default.svc.cluster.local;"


def series(tag: str, *, tcp: bool = False) -> Series:
    found = series_of(REVIEWS, tag, tcp=tcp)
    assert found is not None
    return found


def test_a_call_that_came_is_an_edge_from_the_caller_to_this_workload() -> None:
    found = series(f"{SERVED}~200~-~~{PRINCIPAL}")
    assert found.edge.source == "productpage-v1"
    assert found.edge.service == "reviews.default.svc.cluster.local"
    assert found.edge.service_namespace == "default"
    assert (found.edge.destination, found.edge.destination_version) == ("reviews-v1", "v1")
    assert (found.edge.protocol, found.edge.reporter) == ("http", "destination")
    assert found.also is None
    assert found.counts(Counted(tag="", requests={200: 3}))[MUTUAL_TLS] == 3


def test_a_call_without_a_certificate_is_plain_and_of_nobody_known() -> None:
    found = series("destination~-~reviews.default.svc.cluster.local;reviews;default~200~-~~-")
    assert (found.edge.source, found.edge.source_namespace) == ("", "")
    assert found.counts(Counted(tag="", requests={200: 2}))[PLAIN] == 2


def test_a_call_that_went_to_another_sidecar_is_counted_there_if_it_counts() -> None:
    found = series(f"{CALLED}~200~-~~{RATINGS_PRINCIPAL}")
    assert found.also == ("default", "ratings-v1")
    ratings = Own(Peer.decode(RATINGS), RATINGS_PRINCIPAL)
    came = f"{REVIEWS.peer.encode()}~ratings.default.svc.cluster.local;ratings;default"
    there = series_of(ratings, f"destination~{came}~200~-~~{REVIEWS.principal}", tcp=False)
    assert there is not None
    assert found.there == there.edge


@pytest.mark.parametrize("flags", ["UF", "UF,URX", "UC", "UO", "FI"])
def test_a_call_that_never_arrived_is_counted_where_it_began(flags: str) -> None:
    found = series(f"{CALLED}~503~{flags}~~")
    assert found.also is None
    assert found.edge.destination == "ratings-v1"


def test_a_call_for_which_there_is_no_endpoint_has_no_destination_and_no_security() -> None:
    found = series("source~-~outbound|9080||ratings.default.svc.cluster.local;~503~UH~~")
    assert (found.edge.service, found.edge.destination) == ("ratings.default.svc.cluster.local", "")
    counts = found.counts(Counted(tag="", requests={503: 1}))
    assert MUTUAL_TLS not in counts
    assert PLAIN not in counts


def test_what_leaves_the_mesh_is_counted_where_it_began() -> None:
    found = series("source~-~outbound|443||api.example.com;shop~200~-~~-")
    assert found.also is None
    assert (found.edge.service, found.edge.service_namespace) == ("api.example.com", "shop")
    assert series("source~-~PassthroughCluster;-~200~-~~-").edge.service == "PassthroughCluster"


def test_connections_over_mutual_tls_are_counted_where_they_begin() -> None:
    principal = f"-~-~-~{RATINGS_PRINCIPAL}"
    assert series_of(REVIEWS, f"{SERVED}~{principal}", tcp=True) is None
    found = series(f"{CALLED}~{principal}", tcp=True)
    assert found.also is None
    assert found.edge.protocol == "tcp"
    counts = found.counts(Counted(tag="", closed=2, sent=10))
    assert counts == {CLOSED: 2, SENT: 10, MUTUAL_TLS: 2}


def test_connections_of_clients_without_a_proxy_are_counted_where_they_end() -> None:
    assert series(f"{SERVED}~-~-~-~-", tcp=True).edge.reporter == "destination"


@pytest.mark.parametrize(("status", "code"), [("0", 200), ("14", 503), ("7", 403), ("99", 200)])
def test_failures_of_grpc_count_as_the_codes_that_they_map_to(status: str, code: int) -> None:
    found = series(f"{SERVED}~200~-~{status}~{PRINCIPAL}")
    assert found.edge.protocol == "grpc"
    counts = found.counts(Counted(tag="", requests={200: 1, 503: 2}))
    assert Counter(codes(counts)) == Counter({code: 1}) + Counter({503: 2})
    assert counts[REQUESTS] == 3


@pytest.mark.parametrize("tag", ["", "source~x", "both~a~b~c~d~e~f", "~~~~~~"])
def test_nonsense_is_no_series(tag: str) -> None:
    assert series_of(REVIEWS, tag, tcp=False) is None
