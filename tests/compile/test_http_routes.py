from __future__ import annotations

from datetime import timedelta

import pytest

from clew._pb.envoy.config.route.v3.route_components_pb2 import RedirectAction, Route
from clew._pb.envoy.extensions.filters.http.cors.v3.cors_pb2 import CorsPolicy
from clew._pb.envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from clew.compile.http_routes import Entrance, compile_http_routes
from clew.model.mesh_config import MeshConfig
from clew.model.virtual_service import HTTPRetry, VirtualService
from tests.compile.scopes import resources


def rules(text: str) -> VirtualService:
    [found] = resources(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        "metadata: {name: reviews, namespace: default}\n"
        f"spec: {{hosts: [reviews], http: [{text}]}}"
    )
    assert isinstance(found, VirtualService)
    return found


def compiled(
    text: str,
    *,
    port: int = 80,
    labels: dict[str, str] | None = None,
    mesh: MeshConfig | None = None,
) -> list[Route]:
    return compile_http_routes(
        rules(text),
        Entrance(port=port, gateway="mesh", namespace="default", labels=labels or {}),
        cluster_of=lambda destination: f"{destination.host}/{destination.subset}",
        mesh=mesh or MeshConfig(),
    )


V1 = "route: [{destination: {host: reviews, subset: v1}}]"


def test_no_timeout_means_wait_forever_not_envoys_15_seconds() -> None:
    [route] = compiled(f"{{{V1}}}")
    assert route.route.HasField("timeout")
    assert route.route.timeout.ToTimedelta() == timedelta(0)


def test_a_timeout_holds_for_grpc_calls_too() -> None:
    [route] = compiled(f"{{{V1}, timeout: 1.5s}}")
    assert route.route.timeout.ToTimedelta() == timedelta(seconds=1.5)
    assert route.route.max_grpc_timeout.ToTimedelta() == timedelta(seconds=1.5)


def test_each_match_is_a_route_of_its_own_in_order() -> None:
    routes = compiled(
        f"{{name: r, match: [{{uri: {{exact: /a}}}}, {{name: b, uri: {{prefix: /b}}}}], {V1}}}"
    )
    assert [(r.name, r.match.path, r.match.prefix) for r in routes] == [
        ("r", "/a", ""),
        ("r.b", "", "/b"),
    ]


def test_nothing_after_a_catch_all_can_be_reached_so_it_is_not_sent() -> None:
    assert len(compiled(f"{{{V1}}}, {{{V1}}}")) == 1


def test_a_prefix_is_one_of_text_not_of_path_segments() -> None:
    [route] = compiled(f"{{match: [{{uri: {{prefix: /api}}}}], {V1}}}")
    assert route.match.prefix == "/api"


def test_rules_for_other_clients_and_ports_are_not_sent_to_this_proxy() -> None:
    text = (
        f"{{match: [{{sourceLabels: {{app: a}}}}, {{port: 81}}, {{sourceNamespace: other}}], {V1}}}"
    )
    assert compiled(text) == []
    assert len(compiled(text, labels={"app": "a"})) == 1
    assert len(compiled(text, port=81)) == 1


def test_weights_are_shares_and_weight_0_is_nobody() -> None:
    [route] = compiled("""{route: [
        {destination: {host: reviews, subset: v1}, weight: 90},
        {destination: {host: reviews, subset: v2}, weight: 10},
        {destination: {host: reviews, subset: v3}, weight: 0}]}""")
    shares = {c.name: c.weight.value for c in route.route.weighted_clusters.clusters}
    assert shares == {"reviews/v1": 90, "reviews/v2": 10}


def test_all_to_one_version_needs_no_weights() -> None:
    [route] = compiled("""{route: [
        {destination: {host: reviews, subset: v1}, weight: 0},
        {destination: {host: reviews, subset: v2}, weight: 100}]}""")
    assert route.route.cluster == "reviews/v2"


def test_a_single_destination_needs_no_weight() -> None:
    [route] = compiled("{route: [{destination: {host: reviews}, weight: 0}]}")
    assert route.route.cluster == "reviews/"


def test_a_request_without_the_header_does_not_have_its_value_either() -> None:
    [route] = compiled(f"{{match: [{{withoutHeaders: {{x: {{exact: a}}}}}}], {V1}}}")
    [header] = route.match.headers
    assert header.invert_match
    assert header.treat_missing_header_as_empty


def test_an_empty_header_match_asks_whether_the_header_is_there() -> None:
    [route] = compiled(f"{{match: [{{headers: {{x: {{}}}}}}], {V1}}}")
    assert route.match.headers[0].present_match


def test_requests_are_tried_again_elsewhere_unless_told_otherwise() -> None:
    [route] = compiled(f"{{{V1}}}")
    assert route.route.retry_policy.num_retries.value == 2
    assert [p.name for p in route.route.retry_policy.retry_host_predicate] == [
        "envoy.retry_host_predicates.previous_hosts"
    ]


