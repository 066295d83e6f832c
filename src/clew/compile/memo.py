"""Results of pure functions, remembered by the identity of what they were made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_BY_VALUE = frozenset({str, int, bool, type(None), frozenset})

_Key = tuple[Any, ...]
_Entry = tuple[tuple[Any, ...], Any]


class Memo:
    """A cache whose keys are a function and its arguments.

    Strings, numbers and frozensets count by value; anything else is immutable and counts by
    identity, which is what structural sharing makes of an unchanged input. So an argument must
    not be a number in one call and an object in the next. Entries keep their arguments alive, so
    that an identity cannot come to mean another object.

    There are two generations: whoever was not asked for while ``limit`` new results came in, is
    forgotten. ``limit`` must therefore exceed what one round over all scopes asks for.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._young: dict[_Key, _Entry] = {}
        self._old: dict[_Key, _Entry] = {}

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return ``function(*arguments)``, computed at most once for these arguments."""
        key = (function, *[a if type(a) in _BY_VALUE else id(a) for a in arguments])
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.pop(key, None) or (arguments, function(*arguments))
            if len(self._young) >= self._limit:
                self._old, self._young = self._young, {}
            self._young[key] = entry
        result: T = entry[1]
        return result
