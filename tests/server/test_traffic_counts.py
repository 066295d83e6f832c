"""Counts of traffic as sparse vectors."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from clew.server.traffic_counts import (
    MUTUAL_TLS,
    PLAIN,
    REQUESTS,
    add,
    codes,
    durations,
    flags,
    pack,
    requests,
    server_errors,
    spread,
    unpack,
)

COUNTS = st.dictionaries(st.integers(0, 9000), st.integers(1, 10**9), max_size=20)
TIMES = st.floats(0, 10**6, allow_nan=False)


def test_requests_are_counted_by_duration_code_and_flags() -> None:
    counts = requests({503: 3}, "UF,URX", encrypted=True) | {3: 2, 12: 1}
    add(counts, requests({200: 4}, "-", encrypted=False) | {3: 4})
    assert counts[REQUESTS] == 7
    assert durations(counts) == {3: 6, 12: 1}
    assert codes(counts) == {200: 4, 503: 3}
    assert flags(counts) == {"UF": 3, "URX": 3}
    assert (counts[MUTUAL_TLS], counts[PLAIN]) == (3, 4)


def test_a_request_without_a_response_is_an_error_of_the_server() -> None:
    counts = requests({0: 5}, "DC", encrypted=None)
    add(counts, requests({500: 1}, "-", encrypted=None))
    add(counts, requests({404: 1}, "-", encrypted=None))
    assert server_errors(counts) == 6
    assert MUTUAL_TLS not in counts


def test_what_a_proxy_makes_up_fits_in() -> None:
    assert flags(requests({200: 1}, "XX,,UH", encrypted=None)) == {"UH": 1}
    assert codes(requests({200: 0, 999: 1}, "", encrypted=None)) == {999: 1}
    assert requests({200: 0}, "-", encrypted=True) == {}


@given(COUNTS)
def test_counts_are_the_same_when_they_have_been_packed(counts: dict[int, int]) -> None:
    assert unpack(pack(counts)) == counts


@given(COUNTS, TIMES, st.floats(0, 100))
def test_spreading_loses_and_adds_nothing(
    counts: dict[int, int], start: float, seconds: float
) -> None:
    parts = list(spread(counts, start, start + seconds, 5.0))
    whole: Counter[int] = Counter()
    for _, part in parts:
        whole.update(part)
        assert all(count > 0 for count in part.values())
    assert whole == Counter(counts)
    assert [step for step, _ in parts] == list(
        range(int(start // 5), int((start + seconds) // 5) + 1)
    )


def test_spreading_follows_the_time() -> None:
    parts = dict(spread({REQUESTS: 100}, 4.0, 9.0, 5.0))
    assert parts == {0: {REQUESTS: 20}, 1: {REQUESTS: 80}}
