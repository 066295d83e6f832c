"""Filters of HTTPRoutes and GRPCRoutes as fields of an Istio route."""

from __future__ import annotations

import re
from collections.abc import Iterable

from clew.model.duration import Duration
from clew.model.gateway_api.grpc_route import GRPCRouteFilter
from clew.model.gateway_api.http_filters import (
    HTTPCORSFilter,
    HTTPPathModifier,
    HTTPPathModifierType,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
    HTTPURLRewriteFilter,
)
from clew.model.gateway_api.route import HTTPHeader, HTTPHeaderFilter, HTTPRequestMirrorFilter
from clew.model.virtual_service import (
    CorsPolicy,
    DerivePort,
    Destination,
    HeaderOperations,
    Headers,
    HTTPMirrorPolicy,
    HTTPRedirect,
    HTTPRewrite,
    Percent,
    RegexRewrite,
    StringMatch,
)

AnyFilter = HTTPRouteFilter | GRPCRouteFilter


def header_operations(filters: Iterable[AnyFilter]) -> Headers | None:
    """Return what is set, added and removed in requests and responses."""
    request = response = None
    for each in filters:
        if each.request_header_modifier is not None:
            request = _operations(each.request_header_modifier)
        if each.response_header_modifier is not None:
            response = _operations(each.response_header_modifier)
    return Headers(request=request, response=response) if request or response else None


def _operations(declared: HTTPHeaderFilter) -> HeaderOperations:
    return HeaderOperations(
        set=_by_name(declared.set), add=_by_name(declared.add), remove=declared.remove
    )


def _by_name(headers: Iterable[HTTPHeader]) -> dict[str, str]:
    """Of several entries of one name, the first counts."""
    found: dict[str, HTTPHeader] = {}
    for header in headers:
        found.setdefault(header.name.lower(), header)
    return {header.name: header.value for header in found.values()}


def redirect(declared: HTTPRequestRedirectFilter) -> HTTPRedirect:
    """Source: istio ``createRedirectFilter``."""
    full, prefix = _replacements(declared.path)
    derive = None
    if declared.port is None:
        known = declared.scheme is not None
        derive = DerivePort.FROM_PROTOCOL_DEFAULT if known else DerivePort.FROM_REQUEST_PORT
    return HTTPRedirect(
        uri=full or "",
        prefix_rewrite=_prefix(prefix) if prefix is not None else "",
        authority=declared.hostname or "",
        port=declared.port,
        derive_port=derive,
        scheme=declared.scheme or "",
        redirect_code=declared.status_code,
    )


def rewrite(declared: HTTPURLRewriteFilter) -> HTTPRewrite:
    """Source: istio ``createRewriteFilter``."""
    full, prefix = _replacements(declared.path)
    return HTTPRewrite(
        authority=declared.hostname or "",
        uri=_prefix(prefix) if prefix is not None else "",
        uri_regex_rewrite=RegexRewrite(match="/.*", rewrite=full) if full is not None else None,
    )


def _replacements(path: HTTPPathModifier | None) -> tuple[str | None, str | None]:
    """Return the new path, or the new prefix of the path."""
    if path is None:
        return None, None
    if path.type is HTTPPathModifierType.REPLACE_FULL_PATH:
        return path.replace_full_path or "/", None
    return None, path.replace_prefix_match or "/"


def _prefix(text: str) -> str:
    """A prefix goes by whole segments; to replace it by nothing is to leave ``/``."""
    return text.rstrip("/") or "/"


def mirror(declared: HTTPRequestMirrorFilter, destination: Destination) -> HTTPMirrorPolicy:
    share = None
    if declared.percent is not None:
        share = Percent(value=float(declared.percent))
    elif declared.fraction is not None:
        fraction = declared.fraction
        share = Percent(value=100.0 * fraction.numerator / (fraction.denominator or 100))
    return HTTPMirrorPolicy(destination=destination, percentage=share)


def cors(declared: HTTPCORSFilter) -> CorsPolicy:
    return CorsPolicy(
        allow_origins=tuple(_origin(origin) for origin in declared.allow_origins if origin),
        allow_methods=declared.allow_methods,
        allow_headers=declared.allow_headers,
        expose_headers=declared.expose_headers,
        allow_credentials=True if declared.allow_credentials else None,
        max_age=Duration.parse(f"{declared.max_age}s") if declared.max_age > 0 else None,
    )


def _origin(text: str) -> StringMatch:
    """``*`` stands for any text of an origin, as in ``https://*.example.com``."""
    if "*" not in text:
        return StringMatch(exact=text)
    return StringMatch(regex=".*".join(re.escape(part) for part in text.split("*")))
