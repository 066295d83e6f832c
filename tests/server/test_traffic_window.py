"""The last hours of traffic: sums over windows, steps that grow coarse, and bounds."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from clew.server.traffic_counts import REQUESTS
from clew.server.traffic_window import (
    COARSE_SECONDS,
    COARSE_STEPS,
    FINE_SECONDS,
    FINE_STEPS,
    OTHER,
    Edge,
    TrafficWindow,
)

FINE, ALL = FINE_SECONDS * FINE_STEPS, COARSE_SECONDS * COARSE_STEPS
BEGAN = 1_000_000.0


def edge(source: str, destination: str = "reviews-v1") -> Edge:
    service = "reviews.default.svc.cluster.local"
    return Edge(
        source_namespace="default",
        source=source,
        source_version="v1",
        source_service=source,
        service_namespace="default",
        service=service,
        destination_namespace="default",
        destination=destination,
        destination_version="v1",
        destination_service="reviews",
        protocol="http",
        reporter="destination",
    )


A, B, C = edge("a"), edge("b"), edge("c")


def requests(window: TrafficWindow, now: float, seconds: float) -> dict[Edge, int]:
    found = window.sums(window.first_step(now, seconds))
    return {each: counts[REQUESTS] for each, counts in found}


REPORTS = st.lists(
    st.tuples(st.sampled_from([A, B, C]), st.floats(0.1, 700), st.integers(1, 1000)), max_size=40
)


@given(REPORTS)
def test_all_that_was_reported_is_there_as_long_as_it_is_kept(
    reports: list[tuple[Edge, float, int]],
) -> None:
    window, now, expected = TrafficWindow(began=BEGAN), BEGAN, Counter[Edge]()
    for who, later, count in reports:
        now += later
        window.add(who, {REQUESTS: count}, now - min(later, 10), now)
        expected[who] += count
    if now - BEGAN < ALL:
        assert requests(window, now, ALL) == expected


@given(REPORTS, st.floats(5, ALL))
def test_a_shorter_window_has_no_more_in_it(
    reports: list[tuple[Edge, float, int]], seconds: float
) -> None:
    window, now = TrafficWindow(began=BEGAN), BEGAN
    for who, later, count in reports:
        now += later
        window.add(who, {REQUESTS: count}, now - min(later, 2), now)
    short, long = requests(window, now, seconds), requests(window, now, ALL)
    assert all(count <= long[who] for who, count in short.items())


def test_a_window_holds_what_came_in_its_time() -> None:
    window = TrafficWindow(began=BEGAN)
    for second in range(0, 120, 2):
        window.add(A, {REQUESTS: 20}, BEGAN + second, BEGAN + second + 2)
    now = BEGAN + 120
    assert requests(window, now, 60) == {A: 600}
    assert window.seconds(window.first_step(now, 60), now) == 60
    assert window.seconds(window.first_step(now, 3600), now) == 120
    assert requests(window, now, 3600) == {A: 1200}


def test_what_is_older_than_all_windows_is_forgotten() -> None:
    window = TrafficWindow(began=BEGAN)
    window.add(A, {REQUESTS: 1}, BEGAN, BEGAN + 1)
    now = BEGAN + ALL + 2 * COARSE_SECONDS
    window.add(B, {REQUESTS: 1}, now - 1, now)
    assert list(window.edges()) == [B]
    assert requests(window, now, 10 * ALL) == {B: 1}


def test_edges_beyond_the_bound_are_one_and_who_reports_the_most_is_named() -> None:
    window = TrafficWindow(began=BEGAN, most_edges=3)
    for name in ("x", "y", "z"):
        window.add(edge(name, "crowded"), {REQUESTS: 1}, BEGAN, BEGAN + 1)
        window.add(edge(name, "quiet"), {REQUESTS: 1}, BEGAN, BEGAN + 1)
    assert len(window) == 4
    assert requests(window, BEGAN + 2, 60)[OTHER] == 3
    assert window.crowds() == [(("default", "crowded"), 2), (("default", "quiet"), 1)]
    assert TrafficWindow(began=BEGAN).crowds() == []
