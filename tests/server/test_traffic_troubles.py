"""What is wrong by what traffic shows, and where the cause is."""

from __future__ import annotations

from functools import partial

import pytest

from clew.api.traffic_report import Counted
from clew.api.views import Trouble
from clew.config.parse import parse_documents
from clew.model.metrics import Own, Peer
from clew.model.proxy import Proxy, ProxyType
from clew.server.denials import denier
from clew.server.publisher import Publisher
from clew.server.traffic_counts import Counts
from clew.server.traffic_edges import series_of
from clew.server.traffic_troubles import traffic_troubles
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
    return series.edge, series.counts(Counted(tag="", requests={code: number}))


def arrived(code: int, number: int = 10, flags: str = "-") -> tuple[Edge, Counts]:
    tag = f"destination~{CALLER}~{HOST};reviews;default~{code}~{flags}~~{SPIFFE}"
    series = series_of(OWN_SERVED, tag, tcp=False)
    assert series is not None
    return series.edge, series.counts(Counted(tag="", requests={code: number}))


REVIEWS = Proxy(
    type=ProxyType.SIDECAR,
    name="reviews-v1-0",
    namespace="default",
    ip="10.0.0.1",
    labels=(("app", "reviews"), ("version", "v1")),
)
GATEWAY = Proxy(type=ProxyType.ROUTER, name="gw", namespace="default", ip="10.0.0.9")


def found(
    *sums: tuple[Edge, Counts],
    world: MeshSnapshot | None = None,
    denying: tuple[tuple[str, str], Proxy] | None = None,
) -> list[Trouble]:
    mesh = world or snapshot()
    refused = dict([denying]) if denying is not None else {}
    return list(traffic_troubles(sums, refused, mesh, partial(denier, mesh)))


BY_WEB = ("default", "web-v1")
BY_REVIEWS = (("default", "reviews-v1"), REVIEWS)


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
    assert trouble.field == ("spec.http[0].route[0].destination" if flags == "NC" else "")
    assert trouble.service == f"default/{HOST}"


def test_those_that_went_nowhere_are_some_of_all_that_were_for_the_service() -> None:
    (trouble,) = found(never_arrived("FI", number=6), arrived(200, 44))
    assert "6 of 50 requests of web-v1.default" in trouble.problem


RULE = """
metadata: {name: no-gets, namespace: default}
spec:
  selector: {matchLabels: {app: reviews}}
  action: DENY
  rules: [{to: [{operation: {methods: [DELETE]}}]}, {to: [{operation: {methods: [GET]}}]}]
"""
BEFORE_POLICY, _, POLICY = WORLD.rpartition("---")
KIND = POLICY.partition("metadata")[0]


@pytest.mark.parametrize(
    ("policy", "says", "field"),
    [
        (POLICY, "AuthorizationPolicy default/nobody has no rules, so it allows nobody", "spec"),
        (
            POLICY.replace("}}}", "}}, rules: [{from: [{source: {namespaces: [x]}}]}]}"),
            "no rule of AuthorizationPolicy default/nobody allows it",
            "spec.rules",
        ),
        (KIND + RULE, "rules of AuthorizationPolicy default/no-gets forbid it", "spec.rules"),
        (
            KIND + RULE.replace("[DELETE]}}]}, {to: [{operation: {methods: ", ""),
            "rule 0 of AuthorizationPolicy default/no-gets forbids it",
            "spec.rules[0]",
        ),
    ],
)
def test_a_denied_call_leads_to_the_rule(policy: str, says: str, field: str) -> None:
    world = snapshot(f"{BEFORE_POLICY}---{policy}")
    (trouble,) = found(arrived(403, 4), arrived(200, 6), world=world, denying=BY_REVIEWS)
    assert "reviews-v1.default denied 4 of 10 requests of web-v1.default" in trouble.problem
    assert says in trouble.problem
    assert trouble.object is not None
    assert (trouble.object.kind, trouble.field) == ("AuthorizationPolicy", field)


def test_what_a_gateway_denies_leads_to_its_policy() -> None:
    world = snapshot(f"{BEFORE_POLICY}---{POLICY.replace('{app: reviews}', '{}')}")
    denied = never_arrived("-", 403)
    (trouble,) = found(denied, world=world, denying=(BY_WEB, GATEWAY))
    assert "web-v1.default denied all 10 requests: AuthorizationPolicy" in trouble.problem
    assert trouble.object is not None
    # A sidecar's client that is told 403 from outside is no denial of the mesh.
    assert found(denied, world=world, denying=(BY_WEB, REVIEWS)) == []


TOKENS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: default}
spec: {selector: {matchLabels: {app: reviews}}, jwtRules: [{issuer: a, jwks: '{"keys": []}'}]}
"""


def test_a_token_that_is_not_good_leads_to_the_rules_of_tokens() -> None:
    world = snapshot(f"{WORLD}---{TOKENS}")
    (trouble,) = found(arrived(401), world=world, denying=BY_REVIEWS)
    assert "denied all 10 requests of web-v1.default: the token is not one of a" in trouble.problem
    assert trouble.object is not None
    assert (trouble.object.kind, trouble.field) == ("RequestAuthentication", "spec.jwtRules[0]")
    # An application may answer so, too.
    assert found(arrived(401), world=world) == found(arrived(401), denying=BY_REVIEWS) == []


def test_what_neither_an_object_nor_a_service_is_to_blame_for_leads_to_the_proxy() -> None:
    series = series_of(OWN_CALLER, "source~-~-~404~NR~~", tcp=False)
    assert series is not None
    lost = series.edge, series.counts(Counted(tag="", requests={404: 1}))
    mesh = snapshot()
    (trouble,) = traffic_troubles([lost], {}, mesh, partial(denier, mesh), {BY_WEB: GATEWAY}.get)
    assert "have no route" in trouble.problem
    assert trouble.proxy == GATEWAY.node_id


def test_an_applications_own_403_is_no_trouble() -> None:
    assert found(arrived(403)) == []


def test_failing_answers_lead_to_the_service() -> None:
    (trouble,) = found(arrived(500, 3), arrived(200, 27))
    assert "reviews-v1.default answered 3 of 30 requests of web-v1.default" in trouble.problem
    assert trouble.service == f"default/{HOST}"
    assert trouble.severity == "error"


def test_failing_answers_of_what_has_no_sidecar_are_told() -> None:
    (trouble,) = found(never_arrived("-", 500))
    assert f"{HOST} answered all 10 requests of web-v1.default with 5xx" in trouble.problem
    assert trouble.service == f"default/{HOST}"


def test_a_single_failure_and_good_answers_are_no_trouble() -> None:
    assert found(arrived(500, 2), arrived(200, 5)) == []
    assert found(arrived(500, 3), arrived(200, 300)) == []
    assert found(arrived(200), arrived(404)) == []
    assert found((OTHER, arrived(500)[1])) == []


def test_where_several_objects_may_be_the_cause_none_is_named() -> None:
    two = snapshot(f"{WORLD}---{POLICY.replace('nobody', 'another')}")
    (trouble,) = found(arrived(403), world=two, denying=BY_REVIEWS)
    assert "default/another, default/nobody" in trouble.problem
    assert trouble.object is None
    assert trouble.service == f"default/{HOST}"
