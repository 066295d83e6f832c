"""Rules for the filters that HTTPRoutes and GRPCRoutes share, and those of HTTPRoutes alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.formats import (
    CORS_ORIGIN,
    HEADER_NAME,
    HEADER_VALUE,
    PRECISE_HOSTNAME,
    URL_PATH,
    check_count,
    check_length,
    check_number,
    check_text,
    check_texts,
    check_unique,
)
from clew.config.validate.gateway_api.references import check_backend, check_named
from clew.config.validate.hosts import check_port
from clew.model.gateway_api.http_filters import (
    HTTPCORSFilter,
    HTTPExternalAuthFilter,
    HTTPPathModifier,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
    HTTPURLRewriteFilter,
)
from clew.model.gateway_api.http_route import HTTPMethod
from clew.model.gateway_api.route import HTTPHeader, HTTPHeaderFilter, HTTPRequestMirrorFilter

_ONCE = (
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestRedirect",
    "URLRewrite",
    "CORS",
)
_SCHEMES = ("http", "https")
_REDIRECT_CODES = (301, 302, 303, 307, 308)
_METHODS = (*HTTPMethod, "*")


class Typed(Protocol):
    @property
    def type(self) -> str: ...


def check_filters(filters: Sequence[Typed], path: FieldPath) -> Iterator[Finding]:
    """At most sixteen, of most types at most one, and no redirect together with a rewrite."""
    yield from check_count(filters, 16, path)
    counts = Counter(str(each.type) for each in filters)
    for name in _ONCE:
        if counts[name] > 1:
            yield Finding(path, f"a filter of type {name} is there twice")
    if counts["RequestRedirect"] and counts["URLRewrite"]:
        yield Finding(path, "RequestRedirect and URLRewrite exclude each other")


def check_union(type_: str, values: Mapping[str, object], path: FieldPath) -> Iterator[Finding]:
    """Of the fields of a filter, the one that ``type`` names is set and no other.

    ``values`` maps types to the fields that they need, by the camelCase name of either.
    """
    for name, value in values.items():
        field = _field_of(name)
        if name == type_ and value is None:
            yield Finding(path, f"a filter of type {type_} needs the field {field}")
        elif name != type_ and value is not None:
            yield Finding((*path, field), f"a filter of type {type_} does not have this field")


def _field_of(type_: str) -> str:
    known = {"URLRewrite": "urlRewrite", "CORS": "cors"}
    return known.get(type_) or type_[:1].lower() + type_[1:]


def check_headers(headers: tuple[HTTPHeader, ...], path: FieldPath) -> Iterator[Finding]:
    yield from check_count(headers, 16, path)
    for index, header in enumerate(headers):
        yield from check_text(header.name, HEADER_NAME, (*path, index, "name"))
        yield from check_text(header.value, HEADER_VALUE, (*path, index, "value"))
    yield from check_unique((header.name for header in headers), path, ("name",))


def check_header_filter(change: HTTPHeaderFilter, path: FieldPath) -> Iterator[Finding]:
    yield from check_headers(change.set, (*path, "set"))
    yield from check_headers(change.add, (*path, "add"))
    yield from check_count(change.remove, 16, (*path, "remove"))
    yield from check_unique(change.remove, (*path, "remove"))


def check_mirror(mirror: HTTPRequestMirrorFilter, path: FieldPath) -> Iterator[Finding]:
    yield from check_backend(mirror.backend_ref, (*path, "backendRef"))
    yield from check_number(mirror.percent, 0, 100, (*path, "percent"))
    fraction = mirror.fraction
    if fraction is None:
        return
    at = (*path, "fraction")
    if mirror.percent is not None:
        yield Finding(path, "set only one of percent and fraction")
    if fraction.numerator < 0:
        yield Finding((*at, "numerator"), "cannot be negative")
    if fraction.denominator < 1:
        yield Finding((*at, "denominator"), "must be at least 1")
    elif fraction.numerator > fraction.denominator:
        yield Finding(at, "the numerator is greater than the denominator")


def check_common_filter(each: Any, path: FieldPath) -> Iterator[Finding]:
    """The filters that both HTTPRouteFilter and GRPCRouteFilter have."""
    if each.request_header_modifier is not None:
        yield from check_header_filter(
            each.request_header_modifier, (*path, "requestHeaderModifier")
        )
    if each.response_header_modifier is not None:
        at = (*path, "responseHeaderModifier")
        yield from check_header_filter(each.response_header_modifier, at)
    if each.request_mirror is not None:
        yield from check_mirror(each.request_mirror, (*path, "requestMirror"))
    if each.extension_ref is not None:
        yield from check_named(each.extension_ref, (*path, "extensionRef"))


def check_http_filter(each: HTTPRouteFilter, path: FieldPath) -> Iterator[Finding]:
    values = {
        "RequestHeaderModifier": each.request_header_modifier,
        "ResponseHeaderModifier": each.response_header_modifier,
        "RequestMirror": each.request_mirror,
        "RequestRedirect": each.request_redirect,
        "URLRewrite": each.url_rewrite,
        "CORS": each.cors,
        "ExternalAuth": each.external_auth,
        "ExtensionRef": each.extension_ref,
    }
    yield from check_union(each.type, values, path)
    yield from check_common_filter(each, path)
    if each.request_redirect is not None:
        yield from _check_redirect(each.request_redirect, (*path, "requestRedirect"))
    if each.url_rewrite is not None:
        yield from _check_rewrite(each.url_rewrite, (*path, "urlRewrite"))
    if each.cors is not None:
        yield from _check_cors(each.cors, (*path, "cors"))
    if each.external_auth is not None:
        yield from _check_external_auth(each.external_auth, (*path, "externalAuth"))


def _check_redirect(redirect: HTTPRequestRedirectFilter, path: FieldPath) -> Iterator[Finding]:
    if redirect.scheme is not None and redirect.scheme not in _SCHEMES:
        yield Finding((*path, "scheme"), f'"{redirect.scheme}" is not http or https')
    yield from check_text(redirect.hostname, PRECISE_HOSTNAME, (*path, "hostname"))
    yield from check_port(redirect.port, (*path, "port"))
    if redirect.status_code not in _REDIRECT_CODES:
        hint = f"one of {', '.join(map(str, _REDIRECT_CODES))}"
        problem = f"{redirect.status_code} is not a status code of redirects"
        yield Finding((*path, "statusCode"), problem, hint)
    if redirect.path is not None:
        yield from _check_path_modifier(redirect.path, (*path, "path"))


def _check_rewrite(rewrite: HTTPURLRewriteFilter, path: FieldPath) -> Iterator[Finding]:
    yield from check_text(rewrite.hostname, PRECISE_HOSTNAME, (*path, "hostname"))
    if rewrite.path is not None:
        yield from _check_path_modifier(rewrite.path, (*path, "path"))


def _check_path_modifier(modifier: HTTPPathModifier, path: FieldPath) -> Iterator[Finding]:
    values = {
        "ReplaceFullPath": modifier.replace_full_path,
        "ReplacePrefixMatch": modifier.replace_prefix_match,
    }
    for name, value in values.items():
        field = _field_of(name)
        yield from check_length(value, 1024, (*path, field))
        if (modifier.type == name) != (value is not None):
            wrong = "needs" if value is None else "has no"
            yield Finding(path, f"type {modifier.type} {wrong} field {field}")


def _check_cors(cors: HTTPCORSFilter, path: FieldPath) -> Iterator[Finding]:
    yield from check_texts(cors.allow_origins, CORS_ORIGIN, (*path, "allowOrigins"))
    for index, method in enumerate(cors.allow_methods):
        if method not in _METHODS:
            yield Finding((*path, "allowMethods", index), f'"{method}" is not an HTTP method')
    yield from check_texts(cors.allow_headers, HEADER_NAME, (*path, "allowHeaders"))
    yield from check_texts(cors.expose_headers, HEADER_NAME, (*path, "exposeHeaders"))
    for field, values, most in (
        ("allowOrigins", cors.allow_origins, 64),
        ("allowMethods", cors.allow_methods, 9),
        ("allowHeaders", cors.allow_headers, 64),
        ("exposeHeaders", cors.expose_headers, 64),
    ):
        yield from check_count(values, most, (*path, field))
        yield from check_unique(values, (*path, field))
        if field != "exposeHeaders" and "*" in values and len(values) > 1:
            yield Finding((*path, field), '"*" must stand alone')
    if cors.max_age < 1:
        yield Finding((*path, "maxAge"), "must be at least 1")


def _check_external_auth(auth: HTTPExternalAuthFilter, path: FieldPath) -> Iterator[Finding]:
    yield from check_backend(auth.backend_ref, (*path, "backendRef"))
    for protocol, field, value in (("GRPC", "grpc", auth.grpc), ("HTTP", "http", auth.http)):
        if (auth.protocol == protocol) != (value is not None):
            wrong = "needs" if value is None else "has no"
            yield Finding(path, f"protocol {auth.protocol} {wrong} field {field}")
    if auth.http is not None:
        yield from check_text(auth.http.path or None, URL_PATH, (*path, "http", "path"))
        for field, names in (
            ("allowedHeaders", auth.http.allowed_headers),
            ("allowedResponseHeaders", auth.http.allowed_response_headers),
        ):
            yield from _check_set(names, (*path, "http", field))
    if auth.grpc is not None:
        yield from _check_set(auth.grpc.allowed_headers, (*path, "grpc", "allowedHeaders"))
    if auth.forward_body is not None and auth.forward_body.max_size < 0:
        yield Finding((*path, "forwardBody", "maxSize"), "cannot be negative")


def _check_set(names: tuple[str, ...], path: FieldPath) -> Iterator[Finding]:
    yield from check_count(names, 64, path)
    yield from check_unique(names, path)
