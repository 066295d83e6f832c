from __future__ import annotations

from collections.abc import Iterable

import pytest

from clew.agent.probe_state import ProbeState, with_defaults
from clew.model.pod import Probe

PROBE = Probe(success_threshold=2, failure_threshold=3)


def verdicts(results: Iterable[int], probe: Probe = PROBE) -> list[bool | None]:
    state, seen = ProbeState(), []
    for result in results:
        state = state.after(bool(result), probe)
        seen.append(state.passing)
    return seen


@pytest.mark.proves("Probe.successThreshold", "Probe.failureThreshold")
@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([1], [None]),
        ([1, 1], [None, True]),
        ([0, 0, 0], [None, None, False]),
        ([1, 0, 1, 1], [None, None, None, True]),
        ([1, 1, 0, 0, 1, 0, 0, 0], [None, True, True, True, True, True, True, False]),
    ],
)
def test_a_verdict_needs_equal_results_in_a_row(
    results: list[int], expected: list[bool | None]
) -> None:
    assert verdicts(results) == expected


def test_one_result_is_enough_when_the_thresholds_say_so() -> None:
    assert verdicts([1, 0, 1], Probe(failure_threshold=1)) == [True, False, True]


def test_zero_means_the_default() -> None:
    unset = Probe(period_seconds=0, timeout_seconds=0, success_threshold=0, failure_threshold=0)
    assert with_defaults(unset) == Probe()
    assert verdicts([1, 0, 0, 0], unset) == [True, True, True, False]
