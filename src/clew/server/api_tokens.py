"""Tokens for the admin API on TCP: hashed at rest, with a role, and an end."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from clew.api.access import Role
from clew.ca.keys import write_private

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
        self._file = directory / FILE
        self._now = now
        found: Iterable[ApiToken] = ()
        if self._file.exists():
            found = msgspec.json.decode(self._file.read_bytes(), type=tuple[ApiToken, ...])
        self._tokens = {token.sha256: token for token in found}

    def create(self, role: Role, name: str, lifetime: timedelta) -> tuple[str, ApiToken]:
        """Make a token; its text is returned only here.

        Raises:
            ValueError: the name or the lifetime makes no sense, or there are too many.
        """
        if not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            raise ValueError(f"a name has 1 to {_LONGEST_NAME} printable characters")
        if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
            raise ValueError(f"a token is good for at most {LONGEST_LIFETIME.days} days")
        self._forget_expired()
        if len(self._tokens) >= _MOST:
            raise ValueError(f"there are {_MOST} tokens already: revoke some")
        # Scanners for leaked secrets look for a fixed beginning.
        text = f"clew_{secrets.token_urlsafe(32)}"
        token = ApiToken(
            id=secrets.token_hex(4),
            sha256=_hash(text),
            name=name,
            role=role,
            created=self._now().astimezone(UTC),
            expires=(self._now() + lifetime).astimezone(UTC),
        )
        self._tokens[token.sha256] = token
        self._save()
        return text, token

    def all(self) -> tuple[ApiToken, ...]:
        """Those that are good, the next to expire first."""
        alive = (token for token in self._tokens.values() if token.expires > self._now())
        return tuple(sorted(alive, key=lambda token: token.expires))

    def revoke(self, token_id: str) -> bool:
        """Forget a token at once; False: there is none."""
        found = [sha256 for sha256, token in self._tokens.items() if token.id == token_id]
        for sha256 in found:
            del self._tokens[sha256]
        if found:
            self._save()
        return bool(found)

    def owner(self, text: str) -> ApiToken | None:
        """The token with this text, None if none is good.

        Looked up by its hash: how long that takes says nothing of a text that is nearly right.
        """
        token = self._tokens.get(_hash(text))
        return token if token is not None and token.expires > self._now() else None

    def _forget_expired(self) -> None:
        now = self._now()
        self._tokens = {k: token for k, token in self._tokens.items() if token.expires > now}

    def _save(self) -> None:
        write_private(self._file, msgspec.json.encode(tuple(self._tokens.values())))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
