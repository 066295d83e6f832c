"""Distributions of whole numbers, in bins that are no wider than a tenth of their values.

Envoy's own bins have two significant digits; these are one or two of them, so from 20, 200 or 2000
on they are no wider than a twentieth, and what is kept of many distributions stays small.

Source: Circonus' log-linear histograms, which Envoy keeps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import cache

# Where the bins of numbers with two digits begin; those of longer ones, at ten times these.
_STARTS = (*range(10, 40), *range(40, 100, 2))
_ENDS = (*_STARTS[1:], 100)
_SINGLE = 10


def bin_of(value: float) -> int:
    """The number of the bin of a number that is not negative; up to 39 that is itself."""
    whole, power = int(value), 0
    while whole >= 100:
        whole //= 10
        power += 1
    if whole < _SINGLE:
        return whole
    return _SINGLE + len(_STARTS) * power + bisect_right(_STARTS, whole) - 1


@cache
def bounds(number: int) -> tuple[int, int]:
    """Where a bin begins, and where the next one does."""
    if number < _SINGLE:
        return number, number + 1
    power, position = divmod(number - _SINGLE, len(_STARTS))
    return _STARTS[position] * 10**power, _ENDS[position] * 10**power


def total(bins: Mapping[int, int]) -> float:
    """About what all values add up to."""
    return sum(count * sum(bounds(number)) / 2 for number, count in bins.items())


def percentiles(bins: Mapping[int, int], shares: tuple[float, ...]) -> tuple[float, ...]:
    """Values below which these shares (0.5, 0.99), ascending, lie; () without any value.

    Inside a bin values are taken to lie evenly, as Envoy does.
    """
    wanted, found, below = list(shares), [], 0
    count = sum(bins.values())
    for number in sorted(bins):
        inside = bins[number]
        low, high = bounds(number)
        while wanted and inside and wanted[0] * count <= below + inside:
            found.append(low + (high - low) * (wanted.pop(0) * count - below) / inside)
        below += inside
    return tuple(found)
