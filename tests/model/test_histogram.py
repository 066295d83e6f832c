"""Bins of a width that grows with the values, and percentiles from them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.model.histogram import bin_of, bounds, percentiles, total

VALUES = st.integers(0, 10**9)


def test_small_numbers_have_a_bin_each_and_longer_ones_share() -> None:
    assert [bin_of(value) for value in range(40)] == list(range(40))
    assert bin_of(40) == bin_of(41) != bin_of(42)
    assert bin_of(2000) == bin_of(2099) != bin_of(2100)
    assert bin_of(99) + 1 == bin_of(100) == bin_of(109) != bin_of(110)


@given(VALUES)
def test_a_value_lies_in_its_bin_which_is_no_wider_than_a_tenth_of_it(value: int) -> None:
    low, high = bounds(bin_of(value))
    assert low <= value < high
    assert high - low <= max(1, low / (10 if str(low)[0] == "1" else 20))


@given(st.integers(0, 900))
def test_bins_follow_each_other(number: int) -> None:
    assert bounds(number)[1] == bounds(number + 1)[0]
    assert bin_of(bounds(number)[0]) == number


@given(st.lists(VALUES, min_size=1), st.floats(0.01, 1))
def test_a_percentile_lies_in_the_bin_of_the_value_that_is_there(
    values: list[int], share: float
) -> None:
    (found,) = percentiles(Counter(map(bin_of, values)), (share,))
    exact = sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
    low, high = bounds(bin_of(exact))
    assert low <= found <= high


@given(st.lists(VALUES))
def test_the_total_is_right_to_a_tenth(values: list[int]) -> None:
    assert total(Counter(map(bin_of, values))) == pytest.approx(
        sum(values), rel=0.1, abs=len(values)
    )


def test_percentiles_come_in_the_order_of_what_was_asked_for() -> None:
    bins = Counter(bin_of(value) for value in range(1, 100))
    assert percentiles(bins, (0.5, 0.9, 0.99)) == pytest.approx((50.5, 90.1, 99.01))
    assert percentiles({}, (0.5, 0.99)) == ()
