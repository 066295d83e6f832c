from __future__ import annotations

import pytest

from clew.model.metrics import LABELS, Own, Peer, istio_labels

LABELS_OF_REVIEWS = {"app": "reviews", "version": "v1"}
REVIEWS = Peer.of("reviews-v1", "shop", LABELS_OF_REVIEWS, "Kubernetes")
PAGE = Peer.of("productpage-v1", "default", {"app": "productpage", "version": "v1"}, "Kubernetes")
SPIFFE = "spiffe://cluster.local/ns/{}/sa/{}"
OWN = Own(PAGE, SPIFFE.format("default", "page"))
SERVER = Own(REVIEWS, SPIFFE.format("shop", "reviews"))


def test_a_workload_is_written_as_istio_writes_it_on_endpoints() -> None:
    assert REVIEWS.encode() == "reviews-v1;shop;reviews;v1;Kubernetes"


@pytest.mark.parametrize(
    "labels",
    [
        {"app": "reviews", "version": "v1"},
        {"app": "reviews"},
        {"service.istio.io/canonical-name": "ratings", "app": "reviews", "version": "v3"},
        {},
    ],
)
def test_a_workload_is_read_back_as_it_was(labels: dict[str, str]) -> None:
    peer = Peer.of("reviews-v1", "shop", labels, "Kubernetes")
    assert Peer.decode(peer.encode()) == peer


def test_a_client_counts_with_all_of_istios_labels() -> None:
    tag = "~".join(
        [
            "source",
            "reviews-v1;shop;reviews;v1;Kubernetes",
            "outbound|9080|v1|reviews.shop.svc.cluster.local;-",
            "200",
            "-",
            "-",
            SPIFFE.format("shop", "reviews"),
        ]
    )
    assert istio_labels(OWN, tag) == {
        "reporter": "source",
        "source_workload": "productpage-v1",
        "source_workload_namespace": "default",
        "source_principal": "spiffe://cluster.local/ns/default/sa/page",
        "source_app": "productpage",
        "source_version": "v1",
        "source_cluster": "Kubernetes",
        "source_canonical_service": "productpage",
        "source_canonical_revision": "v1",
        "destination_workload": "reviews-v1",
        "destination_workload_namespace": "shop",
        "destination_principal": "spiffe://cluster.local/ns/shop/sa/reviews",
        "destination_app": "reviews",
        "destination_version": "v1",
        "destination_cluster": "Kubernetes",
        "destination_canonical_service": "reviews",
        "destination_canonical_revision": "v1",
        "destination_service": "reviews.shop.svc.cluster.local",
        "destination_service_name": "reviews",
        "destination_service_namespace": "shop",
        "request_protocol": "http",
        "response_code": "200",
        "grpc_response_status": "",
        "response_flags": "-",
        "connection_security_policy": "unknown",
    }
    assert tuple(istio_labels(OWN, tag)) == LABELS


def test_a_server_knows_its_client_by_certificate_and_header() -> None:
    tag = "~".join(
        [
            "destination",
            PAGE.encode(),
            "reviews.shop.svc.cluster.local;reviews;shop",
            "200",
            "-",
            "7",
            SPIFFE.format("default", "page"),
        ]
    )
    labels = istio_labels(SERVER, tag)
    assert labels["connection_security_policy"] == "mutual_tls"
    assert labels["source_principal"] == "spiffe://cluster.local/ns/default/sa/page"
    assert labels["destination_principal"] == "spiffe://cluster.local/ns/shop/sa/reviews"
    assert labels["source_workload"] == "productpage-v1"
    assert labels["destination_service_name"] == "reviews"
    assert (labels["request_protocol"], labels["grpc_response_status"]) == ("grpc", "7")


def test_of_a_plaintext_client_nothing_is_known() -> None:
    labels = istio_labels(SERVER, "destination~-~reviews.shop.svc;reviews;shop~403~UAEX~-~-")
    assert labels["connection_security_policy"] == "none"
    assert labels["destination_principal"] == "unknown"
    source = {name: value for name, value in labels.items() if name.startswith("source_")}
    assert source.pop("source_canonical_revision") == "latest"
    assert set(source.values()) == {"unknown"}


def test_of_a_client_without_a_header_the_namespace_is_known_by_its_certificate() -> None:
    principal = SPIFFE.format("web", "x")
    labels = istio_labels(SERVER, f"destination~-~a.b;a;b~-~-~-~{principal}", tcp=True)
    assert labels["source_workload"] == "unknown"
    assert labels["source_workload_namespace"] == "web"


@pytest.mark.parametrize(
    ("cluster", "host", "name", "namespace"),
    [
        ("outbound|80||api.example.com;shop", "api.example.com", "api.example.com", "shop"),
        ("outbound|80||api.example.com;-", "api.example.com", "api.example.com", "unknown"),
        ("PassthroughCluster;-", "unknown", "PassthroughCluster", "unknown"),
        ("BlackHoleCluster;-", "unknown", "BlackHoleCluster", "unknown"),
        ("-;-", "unknown", "unknown", "unknown"),
    ],
)
def test_destinations_outside_the_cluster_are_named(
    cluster: str, host: str, name: str, namespace: str
) -> None:
    labels = istio_labels(OWN, f"source~-~{cluster}~503~UH~-~-")
    assert labels["destination_service"] == host
    assert labels["destination_service_name"] == name
    assert labels["destination_service_namespace"] == namespace
    assert labels["source_principal"] == "unknown"


def test_connections_have_no_response_code() -> None:
    labels = istio_labels(OWN, "source~-~outbound|27017||db.shop.svc.x;-~-~UF~-~-", tcp=True)
    assert labels["request_protocol"] == "tcp"
    assert labels["response_flags"] == "UF"
    assert not {"response_code", "grpc_response_status"} & set(labels)
