"""One ``http`` rule of a VirtualService as Envoy routes: one per match, in order."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from clew._pb.envoy.config.core.v3.base_pb2 import Metadata
from clew._pb.envoy.config.route.v3.route_components_pb2 import (
    RedirectAction,
    Route,
    RouteAction,
    RouteMatch,
    WeightedCluster,
)
from clew._pb.envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute, RegexMatcher
from clew.compile.cors import FILTER as CORS_FILTER
from clew.compile.cors import compile_cors
from clew.compile.destinations import BalancerOf, ClusterOf
from clew.compile.fault import FILTER as FAULT_FILTER
from clew.compile.fault import compile_fault
from clew.compile.header_operations import apply_headers, host_of
from clew.compile.load_balancing import hash_policies
from clew.compile.mirror import compile_mirrors
from clew.compile.retries import compile_retries
from clew.compile.route_match import compile_route_match, is_catch_all
from clew.compile.typed_config import typed_config
from clew.model import names
from clew.model.mesh_config import MeshConfig
from clew.model.route_semantics import has_segment_prefixes, is_of_gateway_api
from clew.model.virtual_service import (
    DerivePort,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRoute,
    HTTPRouteDestination,
    VirtualService,
)

_REDIRECT_CODES = {
    301: RedirectAction.MOVED_PERMANENTLY,
    302: RedirectAction.FOUND,
    303: RedirectAction.SEE_OTHER,
    307: RedirectAction.TEMPORARY_REDIRECT,
    308: RedirectAction.PERMANENT_REDIRECT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where requests come in: a port, under the name of a Gateway or ``mesh``.

    ``namespace`` and ``labels`` are the proxy's. ``tls``: the listener ends it.
    """

    port: int
    gateway: str
    namespace: str
    labels: Mapping[str, str]
    tls: bool = False


def compile_http_routes(
    service: VirtualService,
    entrance: Entrance,
    *,
    cluster_of: ClusterOf,
    mesh: MeshConfig,
    balancer_of: BalancerOf = lambda _destination: None,
) -> list[Route]:
    """Compile the rules that hold for one entrance.

    Envoy takes the first route that matches, so nothing after a catch-all is kept.
    Source: istio ``BuildHTTPRoutesForVirtualService``.
    """
    routes: list[Route] = []
    for rule in service.spec.http:
        for match in rule.match or (None,):
            if match is not None and not _holds(match, entrance):
                continue
            hashing = _hash_policies(rule, balancer_of)
            route = _route(service, rule, match, entrance, cluster_of, mesh, hashing)
            routes.append(route)
            if is_catch_all(route.match):
                return routes
    return routes


def _holds(match: HTTPMatchRequest, entrance: Entrance) -> bool:
    """Whether the conditions hold that are known before any request: port, gateway, source."""
    if match.port is not None and match.port != entrance.port:
        return False
    if match.gateways:
        return entrance.gateway in match.gateways
    if match.source_namespace and match.source_namespace != entrance.namespace:
        return False
    return match.source_labels.items() <= entrance.labels.items()


def _route(
    service: VirtualService,
    rule: HTTPRoute,
    match: HTTPMatchRequest | None,
    entrance: Entrance,
    cluster_of: ClusterOf,
    mesh: MeshConfig,
    hashing: Sequence[RouteAction.HashPolicy],
) -> Route:
    name = ".".join(n for n in (rule.name, match.name if match else "") if n)
    compiled = compile_route_match(match, segments=has_segment_prefixes(service))
    route = Route(name=name, match=compiled, metadata=provenance(service))
    if rule.redirect is not None:
        route.redirect.CopyFrom(_redirect(rule.redirect, entrance, compiled))
    elif (direct := rule.direct_response) is not None:
        route.direct_response.status = direct.status
        if direct.body is not None and direct.body.bytes is not None:
            route.direct_response.body.inline_bytes = _decoded(direct.body.bytes)
        elif direct.body is not None:
            route.direct_response.body.inline_string = direct.body.string or ""
    else:
        route.route.CopyFrom(_action(rule, cluster_of, mesh, hashing))
        _rewrite(route.route, rule, compiled)
        if is_of_gateway_api(service):
            # Source: Gateway API: requests for a backend that cannot be used get 500.
            route.route.cluster_not_found_response_code = RouteAction.INTERNAL_SERVER_ERROR
    route.decorator.operation = f"{service.metadata.name}:{entrance.port}{_shown_path(match)}"
    apply_headers(route, rule.headers)
    if rule.fault is not None:
        route.typed_per_filter_config[FAULT_FILTER].CopyFrom(
            typed_config(compile_fault(rule.fault))
        )
    if rule.cors_policy is not None:
        policy = typed_config(compile_cors(rule.cors_policy))
        route.typed_per_filter_config[CORS_FILTER].CopyFrom(policy)
    if match is not None and match.stat_prefix:
        route.stat_prefix = match.stat_prefix
    return route


def _hash_policies(rule: HTTPRoute, balancer_of: BalancerOf) -> list[RouteAction.HashPolicy]:
    """What of a request decides its endpoint, where destinations want a consistent hash."""
    return [p for target in rule.route for p in hash_policies(balancer_of(target.destination))]


