"""Rules for header names and for the values that Envoy formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from clew.config.finding import FieldPath, Finding
from clew.model.virtual_service import HeaderOperations, Headers

_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_PSEUDO = frozenset({":method", ":scheme", ":authority", ":path", ":status"})
_HOST = frozenset({"host", ":authority"})
# Envoy's command operators: %%, or %NAME%, %NAME(arguments)%, %NAME(arguments):length%.
_FORMAT = re.compile(r"(?:[^%]|%%|%[A-Z0-9_]+(?:\(.*?\))?(?::\d+)?%)*", re.DOTALL)


def check_match_name(name: str, path: FieldPath) -> Iterator[Finding]:
    """The name of a header to match, a pseudo header, or a claim (``@request.auth.claims…``)."""
    if not (name.startswith("@") or name in _PSEUDO or _NAME.fullmatch(name)):
        yield Finding(path, f'"{name}" is not a header name')


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
            if not _FORMAT.fullmatch(value):
                hint = "write %% for a percent sign"
                yield Finding(at, f'"{value}" is not a format that Envoy knows', hint)
    for index, name in enumerate(operations.remove):
        yield from _check_changeable(name, (*path, "remove", index))


def _check_changeable(name: str, path: FieldPath) -> Iterator[Finding]:
    if name.lower() in _HOST or name.startswith(":"):
        yield Finding(path, f'the header "{name}" cannot be changed here')
    elif not _NAME.fullmatch(name):
        yield Finding(path, f'"{name}" is not a header name')
