"""Rules of HTTPRoutes and GRPCRoutes as Istio routes, each with one match at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from clew.model.duration import Duration
from clew.model.gateway_api.grpc_route import GRPCBackendRef, GRPCRoute, GRPCRouteRule
from clew.model.gateway_api.http_filters import HTTPRouteFilter
from clew.model.gateway_api.http_route import (
    HTTPBackendRef,
    HTTPRouteRetry,
    HTTPRouteRule,
    HTTPRouteTimeouts,
    KubernetesHTTPRoute,
)
from clew.model.virtual_service import (
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPMirrorPolicy,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
)
from clew.snapshot.gateway_api.backends import resolve_backend
from clew.snapshot.gateway_api.conditions import Problem
from clew.snapshot.gateway_api.http_filters import (
    AnyFilter,
    cors,
    header_operations,
    mirror,
    redirect,
    rewrite,
)
from clew.snapshot.gateway_api.http_matches import grpc_match, http_match
from clew.snapshot.gateway_api.sources import Sources

HttpRoute = KubernetesHTTPRoute | GRPCRoute

_SUPPORTED = (
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestRedirect",
    "RequestMirror",
    "URLRewrite",
    "CORS",
)
_OF_BACKENDS = ("RequestHeaderModifier", "ResponseHeaderModifier")
# What happens to all requests of the rule, if all go to one backend.
_OF_THE_ONLY_BACKEND = (*_OF_BACKENDS, "URLRewrite", "RequestMirror", "CORS")
# What Istio retries on whenever a route asks for retries, besides the codes that it names.
_RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled")


@dataclass(frozen=True, slots=True)
class Rules:
    """The routes of one object. ``problem``: the last that was found in it."""

    routes: tuple[HTTPRoute, ...] = ()
    problem: Problem | None = None


@dataclass(slots=True)
class _Found:
    """Problems as they turn up in a rule; the last one is reported."""

    problem: Problem | None = None

    def note(self, problem: Problem | None) -> None:
        self.problem = problem or self.problem


@dataclass(slots=True)
class _Context:
    route: HttpRoute
    sources: Sources
    granted: bool
    found: _Found = field(default_factory=_Found)


def convert_rules(route: HttpRoute, sources: Sources, *, mesh: bool) -> Rules:
    """Return the rules of a route, for its gateways or for the mesh.

    In the mesh a route speaks for clients, who may call any namespace: no grant is asked for.
    """
    context = _Context(route, sources, granted=not mesh)
    routes: list[HTTPRoute] = []
    rules: tuple[HTTPRouteRule | GRPCRouteRule, ...] = route.spec.rules
    for position, rule in enumerate(rules):
        unsupported = _unsupported(rule)
        if unsupported is not None:
            return Rules(problem=unsupported)
        base = _rule(rule, position, context)
        routes += [msgspec.structs.replace(base, match=match) for match in _matches(rule)]
    return Rules(tuple(routes), context.found.problem)


def _unsupported(rule: HTTPRouteRule | GRPCRouteRule) -> Problem | None:
    """Return what of a rule cannot be had, so that the route as a whole is not in force."""
    for each in rule.filters:
        if each.type.value not in _SUPPORTED:
            return Problem("InvalidFilter", f'unsupported filter type "{each.type.value}"')
    alone = len(rule.backend_refs) == 1
    for backend in rule.backend_refs:
        for each in backend.filters:
            if each.type.value not in (_OF_THE_ONLY_BACKEND if alone else _OF_BACKENDS):
                return Problem("InvalidFilter", f'unsupported filter type "{each.type.value}"')
    return None


def _matches(rule: HTTPRouteRule | GRPCRouteRule) -> list[tuple[HTTPMatchRequest, ...]]:
    if isinstance(rule, HTTPRouteRule):
        return [(http_match(match),) for match in rule.matches] or [()]
    found = [grpc_match(match) for match in rule.matches]
    return [(match,) if match != HTTPMatchRequest() else () for match in found] or [()]


def _rule(rule: HTTPRouteRule | GRPCRouteRule, position: int, context: _Context) -> HTTPRoute:
    meta = context.route.metadata
    filters: tuple[AnyFilter, ...] = (*rule.filters, *_shared_filters(rule))
    route = HTTPRoute(
        name=f"{meta.namespace}.{meta.name}.{position}",
        headers=header_operations(rule.filters),
        mirrors=tuple(_mirrors(filters, context)),
    )
    if isinstance(rule, HTTPRouteRule):
        route = _with_http(route, rule, filters)
    if route.redirect is not None:
        return route
    wanted = [backend for backend in rule.backend_refs if backend.weight]
    if not wanted:
        # Source: Gateway API: a rule whose backends have no weight answers 500.
        return msgspec.structs.replace(route, direct_response=HTTPDirectResponse(status=500))
    return msgspec.structs.replace(route, route=tuple(_destinations(wanted, context)))


def _shared_filters(rule: HTTPRouteRule | GRPCRouteRule) -> tuple[AnyFilter, ...]:
    """Filters of a backend that all requests go to, but for headers, which Envoy has there."""
    backends = rule.backend_refs
    own = backends[0].filters if len(backends) == 1 else ()
    return tuple(each for each in own if each.type.value not in _OF_BACKENDS)


def _with_http(route: HTTPRoute, rule: HTTPRouteRule, filters: Iterable[AnyFilter]) -> HTTPRoute:
    changes: dict[str, object] = {}
    for each in filters:
        if not isinstance(each, HTTPRouteFilter):
            continue
        if each.request_redirect is not None:
            changes["redirect"] = redirect(each.request_redirect)
        if each.url_rewrite is not None:
            changes["rewrite"] = rewrite(each.url_rewrite)
        if each.cors is not None:
            changes["cors_policy"] = cors(each.cors)
    changes |= _times(rule.timeouts, rule.retry)
    return msgspec.structs.replace(route, **changes)


def _times(
    timeouts: HTTPRouteTimeouts | None, retry: HTTPRouteRetry | None
) -> dict[str, Duration | HTTPRetry]:
    """Return timeout and retries. A backend's timeout is that of one try, or of the only one."""
    request = _positive(timeouts.request if timeouts else None)
    backend = _positive(timeouts.backend_request if timeouts else None)
    found: dict[str, Duration | HTTPRetry] = {}
    if request is not None:
        found["timeout"] = request
    if retry is not None:
        codes = tuple(str(code) for code in retry.codes)
        found["retries"] = HTTPRetry(
            attempts=1 if retry.attempts is None else retry.attempts,
            retry_on=",".join((*_RETRY_ON, *codes)),
            backoff=retry.backoff,
            per_try_timeout=backend,
        )
    elif backend is not None:
        found["timeout"] = backend
    return found


def _positive(duration: Duration | None) -> Duration | None:
    """Zero is no timeout, and so is none."""
    return duration if duration is not None and duration.timedelta else None


def _mirrors(filters: Iterable[AnyFilter], context: _Context) -> Iterator[HTTPMirrorPolicy]:
    for each in filters:
        if each.request_mirror is None:
            continue
        backend = resolve_backend(
            each.request_mirror.backend_ref,
            context.route,
            context.sources,
            granted=context.granted,
        )
        context.found.note(backend.problem)
        if backend.problem is None:
            yield mirror(each.request_mirror, backend.destination)


def _destinations(
    backends: Sequence[HTTPBackendRef | GRPCBackendRef], context: _Context
) -> Iterator[HTTPRouteDestination]:
    for reference in backends:
        found = resolve_backend(reference, context.route, context.sources, granted=context.granted)
        context.found.note(found.problem)
        yield HTTPRouteDestination(
            destination=found.destination,
            weight=reference.weight if len(backends) > 1 else None,
            headers=header_operations(reference.filters),
        )
