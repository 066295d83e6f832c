from __future__ import annotations

from clew._pb.envoy.config.route.v3.route_components_pb2 import VirtualHost
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.service import Protocol, Resolution
from clew.model.virtual_service import VirtualService
from clew.snapshot.rule_index import index_virtual_services
from tests.compile.scopes import outbound, resources, routes, service

REVIEWS, RATINGS = service("reviews", number=80), service("ratings", number=80)


def rules(*specs: str) -> tuple[VirtualService, ...]:
    found = [
        each
        for number, spec in enumerate(specs)
        for each in resources(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
            f"metadata: {{name: rule-{number}, namespace: default}}\nspec: {{{spec}}}"
        )
    ]
    objects = (each for each in found if isinstance(each, VirtualService))
    return index_virtual_services(objects, MeshConfig()).seen_by("default")


def to(host: str) -> str:
    return f"http: [{{route: [{{destination: {{host: {host}}}}}]}}]"


def host_of(found: RouteConfiguration, domain: str) -> VirtualHost:
    return next(h for h in found.virtual_hosts if domain in h.domains)


def target(found: RouteConfiguration, domain: str) -> str:
    return host_of(found, domain).routes[0].route.cluster


def test_a_service_may_be_called_by_every_name_that_dns_knows() -> None:
    found = routes(outbound(REVIEWS), "80")
    assert set(host_of(found, "reviews").domains) == {
        "reviews.default.svc.cluster.local",
        "reviews.default.svc.cluster.local.",
        "reviews.default.svc",
        "reviews.default",
        "reviews",
        *REVIEWS.addresses,
    }


def test_the_port_in_a_host_header_does_not_matter_on_a_listener_of_one_port() -> None:
    assert routes(outbound(REVIEWS), "80").ignore_port_in_host_matching


def test_unknown_hosts_pass_unless_only_the_registry_may_be_called() -> None:
    assert target(routes(outbound(REVIEWS), "80"), "*") == "PassthroughCluster"
    blocked = routes(outbound(REVIEWS, registry_only=True), "80")
    assert host_of(blocked, "*").routes[0].direct_response.status == 502


def test_the_oldest_virtual_service_of_a_host_decides() -> None:
    scope = outbound(
        REVIEWS,
        RATINGS,
        virtual_services=rules(
            f"hosts: [reviews], {to('ratings')}", f"hosts: [reviews], {to('x')}"
        ),
    )
    assert (
        target(routes(scope, "80"), "reviews") == "outbound|80||ratings.default.svc.cluster.local"
    )


def test_the_most_specific_host_beats_the_oldest() -> None:
    scope = outbound(
        REVIEWS,
        RATINGS,
        virtual_services=rules(
            f"hosts: ['*.cluster.local'], {to('wild')}", f"hosts: [reviews], {to('own')}"
        ),
    )
    found = routes(scope, "80")
    assert target(found, "reviews") == "outbound|80||own.default.svc.cluster.local"
    assert target(found, "ratings") == "outbound|80||wild.default.svc.cluster.local"


def test_a_rule_for_another_port_leaves_the_service_as_it_is() -> None:
    spec = "hosts: [reviews], http: [{match: [{port: 81}], route: [{destination: {host: x}}]}]"
    found = routes(outbound(REVIEWS, virtual_services=rules(spec)), "80")
    assert target(found, "reviews") == "outbound|80||reviews.default.svc.cluster.local"


def test_a_host_without_a_service_is_served_on_port_80() -> None:
    scope = outbound(REVIEWS, virtual_services=rules(f"hosts: [old.example.com], {to('reviews')}"))
    assert target(routes(scope, "80"), "old.example.com").endswith(
        "reviews.default.svc.cluster.local"
    )


def test_a_short_name_gives_way_to_a_host_that_is_really_called_so() -> None:
    named = service("reviews", number=80, hostname="reviews", addresses=())
    found = routes(outbound(REVIEWS, named), "80")
    assert target(found, "reviews") == "outbound|80||reviews"


def test_a_virtual_host_also_answers_to_its_aliases() -> None:
    alias = service(
        "old", resolution=Resolution.ALIAS, external_name=REVIEWS.hostname, addresses=()
    )
    found = routes(outbound(REVIEWS, alias), "80")
    assert target(found, "old") == target(found, "reviews")


def test_a_detected_protocol_has_routes_for_its_own_service_whatever_the_host() -> None:
    scope = outbound(service("auto", Protocol.AUTO, number=80))
    [host] = routes(scope, "auto.default.svc.cluster.local:80").virtual_hosts
    assert list(host.domains) == ["*"]


def test_an_http_proxy_tells_ports_apart_by_the_host() -> None:
    scope = outbound(service("reviews", number=9080), RATINGS, http_proxy_port=15080)
    found = routes(scope, "http_proxy")
    assert target(found, "reviews:9080") == "outbound|9080||reviews.default.svc.cluster.local"
    assert target(found, "ratings") == "outbound|80||ratings.default.svc.cluster.local"
    assert all("reviews" not in host.domains for host in found.virtual_hosts)
    assert not found.ignore_port_in_host_matching


def test_a_consistent_hash_is_taken_from_the_request_and_retries_stay_with_it() -> None:
    [rule] = resources(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        "metadata: {name: r, namespace: default}\n"
        "spec: {host: reviews, trafficPolicy: {loadBalancer: "
        "{consistentHash: {httpHeaderName: user}}}}"
    )
    assert isinstance(rule, DestinationRule)
    scope = outbound(REVIEWS, destination_rules={REVIEWS.hostname: rule})
    route = host_of(routes(scope, "80"), "reviews").routes[0].route
    assert [policy.header.header_name for policy in route.hash_policy] == ["user"]
    assert not route.retry_policy.retry_host_predicate
