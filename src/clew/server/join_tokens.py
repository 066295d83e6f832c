"""One-time tokens with which hosts that have no certificate yet get their first."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec

from clew.ca.keys import write_private

FILE = "join-tokens.json"
LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=30)
# No owner of the mesh needs more of them at a time, and each request looks at all.
_MOST = 10_000


class TokenRefused(Exception):
    """The token is not good for what is asked; the text says why, and never the token."""


class JoinToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept of a token: a hash of it, and what it is good for.

    ``host`` is the proxy's name. ``address``: the only one it may be used from, "": any.
    """

    id: str
    sha256: str
    namespace: str
    service_account: str
    host: str
    expires: datetime
    address: str = ""
    used: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks for a certificate says it is; what it does not say is ""."""

    namespace: str = ""
    service_account: str = ""
    host: str = ""
    impersonates: bool = False


class JoinTokens:
    """All tokens that can still expire, in a file that only its owner can read.

    Used ones stay until then, so that a second use is told from a guess.

    Raises:
        OSError, msgspec.MsgspecError: the file is damaged.
    """

    def __init__(self, directory: Path, *, now: Callable[[], datetime]) -> None:
        self._file = directory / FILE
        self._now = now
        found: Iterable[JoinToken] = ()
        if self._file.exists():
            found = msgspec.json.decode(self._file.read_bytes(), type=tuple[JoinToken, ...])
        self._tokens = {token.sha256: token for token in found}

    def create(
        self, claim: Claim, *, lifetime: timedelta, address: str = ""
    ) -> tuple[str, JoinToken]:
        """Make a token; its text is returned only here.

        Raises:
            ValueError: the lifetime or the address makes no sense, or there are too many.
        """
        if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
            raise ValueError(f"a token lives for at most {LONGEST_LIFETIME.days} days")
        if address:
            ip_address(address)
        self._forget_expired()
        if len(self._tokens) >= _MOST:
            raise ValueError(f"there are {_MOST} tokens already: wait until some expire")
        text = secrets.token_urlsafe(32)
        token = JoinToken(
            id=secrets.token_hex(4),
            sha256=_hash(text),
            namespace=claim.namespace,
            service_account=claim.service_account,
            host=claim.host,
            address=address,
            expires=self._now() + lifetime,
        )
        self._tokens[token.sha256] = token
        self._save()
        return text, token

    def all(self) -> tuple[JoinToken, ...]:
        """Those that have not expired, the next to expire first."""
        alive = (token for token in self._tokens.values() if token.expires > self._now())
        return tuple(sorted(alive, key=lambda token: token.expires))

    def revoke(self, token_id: str) -> bool:
        """Forget a token; False: there is none."""
        found = [sha256 for sha256, token in self._tokens.items() if token.id == token_id]
        for sha256 in found:
            del self._tokens[sha256]
        self._save()
        return bool(found)

    def check(self, text: str, claim: Claim, address: str) -> JoinToken:
        """The token that gives a caller from ``address`` what it claims. Raises: TokenRefused."""
        token = self._tokens.get(_hash(text))
        if token is None:
            raise TokenRefused("the join token is unknown, revoked, or expired long ago")
        if token.used is not None:
            raise TokenRefused(
                f"join token {token.id} was used already, at {_time(token.used)}: it is good for "
                "one host, once"
            )
        if token.expires <= self._now():
            raise TokenRefused(f"join token {token.id} expired at {_time(token.expires)}")
        for what, bound, claimed in (
            ("namespace", token.namespace, claim.namespace),
            ("service account", token.service_account, claim.service_account),
            ("host", token.host, claim.host),
        ):
            if claimed not in ("", bound):
                raise TokenRefused(
                    f'join token {token.id} is for the {what} "{bound}", not "{claimed}"'
                )
        if token.address and token.address != address:
            raise TokenRefused(
                f"join token {token.id} may be used from {token.address} only, not from {address}"
            )
        return token

    def use_up(self, token: JoinToken) -> None:
        """Nobody can use it again, whatever happens after this."""
        self._tokens[token.sha256] = msgspec.structs.replace(token, used=self._now())
        self._save()

    def _forget_expired(self) -> None:
        now = self._now()
        self._tokens = {k: token for k, token in self._tokens.items() if token.expires > now}

    def _save(self) -> None:
        write_private(self._file, msgspec.json.encode(tuple(self._tokens.values())))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
