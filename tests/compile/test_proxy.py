"""The whole of a proxy: the same whatever is remembered, and as Envoy itself would have it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.compile.check import check_published
from clew.compile.memo import Memo
from clew.compile.proxy import compile_endpoints, compile_proxy, endpoints_shape
from clew.config.parse import parse_documents
from clew.model.base import Resource
from clew.model.duration import Duration
from clew.model.mesh_config import (
    MeshConfig,
    MeshOutboundTrafficPolicy,
    OutboundTrafficPolicyMode,
)
from clew.model.proxy import Interception, LocalPort, Proxy, ProxyType
from clew.model.virtual_service import VirtualService
from clew.model.xds import CLUSTER, ENDPOINTS, ROUTE
from clew.snapshot.scope import ProxyScope
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot
from tests.compile.scopes import as_json, endpoint, outbound, service, sidecar, with_endpoints
from tests.envoy.validate import validate

MESH = (Path(__file__).parent / "mesh.yaml").read_text()
REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"


def mesh() -> list[Resource]:
    documents = parse_documents(MESH)
    assert [str(problem) for each in documents for problem in each.diagnostics] == []
    return [each.resource for each in documents if each.resource is not None]


def proxy(**changes: Any) -> Proxy:
    known: dict[str, Any] = {
        "type": ProxyType.SIDECAR,
        "name": "productpage-0",
        "namespace": "default",
        "ip": "10.1.0.9",
        "labels": (("app", "productpage"),),
    }
    return Proxy(**{**known, **changes})


UNCAPTURED = proxy(
    interception=Interception.NONE,
    http_proxy_port=15080,
    local_ports=(
        LocalPort(
            hostname="db.default.svc.cluster.local",
            port=5432,
            address="127.0.0.1",
            local_port=31000,
        ),
        LocalPort(
            hostname="reviews.default.svc.cluster.local",
            port=9080,
            address="127.0.0.1",
            local_port=31001,
        ),
    ),
)
ROUTER = proxy(type=ProxyType.ROUTER, labels=(("istio", "ingressgateway"),))
PROXIES = {
    "captured": proxy(),
    "uncaptured": UNCAPTURED,
    "router": ROUTER,
    "limited by a Sidecar": proxy(namespace="other"),
}


@pytest.mark.parametrize("kind", PROXIES)
def test_envoy_takes_everything_that_is_compiled(kind: str, tmp_path: Path) -> None:
    published = compile_proxy(build_scope(build_snapshot(mesh()), PROXIES[kind]), Memo())
    assert check_published(published) == ()
    assert validate(as_json(published), tmp_path) == ""


def test_envoy_takes_a_proxy_that_resolves_unknown_hosts(tmp_path: Path) -> None:
    mode = OutboundTrafficPolicyMode.ALLOW_ANY_DYNAMIC_DNS
    settings = MeshConfig(outbound_traffic_policy=MeshOutboundTrafficPolicy(mode=mode))
    published = compile_proxy(build_scope(build_snapshot(mesh(), settings), proxy()), Memo())
    assert check_published(published) == ()
    assert validate(as_json(published), tmp_path) == ""


@pytest.mark.parametrize("kind", PROXIES)
def test_the_order_in_which_objects_were_declared_does_not_show(kind: str) -> None:
    forward, backward = build_snapshot(mesh()), build_snapshot(reversed(mesh()))
    scopes = [build_scope(snapshot, PROXIES[kind]) for snapshot in (forward, backward)]
    first, second = (compile_proxy(scope, Memo()) for scope in scopes)
    assert first == second


def changed(resources: list[Resource], choice: int, weight: int) -> list[Resource]:
    """The mesh after somebody has changed, or taken away, one object."""
    index = choice % len(resources)
    found = resources[index]
    rest = resources[:index] + resources[index + 1 :]
    if not isinstance(found, VirtualService) or not found.spec.http:
        return rest
    route = found.spec.http[0]
    shares = tuple(
        msgspec.structs.replace(each, weight=weight + number)
        for number, each in enumerate(route.route)
    )
    http = (msgspec.structs.replace(route, route=shares), *found.spec.http[1:])
    spec = msgspec.structs.replace(found.spec, http=http)
    return [*rest, msgspec.structs.replace(found, spec=spec)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 99)), max_size=6))
def test_what_is_remembered_of_earlier_states_never_shows(changes: list[tuple[int, int]]) -> None:
    memo = Memo(limit=500)
    resources = mesh()
    previous: dict[str, ProxyScope] = {}
    for change in [None, *changes]:
        if change is not None and resources:
            resources = changed(resources, *change)
        snapshot: MeshSnapshot = build_snapshot(resources)
        for kind, each in PROXIES.items():
            scope = previous[kind] = build_scope(snapshot, each, previous.get(kind))
            assert compile_proxy(scope, memo) == compile_proxy(scope, Memo())


def test_endpoints_alone_are_compiled_as_they_would_be_with_everything_else() -> None:
    to = service("reviews")
    before = with_endpoints(outbound(to), to, endpoint("10.0.0.1"))
    after = with_endpoints(before, to, endpoint("10.0.0.1"), endpoint("10.0.0.2"))
    memo, hosts = Memo(), frozenset({to.hostname})
    shapes = [endpoints_shape(sidecar(scope), hosts, memo) for scope in (before, after)]
    assert shapes[0] == shapes[1]
    whole = compile_proxy(sidecar(after), Memo())
    clusters = compile_proxy(sidecar(before), memo)[CLUSTER]
    assert compile_endpoints(sidecar(after), hosts, clusters, memo) == whole[ENDPOINTS]
    assert clusters == whole[CLUSTER]


def test_endpoints_are_a_new_version_of_the_same_bytes_when_their_cluster_changes() -> None:
    to = service("reviews")
    name = f"outbound|8080||{to.hostname}"
    scopes = (
        with_endpoints(outbound(to, mesh=MeshConfig(connect_timeout=wait)), to, endpoint())
        for wait in (Duration.parse("1s"), Duration.parse("2s"))
    )
    one, two = (compile_proxy(sidecar(scope), Memo()) for scope in scopes)
    assert one[CLUSTER][name].version != two[CLUSTER][name].version
    assert one[ENDPOINTS][name].version != two[ENDPOINTS][name].version
    assert one[ENDPOINTS][name].body == two[ENDPOINTS][name].body


def test_an_endpoint_with_another_identity_is_more_than_a_matter_of_endpoints() -> None:
    to = service("reviews")
    before = with_endpoints(outbound(to), to, endpoint("10.0.0.1"))
    other = endpoint("10.0.0.2", service_account="other")
    after = with_endpoints(before, to, endpoint("10.0.0.1"), other)
    hosts = frozenset({to.hostname})
    shapes = [endpoints_shape(sidecar(scope), hosts, Memo()) for scope in (before, after)]
    assert shapes[0] != shapes[1]


def test_a_route_says_which_clusters_must_be_there_before_it_and_whose_it_is() -> None:
    published = compile_proxy(build_scope(build_snapshot(mesh()), proxy()), Memo())
    routes = published[ROUTE]["9080"]
    assert "outbound|9080|v2|reviews.default.svc.cluster.local" in routes.uses
    assert "VirtualService default/reviews" in routes.sources
    assert "DestinationRule default/reviews" in published[CLUSTER][REVIEWS].sources


def test_proxies_in_the_same_place_share_what_is_compiled() -> None:
    memo, snapshot = Memo(), build_snapshot(mesh())
    first = compile_proxy(build_scope(snapshot, proxy()), memo)
    other = replace(proxy(), name="ratings-0", labels=(("app", "ratings"),), ip="10.1.0.8")
    second = compile_proxy(build_scope(snapshot, other), memo)
    assert first[CLUSTER][REVIEWS] is second[CLUSTER][REVIEWS]
    assert first[ENDPOINTS][REVIEWS] is second[ENDPOINTS][REVIEWS]
