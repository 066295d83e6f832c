"""Matches of HTTPRoutes and GRPCRoutes as Istio's, and which of them goes before another."""

from __future__ import annotations

from collections.abc import Iterable

from clew.model.gateway_api.grpc_route import GRPCHeaderMatch, GRPCMethodMatch, GRPCRouteMatch
from clew.model.gateway_api.http_route import (
    HTTPHeaderMatch,
    HTTPPathMatch,
    HTTPQueryParamMatch,
    HTTPRouteMatch,
    PathMatchType,
)
from clew.model.gateway_api.route import HeaderMatchType
from clew.model.virtual_service import HTTPMatchRequest, HTTPRoute, StringMatch

_ANY_SEGMENT = "[^/]+"


def http_match(match: HTTPRouteMatch) -> HTTPMatchRequest:
    return HTTPMatchRequest(
        uri=_uri(match.path),
        headers=_values(match.headers),
        query_params=_values(match.query_params),
        method=StringMatch(exact=match.method.value) if match.method else None,
    )


def _uri(path: HTTPPathMatch) -> StringMatch:
    match path.type:
        case PathMatchType.EXACT:
            return StringMatch(exact=path.value)
        case PathMatchType.REGULAR_EXPRESSION:
            return StringMatch(regex=path.value)
        case _:
            return StringMatch(prefix=path.value.rstrip("/") or "/")


def _values(
    matches: Iterable[HTTPHeaderMatch | HTTPQueryParamMatch | GRPCHeaderMatch],
) -> dict[str, StringMatch]:
    """Of several matches of one name the first counts, and names of headers have no case."""
    found: dict[str, StringMatch] = {}
    for match in matches:
        name = match.name if isinstance(match, HTTPQueryParamMatch) else match.name.lower()
        found.setdefault(name, _value(match.type, match.value))
    return found


def _value(kind: HeaderMatchType, text: str) -> StringMatch:
    if kind is HeaderMatchType.REGULAR_EXPRESSION:
        return StringMatch(regex=text)
    return StringMatch(exact=text)


def grpc_match(match: GRPCRouteMatch) -> HTTPMatchRequest:
    return HTTPMatchRequest(uri=_method(match.method), headers=_values(match.headers))


def _method(method: GRPCMethodMatch | None) -> StringMatch | None:
    """A gRPC call is a POST to ``/service/method``. Source: istio ``createGRPCURIMatch``."""
    if method is None or not (method.service or method.method):
        return None
    if method.type is HeaderMatchType.REGULAR_EXPRESSION:
        service, name = method.service or _ANY_SEGMENT, method.method or ".+"
        return StringMatch(regex=f"/{service}/{name}")
    if not method.method:
        return StringMatch(prefix=f"/{method.service}/")
    if not method.service:
        return StringMatch(regex=f"/{_ANY_SEGMENT}/{method.method}")
    return StringMatch(exact=f"/{method.service}/{method.method}")


def precedence(route: HTTPRoute) -> tuple[int, int, bool, int, int]:
    """Return the sort key of a route with at most one match: what is more specific goes first.

    Exact before prefix before regex, the longer path, a method, more headers, more parameters.
    Source: Gateway API ``HTTPRouteRule``, istio ``sortHTTPRoutes``.
    """
    if not route.match:
        return (4, 0, False, 0, 0)
    match = route.match[0]
    rank, length = _path_rank(match.uri)
    return (
        rank,
        -length,
        match.method is None,
        -len(match.headers),
        -len(match.query_params),
    )


def _path_rank(uri: StringMatch | None) -> tuple[int, int]:
    if uri is None:
        return 3, 0
    if uri.exact is not None:
        return 0, len(uri.exact)
    if uri.prefix is not None:
        return 1, len(uri.prefix)
    return 2, len(uri.regex or "")
