"""Rules for the Gateway API's HTTPRoute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.filters import check_filters, check_http_filter
from clew.config.validate.gateway_api.formats import (
    HEADER_NAME,
    HEADER_VALUE,
    HOSTNAME,
    SECTION_NAME,
    URL_PATH,
    check_count,
    check_length,
    check_number,
    check_text,
    check_texts,
    check_unique,
)
from clew.config.validate.gateway_api.references import check_parents, check_weighted_backend
from clew.config.validate.gateway_api.sessions import check_session_persistence
from clew.model.duration import Duration
from clew.model.gateway_api.http_filters import (
    HTTPPathModifierType,
    HTTPRouteFilter,
    HTTPRouteFilterType,
)
from clew.model.gateway_api.http_route import (
    HTTPPathMatch,
    HTTPRouteMatch,
    HTTPRouteRetry,
    HTTPRouteRule,
    HTTPRouteTimeouts,
    KubernetesHTTPRoute,
    PathMatchType,
)

_MOST_MATCHES = 128
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F", "#")
_NOT_AT_END = ("/..", "/.")


def validate_kubernetes_http_route(resource: KubernetesHTTPRoute) -> Iterator[Finding]:
    spec, path = resource.spec, ("spec", "rules")
    yield from check_parents(spec.parent_refs)
    yield from check_hostnames(spec.hostnames, 16)
    yield from check_count(spec.rules, 16, path)
    yield from check_match_total((len(rule.matches) for rule in spec.rules), path)
    yield from check_unique((rule.name for rule in spec.rules), path, ("name",))
    for index, rule in enumerate(spec.rules):
        yield from _check_rule(rule, (*path, index))


def check_hostnames(hostnames: tuple[str, ...], most: int) -> Iterator[Finding]:
    path: FieldPath = ("spec", "hostnames")
    yield from check_count(hostnames, most, path)
    yield from check_texts(hostnames, HOSTNAME, path)


def check_match_total(counts: Iterator[int], path: FieldPath) -> Iterator[Finding]:
    if (total := sum(counts)) > _MOST_MATCHES:
        yield Finding(path, f"{total} matches, and a route has at most {_MOST_MATCHES} in all")


def _check_rule(rule: HTTPRouteRule, path: FieldPath) -> Iterator[Finding]:
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
    yield from _check_replaced_prefixes(rule, path)
    if rule.backend_refs and any(each.request_redirect for each in rule.filters):
        yield Finding(path, "a rule that redirects has no backendRefs")
    if rule.timeouts is not None:
        yield from _check_timeouts(rule.timeouts, (*path, "timeouts"))
    if rule.retry is not None:
        yield from _check_retry(rule.retry, (*path, "retry"))
    if rule.session_persistence is not None:
        yield from check_session_persistence(
            rule.session_persistence, (*path, "sessionPersistence")
        )


def _check_match(match: HTTPRouteMatch, path: FieldPath) -> Iterator[Finding]:
    yield from _check_path(match.path, (*path, "path"))
    yield from check_count(match.headers, 16, (*path, "headers"))
    for index, header in enumerate(match.headers):
        at = (*path, "headers", index)
        yield from check_text(header.name, HEADER_NAME, (*at, "name"))
        yield from check_text(header.value, HEADER_VALUE, (*at, "value"))
    yield from check_unique((each.name for each in match.headers), (*path, "headers"), ("name",))
    yield from check_count(match.query_params, 16, (*path, "queryParams"))
    for index, parameter in enumerate(match.query_params):
        at = (*path, "queryParams", index)
        yield from check_text(parameter.name, HEADER_NAME, (*at, "name"))
        yield from check_length(parameter.value, 1024, (*at, "value"), shortest=1)
    names = (each.name for each in match.query_params)
    yield from check_unique(names, (*path, "queryParams"), ("name",))


def _check_path(path_match: HTTPPathMatch, path: FieldPath) -> Iterator[Finding]:
    value, at = path_match.value, (*path, "value")
    if path_match.type is PathMatchType.REGULAR_EXPRESSION:
        yield from check_length(value, 1024, at)
        return
    yield from check_text(value, URL_PATH, at)
    if not value.startswith("/"):
        yield Finding(at, f'"{value}" does not start with /')
    for part in _NOT_IN_PATHS:
        if part in value:
            yield Finding(at, f'"{value}" has {part} in it')
    for end in _NOT_AT_END:
        if value.endswith(end):
            yield Finding(at, f'"{value}" ends with {end}')


def _check_filter_list(filters: tuple[HTTPRouteFilter, ...], path: FieldPath) -> Iterator[Finding]:
    yield from check_filters(filters, path)
    for index, each in enumerate(filters):
        yield from check_http_filter(each, (*path, index))


def _check_replaced_prefixes(rule: HTTPRouteRule, path: FieldPath) -> Iterator[Finding]:
    """A prefix can be replaced only if the rule has one match, and that of a prefix."""
    one_prefix = len(rule.matches) == 1 and rule.matches[0].path.type is PathMatchType.PATH_PREFIX
    if one_prefix:
        return
    for kind in (HTTPRouteFilterType.REQUEST_REDIRECT, HTTPRouteFilterType.URL_REWRITE):
        here = _replaces_prefix(rule.filters, kind)
        # The CRD asks for exactly one such backend; two of them pass.
        if here or sum(_replaces_prefix(each.filters, kind) for each in rule.backend_refs) == 1:
            problem = f"{kind} with replacePrefixMatch needs exactly one match, of a PathPrefix"
            yield Finding((*path, "matches"), problem)


def _replaces_prefix(filters: Sequence[HTTPRouteFilter], kind: HTTPRouteFilterType) -> bool:
    redirect = kind is HTTPRouteFilterType.REQUEST_REDIRECT
    changes = [each.request_redirect if redirect else each.url_rewrite for each in filters]
    return any(
        change is not None
        and change.path is not None
        and change.path.type is HTTPPathModifierType.REPLACE_PREFIX_MATCH
        for change in changes
    )


def _check_timeouts(timeouts: HTTPRouteTimeouts, path: FieldPath) -> Iterator[Finding]:
    whole, one = timeouts.request, timeouts.backend_request
    if whole is not None and one is not None and Duration(0) < whole < one:
        at = (*path, "backendRequest")
        yield Finding(at, f"{one} is longer than the whole request may take, {whole}")


def _check_retry(retry: HTTPRouteRetry, path: FieldPath) -> Iterator[Finding]:
    for index, code in enumerate(retry.codes):
        yield from check_number(code, 400, 599, (*path, "codes", index))
    yield from check_unique(retry.codes, (*path, "codes"))
