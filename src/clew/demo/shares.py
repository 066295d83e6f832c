"""Are measured shares those that a weighted route asked for?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Share:
    """One version's part of ``requests``. ``deviation`` is in standard deviations of chance.

    A share of 0 or 1 leaves nothing to chance: any other answer is infinitely far off.
    """

    version: str
    wanted: float
    count: int
    requests: int

    @property
    def measured(self) -> float:
        return self.count / self.requests

    @property
    def deviation(self) -> float:
        sigma = sqrt(self.wanted * (1 - self.wanted) / self.requests)
        difference = abs(self.measured - self.wanted)
        if sigma == 0:
            return 0.0 if difference == 0 else float("inf")
        return difference / sigma

    @property
    def holds(self) -> bool:
        return self.deviation <= 3


def compare(versions: Iterable[str], wanted: Mapping[str, int]) -> list[Share]:
    """Set what arrived against weights; versions nobody asked for have a wanted share of 0."""
    counts = Counter(versions)
    requests, total = sum(counts.values()), sum(wanted.values())
    return [
        Share(version, wanted.get(version, 0) / total, counts[version], requests)
        for version in sorted(wanted.keys() | counts.keys())
    ]
