"""A proxy that is to know its own service gets its endpoints as those of its local cluster."""

from __future__ import annotations

from dataclasses import replace

from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew.compile.check import check_published
from clew.compile.memo import Memo
from clew.compile.proxy import compile_endpoints, compile_proxy
from clew.model.names import LOCAL_CLUSTER
from clew.model.xds import CLUSTER, ENDPOINTS, Published
from clew.snapshot.scope_builder import build_scope, scope_key
from tests.snapshot.world import mesh, pod, proxy, service

PROXY = replace(proxy(ip="10.2.0.1", app="web"), self_discovery=True)
ONE = pod("web-0", "10.2.0.1", labels=", topology.istio.io/locality: r.a")
TWO = pod("web-1", "10.2.0.2", labels=", topology.istio.io/locality: r.b")


def zones(published: Published) -> list[tuple[str, str]]:
    """Zone and address of each endpoint of the local cluster."""
    found = ClusterLoadAssignment.FromString(published[ENDPOINTS][LOCAL_CLUSTER].body)
    assert {group.priority for group in found.endpoints} == {0}
    return [
        (group.locality.zone, each.endpoint.address.socket_address.address)
        for group in found.endpoints
        for each in group.lb_endpoints
    ]


def test_it_has_the_endpoints_of_the_proxys_own_service_by_zone() -> None:
    published = compile_proxy(build_scope(mesh(service("web"), ONE, TWO), PROXY), Memo())
    assert zones(published) == [("a", "10.2.0.1"), ("b", "10.2.0.2")]
    assert check_published(published) == ()


def test_other_proxies_have_none() -> None:
    snapshot, other = mesh(service("web"), ONE, TWO), replace(PROXY, self_discovery=False)
    assert LOCAL_CLUSTER not in compile_proxy(build_scope(snapshot, other), Memo())[ENDPOINTS]
    assert scope_key(snapshot, other) != scope_key(snapshot, PROXY)
    nobody = replace(proxy(ip="10.2.0.9", app="job"), self_discovery=True)
    assert LOCAL_CLUSTER not in compile_proxy(build_scope(snapshot, nobody), Memo())[ENDPOINTS]


def test_a_change_of_endpoints_alone_reaches_it() -> None:
    memo = Memo()
    before, after = mesh(service("web"), ONE), mesh(service("web"), ONE, TWO)
    clusters = compile_proxy(build_scope(before, PROXY), memo)[CLUSTER]
    scope = build_scope(after, PROXY)
    hosts = frozenset({"web.default.svc.cluster.local"})
    changed = compile_endpoints(scope, hosts, clusters, memo)
    assert changed[LOCAL_CLUSTER] == compile_proxy(scope, Memo())[ENDPOINTS][LOCAL_CLUSTER]
