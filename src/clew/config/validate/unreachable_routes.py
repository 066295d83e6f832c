"""Warnings about routes and matches of a VirtualService that nothing can ever reach.

Source: istio ``analyzeUnreachableHTTPRules``, whose idea of *covered* this follows to the letter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from clew.config.finding import FieldPath, Finding
from clew.model.virtual_service import (
    HTTPMatchRequest,
    HTTPRoute,
    L4MatchAttributes,
    StringMatch,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualServiceSpec,
)

_Match = HTTPMatchRequest | TLSMatchAttributes | L4MatchAttributes
_Route = HTTPRoute | TLSRoute | TCPRoute


@dataclass(frozen=True, slots=True)
class _Prefix:
    """A match on a prefix of the path, and what else it asks for as texts to compare."""

    prefix: str
    port: int
    texts: Mapping[tuple[str, str], str]
    name: str
    path: FieldPath


def check_reachable(spec: VirtualServiceSpec) -> Iterator[Finding]:
    """Yield a warning for each route and match that others before it leave nothing."""
    if len(spec.http) > 1 or any(len(route.match) > 1 for route in spec.http):
        yield from _check_duplicates(spec.http, ("spec", "http"))
        yield from _check_covered(spec.http)
    yield from _check_duplicates(spec.tcp, ("spec", "tcp"))
    yield from _check_duplicates(spec.tls, ("spec", "tls"))


def _check_duplicates(routes: Sequence[_Route], path: FieldPath) -> Iterator[Finding]:
    seen: dict[bytes, str] = {}
    catch_all = False
    several = sum(len(route.match) for route in routes) > 1
    for index, route in enumerate(routes):
        matches: Sequence[_Match] = route.match
        if not matches and catch_all:
            problem = "only the last rule can have no matches: this one is never reached"
            yield Finding((*path, index), problem, warning=True)
        if matches and catch_all:
            problem = "a rule before this one has no matches and takes all: this is never reached"
            yield Finding((*path, index), problem, warning=True)
            continue
        catch_all = catch_all or not matches
        if not several:
            continue
        new = 0
        for number, match in enumerate(matches):
            key = _without_name(match)
            if key in seen:
                problem = f"the same match is in rule {seen[key]}, so this one is never reached"
                yield Finding((*path, index, "match", number), problem, warning=True)
            else:
                seen[key] = _name(route, index)
                new += 1
        if matches and not new:
            problem = "rules before this one have all of its matches: it is never reached"
            yield Finding((*path, index), problem, warning=True)


def _without_name(match: _Match) -> bytes:
    named = isinstance(match, HTTPMatchRequest)
    plain = msgspec.structs.replace(match, name="") if named else match
    return msgspec.json.encode(plain, order="deterministic")


def _name(route: _Route, index: int) -> str:
    return f'"{route.name}"' if isinstance(route, HTTPRoute) and route.name else f"#{index}"


def _check_covered(routes: Sequence[HTTPRoute]) -> Iterator[Finding]:
    prefixes = [
        _prefix(match, _name(route, index), ("spec", "http", index, "match", number))
        for index, route in enumerate(routes)
        for number, match in enumerate(route.match)
        if match.uri is not None and match.uri.prefix
    ]
    before: dict[str, list[_Prefix]] = {}
    for later in prefixes:
        for length in range(1, len(later.prefix)):
            for first in before.get(later.prefix[:length], ()):
                if _covers(first, later):
                    problem = (
                        f'the prefix "{first.prefix}" of rule {first.name} takes all of '
                        f'"{later.prefix}", so this match is never reached'
                    )
                    yield Finding(later.path, problem, warning=True)
        before.setdefault(later.prefix, []).append(later)


def _prefix(match: HTTPMatchRequest, name: str, path: FieldPath) -> _Prefix:
    texts = {
        ("method", ""): _text(match.method) or "exact:GET",
        ("authority", ""): _text(match.authority),
    }
    for field, values in (
        ("headers", match.headers),
        ("queryParams", match.query_params),
        ("withoutHeaders", match.without_headers),
    ):
        texts |= {(field, key): _text(value) for key, value in values.items()}
    prefix = match.uri.prefix if match.uri is not None else None
    return _Prefix(prefix or "", match.port or 0, texts, name, path)


def _text(value: StringMatch | None) -> str:
    if value is not None and value.exact:
        return f"exact:{value.exact}"
    return f"prefix:{value.prefix}" if value is not None and value.prefix else ""


def _covers(first: _Prefix, later: _Prefix) -> bool:
    """Does ``first``, whose prefix begins that of ``later``, leave nothing for it?"""
    return (
        first.port == later.port
        and first.texts.keys() == later.texts.keys()
        and all(text.startswith(later.texts[key]) for key, text in first.texts.items())
    )
