"""An HTTPMatchRequest as Envoy's route match."""

from __future__ import annotations

from collections.abc import Iterator

from clew._pb.envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    QueryParameterMatcher,
    RouteMatch,
)
from clew._pb.envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from clew._pb.envoy.type.matcher.v3.string_pb2 import StringMatcher
from clew.model.virtual_service import HTTPMatchRequest, StringMatch


def compile_route_match(match: HTTPMatchRequest | None) -> RouteMatch:
    """Return the match of one route. None, and a match without a path, take every path."""
    if match is None:
        return RouteMatch(prefix="/")
    compiled = _path(match.uri)
    if match.ignore_uri_case:
        compiled.case_sensitive.value = False
    compiled.headers.extend(_headers(match))
    compiled.query_parameters.extend(
        QueryParameterMatcher(name=name, present_match=True)
        if is_presence(value)
        else QueryParameterMatcher(name=name, string_match=string_matcher(value))
        for name, value in sorted(match.query_params.items())
    )
    return compiled


def is_catch_all(match: RouteMatch) -> bool:
    """Whether no later route could ever be reached."""
    everything = match.prefix == "/" or match.safe_regex.regex in (".*", "*")
    return everything and not (match.headers or match.query_parameters or match.dynamic_metadata)


def is_presence(value: StringMatch) -> bool:
    """An empty match asks only whether the name is there, and so does the regex ``*``."""
    nothing = value.exact is None and value.prefix is None and value.regex is None
    return nothing or value.regex == "*"


def string_matcher(value: StringMatch) -> StringMatcher:
    if value.exact is not None:
        return StringMatcher(exact=value.exact)
    if value.prefix is not None:
        return StringMatcher(prefix=value.prefix)
    return StringMatcher(safe_regex=RegexMatcher(regex=value.regex or ".*"))


def _path(uri: StringMatch | None) -> RouteMatch:
    if uri is None:
        return RouteMatch(prefix="/")
    if uri.exact is not None:
        return RouteMatch(path=uri.exact)
    if uri.regex is not None:
        return RouteMatch(safe_regex=RegexMatcher(regex=uri.regex))
    return RouteMatch(prefix=uri.prefix or "/")


def _headers(match: HTTPMatchRequest) -> Iterator[HeaderMatcher]:
    for name, value in sorted(match.headers.items()):
        yield _header(name, value)
    for name, value in sorted(match.without_headers.items()):
        header = _header(name, value)
        header.invert_match = True
        # A header that is not there does not have the value either.
        header.treat_missing_header_as_empty = not is_presence(value)
        yield header
    pseudo = ((":method", match.method), (":authority", match.authority))
    for name, pseudo_value in (*pseudo, (":scheme", match.scheme)):
        if pseudo_value is not None:
            yield _header(name, pseudo_value)


def _header(name: str, value: StringMatch) -> HeaderMatcher:
    if is_presence(value):
        return HeaderMatcher(name=name, present_match=True)
    return HeaderMatcher(name=name, string_match=string_matcher(value))
