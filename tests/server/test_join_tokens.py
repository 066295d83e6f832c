"""One-time tokens: what they are good for, and what is kept of them."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clew.server.join_tokens import FILE, Claim, JoinTokens, TokenRefused

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
CLAIM = Claim("prod", "billing", "vm-1")
HOUR = timedelta(hours=1)


@dataclass
class Place:
    directory: Path
    now: datetime = NOW

    def tokens(self) -> JoinTokens:
        return JoinTokens(self.directory, now=lambda: self.now)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def refusal(tokens: JoinTokens, text: str, claim: Claim = CLAIM, address: str = "") -> str:
    with pytest.raises(TokenRefused) as refused:
        tokens.check(text, claim, address)
    assert text not in str(refused.value)
    return str(refused.value)


def test_a_token_is_good_for_what_it_is_bound_to_and_nothing_else(place: Place) -> None:
    tokens = place.tokens()
    text, made = tokens.create(CLAIM, lifetime=HOUR)
    assert tokens.check(text, CLAIM, "") == made
    assert tokens.check(text, Claim(), "") == made, "what is not said is what it is bound to"
    assert 'for the namespace "prod", not "dev"' in refusal(
        tokens, text, Claim("dev", "billing", "vm-1")
    )
    assert 'service account "billing"' in refusal(tokens, text, Claim("prod", "root", "vm-1"))
    assert 'host "vm-1", not "vm-2"' in refusal(tokens, text, Claim("prod", "billing", "vm-2"))
    assert "unknown" in refusal(tokens, text[:-1])


def test_a_token_is_used_once_also_after_a_restart(place: Place) -> None:
    tokens = place.tokens()
    text, made = tokens.create(CLAIM, lifetime=HOUR)
    tokens.use_up(made)
    for each in (tokens, place.tokens()):
        assert f"{made.id} was used already, at 2026-11-25T12:00:00" in refusal(each, text)


def test_a_token_expires(place: Place) -> None:
    tokens = place.tokens()
    text, _ = tokens.create(CLAIM, lifetime=HOUR)
    place.now += HOUR
    assert "expired at 2026-11-25T13:00:00" in refusal(tokens, text)
    assert tokens.all() == ()
    tokens.create(CLAIM, lifetime=HOUR)
    assert "unknown, revoked, or expired" in refusal(tokens, text), "it is forgotten"


def test_a_token_may_be_bound_to_an_address(place: Place) -> None:
    tokens = place.tokens()
    text, made = tokens.create(CLAIM, lifetime=HOUR, address="10.0.0.7")
    assert "from 10.0.0.7 only, not from 10.0.0.8" in refusal(tokens, text, address="10.0.0.8")
    assert tokens.check(text, CLAIM, "10.0.0.7") == made


def test_a_revoked_token_is_good_for_nothing(place: Place) -> None:
    tokens = place.tokens()
    text, made = tokens.create(CLAIM, lifetime=HOUR)
    assert tokens.revoke(made.id)
    assert not tokens.revoke(made.id)
    assert "revoked" in refusal(place.tokens(), text)


def test_nothing_on_disk_or_in_a_listing_is_the_token(place: Place) -> None:
    tokens = place.tokens()
    text, made = tokens.create(CLAIM, lifetime=HOUR)
    file = place.directory / FILE
    assert text not in file.read_text()
    assert made.sha256 in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert text not in repr(tokens.all())


@pytest.mark.parametrize(
    ("lifetime", "address"),
    [(timedelta(0), ""), (timedelta(days=31), ""), (-HOUR, ""), (HOUR, "vm-1.example.com")],
)
def test_tokens_that_make_no_sense_are_not_made(
    place: Place, lifetime: timedelta, address: str
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        place.tokens().create(CLAIM, lifetime=lifetime, address=address)
    assert place.tokens().all() == ()
