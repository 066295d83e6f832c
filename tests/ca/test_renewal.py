from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.ca.renewal import renewal_time

START = datetime(2026, 11, 25, tzinfo=UTC)


@given(st.floats(0, 1), st.timedeltas(timedelta(seconds=1), timedelta(days=9000)))
def test_renewal_is_in_the_second_half(jitter: float, lifetime: timedelta) -> None:
    due = renewal_time(START, START + lifetime, jitter=jitter)
    assert START + lifetime / 2 - timedelta(seconds=1) <= due <= START + lifetime


def test_jitter_is_a_share_of_the_second_half() -> None:
    assert renewal_time(START, START + timedelta(hours=24), jitter=0.5) == START + timedelta(
        hours=18
    )


def test_a_certificate_that_never_was_valid_is_an_error() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        renewal_time(START, START, jitter=0)
