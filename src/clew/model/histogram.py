"""Distributions of whole numbers, in the bins of Envoy's histograms: two significant digits.

A bin has a number: 0 to 99 are the numbers themselves, 100 is 100 to 109, 190 is 1000 to 1099.
Source: Circonus' log-linear histograms, which Envoy keeps; their bins are never more than a tenth
of their values wide.
"""

from __future__ import annotations

from collections.abc import Mapping

# Bins for each power of ten: 10 to 99 tenths of it.
_DIGITS = 90
_EXACT = 100


def bin_of(value: float) -> int:
    """The bin of a number that is not negative."""
    whole, power = int(value), 0
    while whole >= _EXACT:
        whole //= 10
        power += 1
    return whole + _DIGITS * power


def bounds(number: int) -> tuple[int, int]:
    """Where a bin begins, and where the next one does."""
    power = max(0, (number - 10) // _DIGITS)
    digits = number - _DIGITS * power
    return digits * 10**power, (digits + 1) * 10**power


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
