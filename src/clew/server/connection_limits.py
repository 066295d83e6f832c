"""How many connections, and how fast, one address may open: before any of them costs much."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import dataclass, field

# A console and a few commands need less; a machine that tries tokens gets no further.
BURST = 60
PER_SECOND = 10.0
OPEN = 60
# So many addresses are remembered; the longest unseen go first.
_REMEMBERED = 4096


@dataclass(slots=True)
class ConnectionLimits:
    """Times are seconds on one monotonic clock. An address is an IPv4 one, or a /64 of IPv6."""

    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    _open: Counter[str] = field(default_factory=Counter)

    def admits(self, address: str, now: float) -> bool:
        """Whether one more connection may come. If so, it is counted."""
        who = _network(address)
        left, seen = self._left.pop(who, (float(BURST), now))
        left = min(float(BURST), left + (now - seen) * PER_SECOND)
        admitted = left >= 1 and self._open[who] < OPEN
        self._left[who] = (left - 1 if admitted else left, now)
        if len(self._left) > _REMEMBERED:
            del self._left[next(iter(self._left))]
        return admitted

    def opened(self, address: str) -> None:
        self._open[_network(address)] += 1

    def closed(self, address: str) -> None:
        who = _network(address)
        self._open[who] -= 1
        if self._open[who] <= 0:
            del self._open[who]


def _network(address: str) -> str:
    """Who has one address of IPv6 has 2**64 of them."""
    if ":" not in address or "." in address:
        return address
    return socket.inet_pton(socket.AF_INET6, address.partition("%")[0])[:8].hex()
