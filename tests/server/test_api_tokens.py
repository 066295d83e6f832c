from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clew.api.access import Role
from clew.server.api_tokens import FILE, ApiTokens

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


def test_a_token_is_good_until_it_expires_also_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    text, token = ApiTokens(tmp_path, now=clock).create(Role.EDITOR, "ci", HOUR)
    tokens = ApiTokens(tmp_path, now=clock)
    assert tokens.owner(text) == token
    assert tokens.owner(text + "x") is None
    assert tokens.owner("") is None
    clock.now = NOON + HOUR
    assert tokens.owner(text) is None
    assert tokens.all() == ()


def test_a_revoked_token_ends_at_once(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path, now=Clock())
    text, token = tokens.create(Role.ADMIN, "me", HOUR)
    assert tokens.revoke(token.id)
    assert tokens.owner(text) is None
    assert not tokens.revoke(token.id)
    assert ApiTokens(tmp_path, now=Clock()).owner(text) is None


def test_the_file_holds_no_token_and_is_for_its_owner_only(tmp_path: Path) -> None:
    text, _ = ApiTokens(tmp_path, now=Clock()).create(Role.VIEWER, "me", HOUR)
    file = tmp_path / FILE
    assert text.removeprefix("clew_") not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "lifetime"),
    [("", HOUR), ("a\nb", HOUR), ("a" * 101, HOUR), ("a", timedelta(0)), ("a", HOUR * 24 * 400)],
)
def test_a_token_needs_a_name_and_an_end(name: str, lifetime: timedelta, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"name|days"):
        ApiTokens(tmp_path, now=Clock()).create(Role.VIEWER, name, lifetime)
