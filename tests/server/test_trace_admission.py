from __future__ import annotations

from clew.server.trace_admission import Admission
from tests.spans import export

IDS = [number.to_bytes(4).rjust(16, b"\1") for number in range(0, 1 << 32, 1 << 24)]


def share(admission: Admission, spans: int) -> float:
    """Of traces that are let in, when so many spans come at once."""
    wanted = admission.wanted(export(*range(1, spans + 1)))
    return sum(map(wanted, IDS)) / len(IDS)


def test_as_many_traces_are_let_in_as_there_is_time_for() -> None:
    clock = [0.0]
    admission = Admission(lambda: clock[0], most=10)
    assert share(admission, 80) == 1.0
    clock[0] = 2.0
    # 40 spans a second came, and then none.
    assert share(admission, 1) == 0.25
    clock[0] = 4.0
    assert share(admission, 1) == 1.0


def test_whatever_comes_of_a_trace_has_the_same_answer_as_long_as_as_much_comes() -> None:
    clock = [0.0]
    admission = Admission(lambda: clock[0], most=10)
    admission.wanted(export(*range(1, 41)))
    clock[0] = 2.0
    first = list(map(admission.wanted(export(*range(1, 41))), IDS))
    clock[0] = 4.0
    assert list(map(admission.wanted(export(1)), IDS)) == first
    assert set(first) == {True, False}
