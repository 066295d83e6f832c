"""Parts of scopes that many proxies share, kept while what they are made from stays the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Views:
    """A cache with one entry per name, valid as long as its inputs are the same objects.

    A new value that equals the old one is replaced by it, so that whatever is made from it stays
    valid too. It belongs to one line of snapshots, of which the newest is in use.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[tuple[object, ...], Any]] = {}

    def get(self, name: Hashable, make: Callable[..., T], *inputs: Any) -> T:
        """Return ``make(*inputs)``, made again only for other inputs."""
        known = self._kept.get(name)
        if known is not None and all(map(_same, known[0], inputs)):
            kept: T = known[1]
            return kept
        value = make(*inputs)
        if known is not None and known[1] == value:
            value = known[1]
        self._kept[name] = (inputs, value)
        return value


def _same(one: object, other: object) -> bool:
    return one is other
