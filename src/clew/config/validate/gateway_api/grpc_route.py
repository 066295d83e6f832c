"""Rules for the Gateway API's GRPCRoute."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.filters import (
    check_common_filter,
    check_filters,
    check_union,
)
from clew.config.validate.gateway_api.formats import (
    HEADER_NAME,
    SECTION_NAME,
    check_count,
    check_length,
    check_text,
    check_unique,
)
from clew.config.validate.gateway_api.http_route import check_hostnames, check_match_total
from clew.config.validate.gateway_api.references import check_parents, check_weighted_backend
from clew.config.validate.gateway_api.sessions import check_session_persistence
from clew.model.gateway_api.grpc_route import (
    GRPCMethodMatch,
    GRPCRoute,
    GRPCRouteFilter,
    GRPCRouteMatch,
    GRPCRouteRule,
)
from clew.model.gateway_api.route import HeaderMatchType

_SERVICE = re.compile(r"\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*", re.IGNORECASE | re.ASCII)
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)


def validate_grpc_route(resource: GRPCRoute) -> Iterator[Finding]:
    spec, path = resource.spec, ("spec", "rules")
    yield from check_parents(spec.parent_refs)
    yield from check_hostnames(spec.hostnames, 16)
    yield from check_count(spec.rules, 16, path)
    yield from check_match_total((len(rule.matches) for rule in spec.rules), path)
    yield from check_unique((rule.name for rule in spec.rules), path, ("name",))
    for index, rule in enumerate(spec.rules):
        yield from _check_rule(rule, (*path, index))


def _check_rule(rule: GRPCRouteRule, path: FieldPath) -> Iterator[Finding]:
    yield from check_text(rule.name, SECTION_NAME, (*path, "name"))
    yield from check_count(rule.matches, 64, (*path, "matches"))
    for index, match in enumerate(rule.matches):
        yield from _check_match(match, (*path, "matches", index))
    yield from _check_filter_list(rule.filters, (*path, "filters"))
    yield from check_count(rule.backend_refs, 16, (*path, "backendRefs"))
    for index, backend in enumerate(rule.backend_refs):
        at = (*path, "backendRefs", index)
        yield from check_weighted_backend(backend, at)
        yield from _check_filter_list(backend.filters, (*at, "filters"))
    if rule.session_persistence is not None:
        yield from check_session_persistence(
            rule.session_persistence, (*path, "sessionPersistence")
        )


def _check_match(match: GRPCRouteMatch, path: FieldPath) -> Iterator[Finding]:
    if match.method is not None:
        yield from _check_method(match.method, (*path, "method"))
    yield from check_count(match.headers, 16, (*path, "headers"))
    for index, header in enumerate(match.headers):
        at = (*path, "headers", index)
        yield from check_text(header.name, HEADER_NAME, (*at, "name"))
        yield from check_length(header.value, 4096, (*at, "value"), shortest=1)
    yield from check_unique((each.name for each in match.headers), (*path, "headers"), ("name",))


def _check_method(match: GRPCMethodMatch, path: FieldPath) -> Iterator[Finding]:
    if match.service is None and match.method is None:
        yield Finding(path, "a service or a method is needed, or both")
    for field, value, pattern in (
        ("service", match.service, _SERVICE),
        ("method", match.method, _METHOD),
    ):
        yield from check_length(value, 1024, (*path, field))
        exact = match.type is HeaderMatchType.EXACT
        if exact and value is not None and not pattern.fullmatch(value):
            problem = f'"{value}" is not the name of a {field}'
            yield Finding((*path, field), problem, "for an expression, set type RegularExpression")


def _check_filter_list(filters: tuple[GRPCRouteFilter, ...], path: FieldPath) -> Iterator[Finding]:
    yield from check_filters(filters, path)
    for index, each in enumerate(filters):
        at = (*path, index)
        values = {
            "RequestHeaderModifier": each.request_header_modifier,
            "ResponseHeaderModifier": each.response_header_modifier,
            "RequestMirror": each.request_mirror,
            "ExtensionRef": each.extension_ref,
        }
        yield from check_union(each.type, values, at)
        yield from check_common_filter(each, at)
