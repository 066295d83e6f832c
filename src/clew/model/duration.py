"""Durations as Istio and Kubernetes write them: Go's grammar, such as ``1.5s`` or ``1h10m``."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import total_ordering
from typing import Self

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 2**63 - 1


@total_ordering
class Duration:
    """A length of time in whole nanoseconds, the resolution of Go and protobuf. Immutable.

    Not a dataclass: msgspec would read one as an object with fields, not as text.
    """

    __slots__ = ("_nanoseconds",)

    def __init__(self, nanoseconds: int) -> None:
        self._nanoseconds = nanoseconds

    @property
    def nanoseconds(self) -> int:
        return self._nanoseconds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self._nanoseconds == other._nanoseconds

    def __lt__(self, other: Duration) -> bool:
        return self._nanoseconds < other._nanoseconds

    def __hash__(self) -> int:
        return hash(self._nanoseconds)

    def __repr__(self) -> str:
        return f"Duration({self._nanoseconds})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read Go's duration syntax.

        Raises:
            ValueError: not a duration, or longer than Go can hold (292 years).
        """
        sign, unsigned = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
        if unsigned == "0":
            return cls(0)
        total, end = 0, 0
        for part in _PART.finditer(unsigned):
            if part.start() != end:
                break
            whole, _, fraction = part.group(1).partition(".")
            unit = _NANOSECONDS[part.group(2)]
            total += int(whole or 0) * unit
            total += int(fraction or 0) * unit // 10 ** len(fraction)
            end = part.end()
        if not unsigned or end != len(unsigned) or total > _LONGEST:
            raise ValueError(f"{text!r} is not a duration such as 1.5s, 200ms or 1h")
        return cls(sign * total)

    @property
    def timedelta(self) -> timedelta:
        """Rounded down to microseconds."""
        return timedelta(microseconds=self.nanoseconds // 1_000)

    @property
    def seconds(self) -> float:
        return self.nanoseconds / 1e9

    def __str__(self) -> str:
        return f"{self.nanoseconds / 1e9:.9f}".rstrip("0").rstrip(".") + "s"
