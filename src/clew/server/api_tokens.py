"""Tokens for the admin API on TCP: hashed at rest, with a role, and an end."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from clew.api.access import Role
from clew.server.token_file import TokenFile, hash_of

FILE = "api-tokens.json"
LONGEST_LIFETIME = timedelta(days=366)
# Nobody needs more, and each change writes all of them.
_MOST = 1000
_LONGEST_NAME = 100


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a token: never its text."""

    id: str
    sha256: str
    name: str
    role: Role
    created: datetime
    expires: datetime


class ApiTokens:
    """All tokens that are good, in a file that only its owner can read.

    Raises:
        OSError, msgspec.MsgspecError: the file is damaged.
    """

    def __init__(self, directory: Path, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._kept = TokenFile(directory / FILE, tuple[ApiToken, ...], now=now)

    def create(self, role: Role, name: str, lifetime: timedelta) -> tuple[str, ApiToken]:
        """Make a token; its text is returned only here.

        Raises:
            ValueError: the name or the lifetime makes no sense, or there are too many.
        """
        if not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            raise ValueError(f"a name has 1 to {_LONGEST_NAME} printable characters")
        if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
            raise ValueError(f"a token is good for at most {LONGEST_LIFETIME.days} days")
        if self._kept.count() >= _MOST:
            raise ValueError(f"there are {_MOST} tokens already: revoke some")
        # Scanners for leaked secrets look for a fixed beginning.
        text = f"clew_{secrets.token_urlsafe(32)}"
        token = ApiToken(
            id=secrets.token_hex(4),
            sha256=hash_of(text),
            name=name,
            role=role,
            created=self._now().astimezone(UTC),
            expires=(self._now() + lifetime).astimezone(UTC),
        )
        self._kept.put(token)
        return text, token

    def all(self) -> tuple[ApiToken, ...]:
        """Those that are good, the next to expire first."""
        return self._kept.all()

    def revoke(self, token_id: str) -> bool:
        """Forget a token at once; False: there is none."""
        return self._kept.revoke(token_id)

    def owner(self, text: str) -> ApiToken | None:
        """The token with this text, None if none is good."""
        token = self._kept.find(text)
        return token if token is not None and token.expires > self._now() else None