def test_attempts_0_switches_retries_off() -> None:
    [route] = compiled(f"{{{V1}, retries: {{attempts: 0}}}}")
    assert not route.route.HasField("retry_policy")


def test_the_meshs_retries_hold_where_a_rule_has_none() -> None:
    mesh = MeshConfig(default_http_retry_policy=HTTPRetry(attempts=7))
    [default] = compiled(f"{{{V1}}}", mesh=mesh)
    [own] = compiled(f"{{{V1}, retries: {{attempts: 1}}}}", mesh=mesh)
    assert default.route.retry_policy.num_retries.value == 7
    assert own.route.retry_policy.num_retries.value == 1


def test_status_codes_among_the_reasons_to_retry_are_codes_to_envoy() -> None:
    [route] = compiled(f"{{{V1}, retries: {{attempts: 3, retryOn: 'reset,429'}}}}")
    assert route.route.retry_policy.retry_on == "reset,retriable-status-codes"
    assert list(route.route.retry_policy.retriable_status_codes) == [429]


def test_a_fault_without_a_percentage_never_fires() -> None:
    [route] = compiled(f"{{{V1}, fault: {{abort: {{httpStatus: 500}}}}}}")
    fault = HTTPFault()
    route.typed_per_filter_config["envoy.filters.http.fault"].Unpack(fault)
    assert fault.abort.http_status == 500
    assert fault.abort.percentage.numerator == 0


def test_a_tenth_of_a_percent_of_delays_is_not_rounded_away() -> None:
    [route] = compiled(
        f"{{{V1}, fault: {{delay: {{fixedDelay: 2s, percentage: {{value: 0.1}}}}}}}}"
    )
    fault = HTTPFault()
    route.typed_per_filter_config["envoy.filters.http.fault"].Unpack(fault)
    assert fault.delay.percentage.numerator == 1000
    assert fault.delay.fixed_delay.ToTimedelta() == timedelta(seconds=2)


@pytest.mark.parametrize(("declared", "forwarded"), [("IGNORE", False), ("UNSPECIFIED", True)])
def test_preflights_of_other_origins_reach_the_application_unless_ignored(
    declared: str, forwarded: bool
) -> None:
    [route] = compiled(
        f"{{{V1}, corsPolicy: {{allowOrigins: [{{exact: a}}], unmatchedPreflights: {declared}}}}}"
    )
    policy = CorsPolicy()
    route.typed_per_filter_config["envoy.filters.http.cors"].Unpack(policy)
    assert policy.forward_not_matching_preflights.value == forwarded


def test_everything_is_mirrored_unless_a_percentage_says_less() -> None:
    [route] = compiled(f"{{{V1}, mirror: {{host: copy}}}}")
    [whole] = route.route.request_mirror_policies
    [route] = compiled(
        f"{{{V1}, mirrors: [{{destination: {{host: copy}}, percentage: {{value: 0}}}}]}}"
    )
    assert whole.runtime_fraction.default_value.numerator == 1_000_000
    assert not route.route.request_mirror_policies


def test_setting_the_host_header_rewrites_the_host() -> None:
    [route] = compiled(f"{{{V1}, headers: {{request: {{set: {{Host: other, x: y}}}}}}}}")
    assert route.route.host_rewrite_literal == "other"
    assert [h.header.key for h in route.request_headers_to_add] == ["x"]


def test_a_redirect_keeps_what_it_does_not_name() -> None:
    [route] = compiled("{redirect: {authority: new, redirectCode: 308}}")
    assert route.redirect.host_redirect == "new"
    assert route.redirect.response_code == RedirectAction.PERMANENT_REDIRECT
    assert route.redirect.WhichOneof("path_rewrite_specifier") is None


def test_a_direct_response_needs_no_upstream() -> None:
    [route] = compiled("{directResponse: {status: 418, body: {string: teapot}}}")
    assert route.direct_response.status == 418
    assert route.direct_response.body.inline_string == "teapot"


def test_a_rewrite_of_an_exact_path_replaces_it() -> None:
    [route] = compiled(f"{{match: [{{uri: {{exact: /a}}}}], {V1}, rewrite: {{uri: /b}}}}")
    assert route.route.prefix_rewrite == "/b"


def test_a_route_says_which_object_it_came_from() -> None:
    [route] = compiled(f"{{{V1}}}")
    assert route.metadata.filter_metadata["istio"]["config"] == (
        "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"
    )


@pytest.mark.parametrize(("text", "body"), [("aGVsbG8=", b"hello"), ("hello", b"hello")])
def test_a_body_of_bytes_is_base64_and_what_is_none_is_taken_as_it_stands(
    text: str, body: bytes
) -> None:
    [route] = compiled(f"{{directResponse: {{status: 200, body: {{bytes: {text}}}}}}}")
    assert route.direct_response.body.inline_bytes == body
