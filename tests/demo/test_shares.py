from hypothesis import given
from hypothesis import strategies as st

from clew.demo.shares import compare


def test_a_share_within_three_standard_deviations_holds() -> None:
    shares = compare(["v1"] * 940 + ["v2"] * 60, {"v1": 95, "v2": 5})
    assert [(s.version, s.measured, s.holds) for s in shares] == [
        ("v1", 0.94, True),
        ("v2", 0.06, True),
    ]


def test_a_share_far_off_does_not_hold() -> None:
    assert not any(s.holds for s in compare(["v1"] * 500 + ["v2"] * 500, {"v1": 95, "v2": 5}))


def test_one_answer_of_a_version_with_weight_zero_is_one_too_many() -> None:
    shares = {s.version: s for s in compare(["v1"] * 999 + ["v2"], {"v1": 100, "v2": 0})}
    assert not shares["v1"].holds
    assert not shares["v2"].holds


def test_a_version_that_nobody_asked_for_is_reported() -> None:
    shares = {s.version: s for s in compare(["v1", "v9"], {"v1": 1})}
    assert shares["v9"].wanted == 0
    assert not shares["v9"].holds


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_measured_shares_add_up_to_one(versions: list[str]) -> None:
    assert abs(sum(s.measured for s in compare(versions, {"a": 1, "b": 2})) - 1) < 1e-9
