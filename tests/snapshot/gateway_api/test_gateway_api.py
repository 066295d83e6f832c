"""From objects of the Gateway API to Envoy's routes and to what their statuses say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clew.model.base import ResourceKey
from clew.snapshot.findings import own_statuses
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot, update_snapshot
from tests.manifests import resources_of
from tests.snapshot.gateway_api.shop import GRANT, TO_SHOP, WORLD, routes, snapshot

KEY = ResourceKey("gateway.networking.k8s.io", "HTTPRoute", "default", "shop")


def resolved(found: MeshSnapshot) -> tuple[str, str]:
    [parent] = own_statuses(found)[KEY]["parents"]
    conditions = {c["type"]: c for c in parent["conditions"]}
    assert conditions["Accepted"]["status"] == "True"
    return conditions["ResolvedRefs"]["status"], conditions["ResolvedRefs"]["reason"]


@pytest.mark.proves("HTTPPathMatch.type", "HTTPPathMatch.value", "HTTPRouteMatch.path")
def test_a_prefix_is_of_whole_segments() -> None:
    [route] = routes(snapshot(f"matches: [{{path: {{value: /shop/}}}}], {TO_SHOP}"))
    assert route["match"] == {"path_separated_prefix": "/shop"}


@pytest.mark.proves("HTTPRouteMatch.method", "HTTPRouteMatch.headers", "HTTPRouteMatch.queryParams")
def test_the_more_specific_match_goes_first_wherever_it_stands() -> None:
    matches = [
        "{path: {value: /}}",
        "{path: {value: /}, queryParams: [{name: q, value: x}]}",
        "{path: {value: /}, headers: [{name: h, value: x}]}",
        "{path: {value: /}, method: GET}",
        "{path: {value: /long}}",
        "{path: {type: Exact, value: /x}}",
    ]
    found = routes(snapshot(*(f"matches: [{match}], {TO_SHOP}" for match in matches)))
    assert [route["name"].rpartition(".")[2] for route in found] == ["5", "4", "3", "2", "1", "0"]


@pytest.mark.proves("HTTPBackendRef.weight")
def test_backends_without_weight_answer_500() -> None:
    [route] = routes(snapshot("backendRefs: [{name: shop, port: 80, weight: 0}]"))
    assert route["direct_response"]["status"] == 500


@pytest.mark.proves(
    "HTTPBackendRef.namespace", "ReferenceGrantTo.kind", "ReferenceGrantFrom.namespace"
)
def test_another_namespace_is_reached_only_with_its_grant() -> None:
    rule = "backendRefs: [{name: shop, namespace: other, port: 80}]"
    refused, allowed = snapshot(rule), snapshot(rule, more=GRANT)
    assert resolved(refused) == ("False", "RefNotPermitted")
    [route] = routes(refused)
    assert route["route"]["cluster"] == "UnknownService"
    assert route["route"]["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"
    assert resolved(allowed) == ("True", "ResolvedRefs")
    [route] = routes(allowed)
    assert route["route"]["cluster"] == "outbound|80||shop.other.svc.cluster.local"


@pytest.mark.proves("HTTPURLRewriteFilter.path", "HTTPPathModifier.replacePrefixMatch")
def test_a_prefix_can_be_taken_away_without_doubling_the_slash() -> None:
    def replacing(prefix: str) -> dict[str, Any]:
        rewrite = f"path: {{type: ReplacePrefixMatch, replacePrefixMatch: {prefix}}}"
        rule = f"filters: [{{type: URLRewrite, urlRewrite: {{{rewrite}}}}}], {TO_SHOP}"
        [route] = routes(snapshot(f"matches: [{{path: {{value: /a}}}}], {rule}"))
        return route

    route = replacing("/")
    assert route["route"]["regex_rewrite"]["pattern"]["regex"] == "^/a(/?)(.*)"
    assert route["route"]["regex_rewrite"]["substitution"] == r"/\2"
    assert replacing("/b")["route"]["prefix_rewrite"] == "/b"


def test_a_new_service_resolves_what_was_missing() -> None:
    before = snapshot("backendRefs: [{name: late, port: 80}]")
    assert resolved(before) == ("False", "BackendNotFound")
    [late] = resources_of(
        "{apiVersion: v1, kind: Service, metadata: {name: late, namespace: default},"
        " spec: {ports: [{name: http, port: 80}]}}"
    )
    after, _ = update_snapshot(before, [(late.key, late)])
    assert resolved(after) == ("True", "ResolvedRefs")


def test_a_changed_route_is_as_after_a_fresh_start() -> None:
    before, wanted = (
        snapshot("name: a, " + TO_SHOP),
        snapshot(f"matches: [{{path: {{value: /new}}}}], {TO_SHOP}"),
    )
    route = wanted.gateway_api.routes[0].route
    after, dirty = update_snapshot(before, [(route.key, route)])
    assert dirty.rules
    assert routes(after) == routes(wanted)
    gone, _ = update_snapshot(after, [(route.key, None)])
    assert gone.gateway_api.rules == ()


def test_other_controllers_words_stay_in_the_status() -> None:
    foreign = {"controllerName": "example.com/other", "parentRef": {"name": "theirs"}}
    found = snapshot(TO_SHOP)
    route = found.gateway_api.routes[0].route
    changed = msgspec.structs.replace(route, status={"parents": [foreign]})
    parents = own_statuses(build_snapshot([*resources_of(WORLD), changed]))[KEY]["parents"]
    assert parents[0] == foreign
    assert parents[1]["controllerName"] == "istio.io/gateway-controller"
