"""Kubernetes' label selectors as text: ``app=reviews,version in (v1, v2),!canary``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from clew.server.replies import BadRequest

Selects = Callable[[Mapping[str, str]], bool]

_KEY = r"[A-Za-z0-9][A-Za-z0-9_.\-/]*"
_SET = re.compile(rf"^({_KEY})\s+(in|notin)\s+\(([^()]*)\)$")
_EQUALITY = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*([A-Za-z0-9_.\-]*)$")
_EXISTENCE = re.compile(rf"^(!?)\s*({_KEY})$")
# Commas separate requirements, except inside the parentheses of a set.
_SEPARATOR = re.compile(r",(?![^()]*\))")


def selector(text: str) -> Selects:
    """Return the test that the selector makes; "" selects everything. Raises: BadRequest."""
    requirements = [_requirement(part.strip()) for part in _SEPARATOR.split(text) if part.strip()]
    return lambda labels: all(requirement(labels) for requirement in requirements)


def _requirement(text: str) -> Selects:
    if found := _SET.match(text):
        return _membership(found[1], found[2], [value.strip() for value in found[3].split(",")])
    if found := _EQUALITY.match(text):
        return _membership(found[1], "notin" if found[2] == "!=" else "in", [found[3]])
    if found := _EXISTENCE.match(text):
        wanted, key = not found[1], found[2]
        return lambda labels: (key in labels) is wanted
    raise BadRequest(
        f'"{text}" is no label selector',
        hint="write key=value, key!=value, key in (a, b), key notin (a, b), key or !key",
    )


def _membership(key: str, operator: str, values: list[str]) -> Selects:
    """As in Kubernetes, an object without the label is "not in" every set."""
    if operator == "in":
        return lambda labels: key in labels and labels[key] in values
    return lambda labels: key not in labels or labels[key] not in values
