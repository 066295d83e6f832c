"""An HTTPMatchRequest as Envoy's route match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clew._pb.envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    QueryParameterMatcher,
    RouteMatch,
)
from clew._pb.envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from clew._pb.envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from clew._pb.envoy.type.matcher.v3.string_pb2 import StringMatcher
from clew._pb.envoy.type.matcher.v3.value_pb2 import ListMatcher, ValueMatcher
from clew.model.virtual_service import HTTPMatchRequest, StringMatch

# What a token says of the client, in place of a header's name.
_CLAIMS = "@request.auth.claims"


def compile_route_match(match: HTTPMatchRequest | None, *, segments: bool = False) -> RouteMatch:
    """Return the match of one route. None, and a match without a path, take every path.

    ``segments``: prefixes go by whole segments of the path.
    """
    if match is None:
        return RouteMatch(prefix="/")
    compiled = _path(match.uri, segments=segments)
    if match.ignore_uri_case:
        compiled.case_sensitive.value = False
    for name, value in sorted(match.headers.items()):
        _match_header(compiled, name, value, inverted=False)
    for name, value in sorted(match.without_headers.items()):
        _match_header(compiled, name, value, inverted=True)
    compiled.headers.extend(_pseudo_headers(match))
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


def _path(uri: StringMatch | None, *, segments: bool) -> RouteMatch:
    if uri is None:
        return RouteMatch(prefix="/")
    if segments and (whole := (uri.prefix or "").rstrip("/")):
        return RouteMatch(path_separated_prefix=whole)
    if uri.exact is not None:
        return RouteMatch(path=uri.exact)
    if uri.regex is not None:
        return RouteMatch(safe_regex=RegexMatcher(regex=uri.regex))
    return RouteMatch(prefix=uri.prefix or "/")


def _match_header(match: RouteMatch, name: str, value: StringMatch, *, inverted: bool) -> None:
    if claim := claim_path(name):
        match.dynamic_metadata.append(_claim(claim, value, inverted=inverted))
        return
    header = _header(name, value)
    if inverted:
        header.invert_match = True
        # A header that is not there does not have the value either.
        header.treat_missing_header_as_empty = not is_presence(value)
    match.headers.append(header)


def claim_path(name: str) -> tuple[str, ...]:
    """The JWT claim that a header match names, from the outside in; empty if it names none.

    ``@request.auth.claims.a.b`` and ``@request.auth.claims[a][b]``.
    Source: istio ``ToRoutingClaim``.
    """
    prefix, rest = name[: len(_CLAIMS)].lower(), name[len(_CLAIMS) :]
    if prefix != _CLAIMS or len(rest) < 2:
        return ()
    if rest.startswith("."):
        return tuple(rest[1:].split("."))
    if rest.startswith("[") and rest.endswith("]"):
        return tuple(rest[1:-1].split("]["))
    return ()


def _claim(path: Sequence[str], value: StringMatch, *, inverted: bool) -> MetadataMatcher:
    """A claim of the request's token: a text, or a list with it, as ``jwt_authn`` found it."""
    keys = (MetadataMatcher.PathSegment(key=key) for key in ("payload", *path))
    matcher = MetadataMatcher(filter="envoy.filters.http.jwt_authn", path=keys, invert=inverted)
    if is_presence(value):
        matcher.value.present_match = True
        return matcher
    text = ValueMatcher(string_match=string_matcher(value))
    listed = ValueMatcher(list_match=ListMatcher(one_of=text))
    matcher.value.or_match.value_matchers.extend([listed, text])
    return matcher


def _pseudo_headers(match: HTTPMatchRequest) -> Iterator[HeaderMatcher]:
    pseudo = ((":method", match.method), (":authority", match.authority))
    for name, pseudo_value in (*pseudo, (":scheme", match.scheme)):
        if pseudo_value is not None:
            yield _header(name, pseudo_value)


def _header(name: str, value: StringMatch) -> HeaderMatcher:
    if is_presence(value):
        return HeaderMatcher(name=name, present_match=True)
    return HeaderMatcher(name=name, string_match=string_matcher(value))
