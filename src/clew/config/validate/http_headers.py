"""Rules for header names and for the values that Envoy formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from clew.config.finding import FieldPath, Finding
from clew.model.virtual_service import HeaderOperations, Headers

_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_PSEUDO = frozenset({":method", ":scheme", ":authority", ":path", ":status"})
_CLAIM = re.compile(r"@request\.auth\.claims(\..+|\[.+\])", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = frozenset({"host", ":authority"})
# What Istio takes for Envoy's formats: %%, %NAME%, %NAME(text)% and %NAME(["text", "text"])%.
_TEXT = r'(?:\\.|[^\\)"])*'
_ARGUMENTS = rf'\( *(?:\[ *"|[^\[ ]){_TEXT}(?:" *, *"{_TEXT})*(?:" *\] *)?\) *'
_FORMAT = re.compile(rf"(?:[^%]|%%|%[^%(]*(?:{_ARGUMENTS})?%)*", re.DOTALL)
# Istio does not look at names; this is what those of Envoy's command operators are like.
_OPERATORS = re.compile(r"(?:[^%]|%%|%[A-Z0-9_]+(?:\(.*?\) *)?%)*", re.DOTALL)


def check_match_name(name: str, path: FieldPath) -> Iterator[Finding]:
    """The name of a header to match, a pseudo header, or a claim."""
    if not (is_claim(name) or name in _PSEUDO or _NAME.fullmatch(name)):
        yield Finding(path, f'"{name}" is not a header name')


def is_claim(name: str) -> bool:
    """``@request.auth.claims.group``, or ``@request.auth.claims[a][b]``."""
    return _CLAIM.fullmatch(name) is not None


def sets_host(headers: Headers | None) -> int:
    """How often do these operations set the host of a request?"""
    if headers is None or headers.request is None:
        return 0
    names = (*headers.request.set, *headers.request.add)
    return sum(name.lower() in _HOST for name in names)


def check_names(names: Iterable[str], path: FieldPath) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if not _NAME.fullmatch(name):
            yield Finding((*path, index), f'"{name}" is not a header name')


def check_headers(headers: Headers | None, path: FieldPath) -> Iterator[Finding]:
    """Only a request's ``host`` may be set; no other header that begins with a colon.

    Source: istio ``validateHTTPHeaderOperationName`` and its header value validator.
    """
    if headers is None:
        return
    if headers.request is not None:
        yield from _check_operations(headers.request, (*path, "request"), host=True)
    if headers.response is not None:
        yield from _check_operations(headers.response, (*path, "response"), host=False)


def _check_operations(
    operations: HeaderOperations, path: FieldPath, *, host: bool
) -> Iterator[Finding]:
    for field, values in (("set", operations.set), ("add", operations.add)):
        for name, value in values.items():
            at = (*path, field, name)
            if not (host and name.lower() in _HOST):
                yield from _check_changeable(name, at)
            if _CONTROL.search(value):
                yield Finding(at, "a header's value has no control characters")
            elif not _FORMAT.fullmatch(value):
                yield Finding(at, f'"{value}" is not a format', "write %% for a percent sign")
            elif not _OPERATORS.fullmatch(value):
                problem = f'"{value}" is not a format that Envoy knows'
                yield Finding(at, problem, "write %% for a percent sign", warning=True)
    for index, name in enumerate(operations.remove):
        yield from _check_changeable(name, (*path, "remove", index))


def _check_changeable(name: str, path: FieldPath) -> Iterator[Finding]:
    if name.lower() in _HOST or name.startswith(":"):
        yield Finding(path, f'the header "{name}" cannot be changed here')
    elif not _NAME.fullmatch(name):
        yield Finding(path, f'"{name}" is not a header name')
