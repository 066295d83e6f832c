"""Results of pure functions, remembered by the identity of what they were made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_PLAIN = (str, int, bool, type(None))


class Memo:
    """A cache whose keys are a function and its arguments.

    Strings and numbers count by value; anything else is immutable and counts by identity, which
    is what structural sharing makes of an unchanged input. Entries keep their arguments alive, so
    that an identity cannot come to mean another object. At ``limit`` entries it starts again.
    """

    def __init__(self, limit: int = 500_000) -> None:
        self._limit = limit
        self._entries: dict[tuple[Any, ...], tuple[tuple[Any, ...], Any]] = {}

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return ``function(*arguments)``, computed at most once for these arguments."""
        key = (function, *(a if isinstance(a, _PLAIN) else id(a) for a in arguments))
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._limit:
                self._entries.clear()
            entry = self._entries[key] = (arguments, function(*arguments))
        result: T = entry[1]
        return result
