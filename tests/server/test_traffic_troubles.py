"""What is wrong by what traffic shows, and where the cause is."""

from __future__ import annotations

import pytest

from clew.api.messages import ProxyStatus
from clew.api.traffic_report import Counted
from clew.api.views import Trouble
from clew.config.parse import parse_documents
from clew.model.metrics import Own, Peer
from clew.server.publisher import Publisher
from clew.server.traffic_counts import Counts
from clew.server.traffic_edges import series_of
from clew.server.traffic_troubles import certificate_troubles, traffic_troubles
from clew.server.traffic_window import OTHER, Edge
from clew.snapshot.snapshot import MeshSnapshot

HOST = "reviews.default.svc.cluster.local"
WORLD = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {clusterIP: 10.96.0.1, selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-v1-0, namespace: default, labels: {app: reviews, version: v1}}
spec: {containers: [{name: app}]}
status: {podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v9}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: limits, namespace: default}
spec: {host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: default}
spec: {selector: {matchLabels: {app: reviews}}}
"""
OWN_CALLER = Own(Peer("web-v1", "default", "web", "v1", "", "web", "v1"), "spiffe://x")
OWN_SERVED = Own(Peer("reviews-v1", "default", "reviews", "v1", "", "reviews", "v1"), "spiffe://x")
CALLER = "web-v1;default;web;v1;Kubernetes"
SPIFFE = "spiffe://cluster.local/ns/default/sa/web"


def snapshot(text: str = WORLD) -> MeshSnapshot:
    documents = parse_documents(text)
    assert all(document.valid for document in documents), documents
    return Publisher(each.resource for each in documents if each.resource).snapshot


def never_arrived(flags: str, code: int = 503, number: int = 10) -> tuple[Edge, Counts]:
    series = series_of(OWN_CALLER, f"source~-~outbound|9080||{HOST};~{code}~{flags}~~", tcp=False)
    assert series is not None
    return series.edge, series.counts(Counted(tag="", requests=number))


def arrived(code: int, number: int = 10, flags: str = "-") -> tuple[Edge, Counts]:
    tag = f"destination~{CALLER}~{HOST};reviews;default~{code}~{flags}~~{SPIFFE}"
    series = series_of(OWN_SERVED, tag, tcp=False)
    assert series is not None
    return series.edge, series.counts(Counted(tag="", requests=number))


def found(*sums: tuple[Edge, Counts], denying: bool = False) -> list[Trouble]:
    refused = {("default", "reviews-v1"): 1} if denying else {}
    return list(traffic_troubles(sums, refused, snapshot()))


@pytest.mark.parametrize(
    ("flags", "says", "kind"),
    [
        ("UH", "found no healthy endpoint", "DestinationRule"),
        ("UF,URX", "could not be sent", "DestinationRule"),
        ("UC", "were cut off", "DestinationRule"),
        ("NR", "have no route", "VirtualService"),
        ("NC", "were routed to a subset or host that does not exist", "VirtualService"),
        ("UO", "limits of the connection pool were reached", "DestinationRule"),
        ("FI", "were failed on purpose", "VirtualService"),
    ],
)
def test_a_flag_is_said_in_words_with_what_is_to_blame(flags: str, says: str, kind: str) -> None:
    (trouble,) = found(never_arrived(flags))
    assert "all 10 requests of web-v1.default" in trouble.problem
    assert says in trouble.problem
    assert (trouble.object.kind if trouble.object is not None else "") == kind
    assert trouble.service == f"default/{HOST}"


def test_a_denied_call_leads_to_the_policy() -> None:
    (trouble,) = found(arrived(403, 4), arrived(200, 6), denying=True)
    assert "reviews-v1.default denied 4 of 10 requests of web-v1.default" in trouble.problem
    assert trouble.object is not None
    assert (trouble.object.kind, trouble.object.name) == ("AuthorizationPolicy", "nobody")


def test_an_applications_own_403_is_no_trouble() -> None:
    assert found(arrived(403)) == []


def test_failing_answers_lead_to_the_service() -> None:
    (trouble,) = found(arrived(500, 3), arrived(200, 27))
    assert "reviews-v1.default answered 3 of 30 requests of web-v1.default" in trouble.problem
    assert trouble.service == f"default/{HOST}"
    assert trouble.severity == "error"


def test_a_single_failure_and_good_answers_are_no_trouble() -> None:
    assert found(arrived(500, 2), arrived(200, 5)) == []
    assert found(arrived(500, 3), arrived(200, 300)) == []
    assert found(arrived(200), arrived(404)) == []
    assert found((OTHER, arrived(500)[1])) == []


def test_where_several_objects_may_be_the_cause_none_is_named() -> None:
    policy = WORLD.rpartition("---")[2]
    two = snapshot(f"{WORLD}---{policy.replace('nobody', 'another')}")
    (trouble,) = traffic_troubles([arrived(403)], {("default", "reviews-v1"): 1}, two)
    assert trouble.object is None
    assert trouble.service == f"default/{HOST}"


def proxy(ends: float) -> ProxyStatus:
    return ProxyStatus(name="a", node="node-a", certificate_begins=0, certificate_ends=ends)


def test_a_certificate_that_was_not_renewed_in_time_is_told() -> None:
    assert list(certificate_troubles([proxy(1000.0), proxy(0)], 800.0)) == []
    (late,) = certificate_troubles([proxy(1000.0)], 940.0)
    assert late.severity == "warning"
    assert "expires in 1 minutes" in late.problem
    (over,) = certificate_troubles([proxy(1000.0)], 1001.0)
    assert (over.severity, over.proxy) == ("error", "node-a")