def provenance(service: VirtualService) -> Metadata:
    """Say which object a route came from, where explain and the access log look for it."""
    meta = service.metadata
    path = names.config_path(
        "networking.istio.io", "v1", meta.namespace, "virtual-service", meta.name
    )
    metadata = Metadata()
    metadata.filter_metadata["istio"].fields["config"].string_value = path
    return metadata


def _shown_path(match: HTTPMatchRequest | None) -> str:
    uri = match.uri if match is not None else None
    if uri is None:
        return "/*"
    return uri.exact or f"{uri.prefix or uri.regex or '/'}*"


def _action(
    rule: HTTPRoute,
    cluster_of: ClusterOf,
    mesh: MeshConfig,
    hashing: Sequence[RouteAction.HashPolicy],
) -> RouteAction:
    action = RouteAction(hash_policy=hashing)
    # Envoy's own default is 15 s; for Istio, no timeout means none, which Envoy spells 0 s.
    timeout = rule.timeout.timedelta if rule.timeout is not None else timedelta(0)
    action.timeout.FromTimedelta(timeout)
    action.max_grpc_timeout.FromTimedelta(timeout)
    default = mesh.default_http_retry_policy
    retries = compile_retries(rule.retries, default, hashed=bool(hashing))
    if retries is not None:
        action.retry_policy.CopyFrom(retries)
    if host := host_of(rule.headers):
        action.host_rewrite_literal = host
    # With several destinations, a weight of 0 is none; a single one needs no weight.
    targets = [d for d in rule.route if len(rule.route) == 1 or d.weight]
    if len(targets) == 1:
        _send_to_one(action, targets[0], cluster_of)
    else:
        action.weighted_clusters.CopyFrom(_weighted(targets, cluster_of))
    action.request_mirror_policies.extend(compile_mirrors(rule, cluster_of))
    return action


def _send_to_one(action: RouteAction, target: HTTPRouteDestination, cluster_of: ClusterOf) -> None:
    if target.headers is None:
        action.cluster = cluster_of(target.destination)
    else:
        # Operations of a destination have a place only in a weighted cluster.
        action.weighted_clusters.CopyFrom(_weighted([target], cluster_of))


def _weighted(targets: Sequence[HTTPRouteDestination], cluster_of: ClusterOf) -> WeightedCluster:
    weighted = WeightedCluster()
    for target in targets:
        share = weighted.clusters.add(name=cluster_of(target.destination))
        share.weight.value = target.weight if target.weight else 1
        apply_headers(share, target.headers)
        if host := host_of(target.headers):
            share.host_rewrite_literal = host
    return weighted


def _rewrite(action: RouteAction, rule: HTTPRoute, match: RouteMatch) -> None:
    rewrite = rule.rewrite
    if rewrite is None:
        return
    if rewrite.authority:
        action.host_rewrite_literal = rewrite.authority
    if rewrite.uri_regex_rewrite is not None:
        pattern = RegexMatcher(regex=rewrite.uri_regex_rewrite.match)
        action.regex_rewrite.pattern.CopyFrom(pattern)
        action.regex_rewrite.substitution = rewrite.uri_regex_rewrite.rewrite
    elif rewrite.uri == "/" and match.path_separated_prefix:
        action.regex_rewrite.CopyFrom(_without_prefix(match.path_separated_prefix))
    elif rewrite.uri:
        # Of a path that was matched as a whole, Envoy replaces all of it.
        action.prefix_rewrite = rewrite.uri


def _without_prefix(prefix: str) -> RegexMatchAndSubstitute:
    """Take a prefix of whole segments away; Envoy would leave ``//b`` of ``/a/b``.

    Source: istio's rewrite of the Gateway API's prefixes.
    """
    pattern = RegexMatcher(regex=f"^{re.escape(prefix)}(/?)(.*)")
    return RegexMatchAndSubstitute(pattern=pattern, substitution=r"/\2")


def _decoded(text: str) -> bytes:
    """The bytes of a body, which are base64; what is none is taken as it stands."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return text.encode()


def _redirect(redirect: HTTPRedirect, entrance: Entrance, match: RouteMatch) -> RedirectAction:
    action = RedirectAction(host_redirect=redirect.authority)
    if redirect.scheme:
        action.scheme_redirect = redirect.scheme
    action.response_code = _REDIRECT_CODES.get(
        redirect.redirect_code or 301, RedirectAction.MOVED_PERMANENTLY
    )
    if redirect.prefix_rewrite == "/" and match.path_separated_prefix:
        action.regex_rewrite.CopyFrom(_without_prefix(match.path_separated_prefix))
    elif redirect.prefix_rewrite:
        action.prefix_rewrite = redirect.prefix_rewrite
    elif redirect.uri:
        action.path_redirect = redirect.uri
    port = redirect.port
    if redirect.derive_port is DerivePort.FROM_REQUEST_PORT:
        port = entrance.port
    scheme = redirect.scheme or ("https" if entrance.tls else "http")
    # A URL does not name the port that its scheme stands for.
    if port is not None and (scheme, port) not in (("http", 80), ("https", 443)):
        action.port_redirect = port
    return action
