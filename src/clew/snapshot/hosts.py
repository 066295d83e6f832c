"""Host names with Istio's wildcards: ``*`` alone or as the first part: ``*.example.com``."""

from __future__ import annotations


def is_wildcard(host: str) -> bool:
    return host.startswith("*")


def covers(pattern: str, host: str) -> bool:
    """Whether every name that ``host`` stands for is one that ``pattern`` stands for.

    Source: istio ``host.Name.SubsetOf``.
    """
    if not is_wildcard(pattern):
        return pattern == host
    return host.removeprefix("*").endswith(pattern[1:])


def overlap(one: str, other: str) -> bool:
    """Whether one of the two covers the other. Source: istio ``host.Name.Matches``."""
    return covers(one, other) or covers(other, one)
