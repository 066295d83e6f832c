"""Numbers of the control plane in Prometheus' text format.

The client library of Prometheus ends the name of every counter in ``_total``, which Istio's
counters of the control plane do not have.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Counter:
    """How often something happened, by labels."""

    name: str
    help: str
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, amount: float = 1, **labels: str) -> None:
        key = tuple(labels.items())
        self.values[key] = self.values.get(key, 0) + amount

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.help, "counter")
        for labels, value in self.values.items():
            yield _sample(self.name, labels, value)


@dataclass(slots=True)
class Histogram:
    """How long something took. ``bounds``: upper, ascending, in the unit of what is observed."""

    name: str
    help: str
    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.help, "histogram")
        total = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            text = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield _sample(f"{self.name}_bucket", (("le", text),), total)
        yield _sample(f"{self.name}_sum", (), self.sum)
        yield _sample(f"{self.name}_count", (), total)


def gauge(name: str, help: str, values: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    """The lines of something that goes up and down."""
    yield from _head(name, help, "gauge")
    yield from (_sample(name, labels, value) for labels, value in values)


def page(parts: Iterable[Iterable[str]]) -> str:
    return "\n".join([*(line for part in parts for line in part), ""])


def _head(name: str, help: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {help}", f"# TYPE {name} {kind}"


_ESCAPED = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n"})


def _sample(name: str, labels: Labels, value: float) -> str:
    text = ",".join(f'{key}="{each.translate(_ESCAPED)}"' for key, each in labels)
    number = str(int(value)) if value == int(value) else f"{value:.15g}"
    return f"{name}{{{text}}} {number}" if text else f"{name} {number}"
