"""Tokens in a file: hashes of their texts and what they are good for, until they expire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from clew.ca.private_file import write_private


class Kept(Protocol):
    """What is kept of a token: never its text. ``id``: what people call it by."""

    @property
    def id(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def expires(self) -> datetime: ...


T = TypeVar("T", bound=Kept)


class TokenFile(Generic[T]):
    """All tokens of a kind, in a file that only its owner can read.

    Raises:
        OSError, msgspec.MsgspecError: the file is damaged.
    """

    def __init__(
        self, path: Path, kind: type[tuple[T, ...]], *, now: Callable[[], datetime]
    ) -> None:
        self._path = path
        self._now = now
        found: Iterable[T] = ()
        if path.exists():
            found = msgspec.json.decode(path.read_bytes(), type=kind)
        self._tokens = {token.sha256: token for token in found}

    def count(self) -> int:
        """How many have not expired; the others are forgotten."""
        now = self._now()
        self._tokens = {k: token for k, token in self._tokens.items() if token.expires > now}
        return len(self._tokens)

    def put(self, token: T) -> None:
        """Keep a token, in place of the one with the same text."""
        self._tokens[token.sha256] = token
        self._save()

    def all(self) -> tuple[T, ...]:
        """Those that have not expired, the next to expire first."""
        alive = (token for token in self._tokens.values() if token.expires > self._now())
        return tuple(sorted(alive, key=lambda token: token.expires))

    def find(self, text: str) -> T | None:
        """The token with this text, which may have expired.

        Looked up by its hash: how long that takes says nothing of a text that is nearly right.
        """
        return self._tokens.get(hash_of(text))

    def revoke(self, token_id: str) -> bool:
        """Forget a token at once; False: there is none."""
        found = [sha256 for sha256, token in self._tokens.items() if token.id == token_id]
        for sha256 in found:
            del self._tokens[sha256]
        if found:
            self._save()
        return bool(found)

    def _save(self) -> None:
        content = msgspec.json.encode(tuple(self._tokens.values()))
        write_private(self._path, content, durable=True)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
