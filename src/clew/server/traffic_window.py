"""The last hours of traffic in memory, by edge: fine steps, then coarse ones, within bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from clew.model.metrics import DESTINATION
from clew.server.traffic_counts import Counts, add, pack, spread, unpack

# Fine steps of 5 s for a quarter of an hour and more, coarse ones of 5 minutes for 6 hours.
FINE_SECONDS = 5.0
FINE_STEPS = 180
PER_COARSE = 60
COARSE_SECONDS = FINE_SECONDS * PER_COARSE
COARSE_STEPS = 72
# They are folded when another coarse step begins.
_MOST_FINE = FINE_STEPS + 2 * PER_COARSE
# 70 kB each, if there is traffic at all times.
MOST_EDGES = 2000
_MOST_CROWDS = 5


class Edge(NamedTuple):
    """Who called what, and who served it; "" is what is not known.

    ``reporter``: the side that counted. ``source_service``: the canonical service of the caller.
    """

    source_namespace: str
    source: str
    source_version: str
    source_service: str
    service_namespace: str
    service: str
    destination_namespace: str
    destination: str
    destination_version: str
    destination_service: str
    protocol: str
    reporter: str

    @property
    def counted_by(self) -> tuple[str, str]:
        """The workload, namespace first, whose proxy reports this."""
        if self.reporter == DESTINATION:
            return self.destination_namespace, self.destination
        return self.source_namespace, self.source


# What is beyond the bounds.
OTHER = Edge("", "other", "", "", "", "", "", "other", "", "", "", "")


@dataclass(slots=True)
class EdgeHistory:
    """The counts of one edge by steps, packed but for the newest, to which most is added.

    ``newest``: the latest fine step with any. ``waited``: when callers last said how long calls
    took.
    """

    newest: int
    waited: float = -inf
    _latest: Counts = field(default_factory=dict)
    _fine: dict[int, bytes] = field(default_factory=dict)
    _coarse: dict[int, bytes] = field(default_factory=dict)

    def add(self, step: int, counts: Counts) -> None:
        if step > self.newest:
            self._begin(step, counts)
            return
        if step == self.newest:
            add(self._latest, counts)
            return
        kept = unpack(self._fine[step]) if step in self._fine else {}
        add(kept, counts)
        self._fine[step] = pack(kept)

    def _begin(self, step: int, counts: Counts) -> None:
        if self._latest:
            self._fine[self.newest] = pack(self._latest)
        if step // PER_COARSE > self.newest // PER_COARSE:
            self._fold(step)
        self.newest, self._latest = step, dict(counts)

    def _fold(self, now: int) -> None:
        """Make coarse steps of fine ones that are old enough, and forget the oldest."""
        oldest = (now - FINE_STEPS) // PER_COARSE
        folded: dict[int, Counts] = {}
        for step in [each for each in self._fine if each // PER_COARSE < oldest]:
            add(folded.setdefault(step // PER_COARSE, {}), unpack(self._fine.pop(step)))
        self._coarse |= {step: pack(counts) for step, counts in folded.items()}
        for step in [each for each in self._coarse if each < now // PER_COARSE - COARSE_STEPS]:
            del self._coarse[step]

    def steps(self, since: int) -> Iterator[tuple[int, Counts]]:
        """The counts that there are from a fine step on; coarse steps by the first fine one."""
        if self.newest < since:
            return
        for coarse, packed in self._coarse.items():
            if coarse * PER_COARSE >= since:
                yield coarse * PER_COARSE, unpack(packed)
        for step in range(max(since, self.newest + 1 - _MOST_FINE), self.newest):
            if (found := self._fine.get(step)) is not None:
                yield step, unpack(found)
        yield self.newest, self._latest


class TrafficWindow:
    """What proxies report, by edge. Times are in seconds of one clock and do not go back."""

    def __init__(self, *, began: float, most_edges: int = MOST_EDGES) -> None:
        self.most_edges = most_edges
        self.began = began
        self._edges: dict[Edge, EdgeHistory] = {}
        self._swept = began

    def __len__(self) -> int:
        return len(self._edges)

    def add(self, edge: Edge, counts: Counts, start: float, end: float) -> None:
        """Counts of the time from ``start`` to ``end``, which is about now."""
        if end - self._swept > COARSE_SECONDS:
            self._sweep(end)
        history = self._edges.get(edge)
        if history is None:
            if len(self._edges) >= self.most_edges:
                edge = OTHER  # one edge more
            history = self._edges.setdefault(edge, EdgeHistory(int(end // FINE_SECONDS)))
        for step, part in spread(counts, max(start, self.began), end, FINE_SECONDS):
            if part:
                history.add(step, part)

    def add_waits(self, edge: Edge, durations: Counts, start: float, end: float) -> None:
        """How long calls took, as their callers measured it, if the edge is known.

        They all go into one step: percentiles do not ask how many there were.
        """
        if durations and (history := self._edges.get(edge)) is not None:
            history.waited = end
            middle = (max(start, self.began) + end) / 2
            history.add(int(middle // FINE_SECONDS), durations)

    def has_waits(self, edge: Edge, since: float) -> bool:
        """Whether callers have said it since then."""
        history = self._edges.get(edge)
        return history is not None and history.waited > since

    def _sweep(self, now: float) -> None:
        """Forget edges without traffic in all the time that is kept."""
        self._swept = now
        oldest = int(now // FINE_SECONDS) - COARSE_STEPS * PER_COARSE
        for edge in [e for e, history in self._edges.items() if history.newest < oldest]:
            del self._edges[edge]

    def first_step(self, now: float, seconds: float) -> int:
        """The first fine step of a window that ends now; the window begins up to a step early."""
        begin = max(self.began, now - seconds)
        if seconds > FINE_SECONDS * FINE_STEPS:
            return int(begin // COARSE_SECONDS) * PER_COARSE
        return int(begin // FINE_SECONDS)

    def seconds(self, since: int, now: float) -> float:
        """For how long there are counts from a step on."""
        return now - max(self.began, since * FINE_SECONDS)

    def sums(self, since: int) -> Iterator[tuple[Edge, Counts]]:
        """All edges with traffic from a fine step on. More may be added meanwhile."""
        for edge, history in list(self._edges.items()):
            counts: Counts = {}
            for _, part in history.steps(since):
                add(counts, part)
            if counts:
                yield edge, counts

    def steps(self, edge: Edge, since: int) -> Iterator[tuple[int, Counts]]:
        """One edge's counts by step, see `EdgeHistory.steps`."""
        if (history := self._edges.get(edge)) is not None:
            yield from history.steps(since)

    def edges(self) -> Iterable[Edge]:
        return tuple(self._edges)

    def crowds(self) -> list[tuple[tuple[str, str], int]]:
        """The workloads that reported the most edges, if the bound is reached."""
        if len(self._edges) < self.most_edges:
            return []
        return Counter(e.counted_by for e in self._edges if e is not OTHER).most_common(
            _MOST_CROWDS
        )
