"""How long to wait before trying again."""

from __future__ import annotations

from collections.abc import Iterator


def delays(first: float, longest: float) -> Iterator[float]:
    """Yield seconds to wait, doubling from ``first`` up to ``longest``, without end."""
    delay = first
    while True:
        yield delay
        delay = min(delay * 2, longest)
