"""Bins of two significant digits, and percentiles from them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.model.histogram import bin_of, bounds, percentiles, total

VALUES = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (1, 1),
        (12, 12),
        (99, 99),
        (100, 100),
        (109, 100),
        (110, 101),
        (999, 189),
        (1000, 190),
    ],
)
def test_bins_have_two_significant_digits(value: int, number: int) -> None:
    assert bin_of(value) == number


@given(VALUES)
def test_a_value_lies_in_its_bin_which_is_no_wider_than_a_tenth_of_it(value: int) -> None:
    low, high = bounds(bin_of(value))
    assert low <= value < high
    assert high - low <= max(1, value / 10)


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
    bins = {bin_of(value): 1 for value in range(1, 100)}
    assert percentiles(bins, (0.5, 0.9, 0.99)) == pytest.approx((50.5, 90.1, 99.01))
    assert percentiles({}, (0.5, 0.99)) == ()
