"""One-time tokens with which hosts that have no certificate yet get their first."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec

from clew.server.token_file import TokenFile, hash_of

FILE = "join-tokens.json"
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
        self._now = now
        self._kept = TokenFile(directory / FILE, tuple[JoinToken, ...], now=now)

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
        if self._kept.count() >= _MOST:
            raise ValueError(f"there are {_MOST} tokens already: wait until some expire")
        text = secrets.token_urlsafe(32)
        token = JoinToken(
            id=secrets.token_hex(4),
            sha256=hash_of(text),
            namespace=claim.namespace,
            service_account=claim.service_account,
            host=claim.host,
            address=address,
            expires=self._now() + lifetime,
        )
        self._kept.put(token)
        return text, token

    def all(self) -> tuple[JoinToken, ...]:
        """Those that have not expired, the next to expire first."""
        return self._kept.all()

    def revoke(self, token_id: str) -> bool:
        """Forget a token at once; False: there is none."""
        return self._kept.revoke(token_id)

    def check(self, text: str, claim: Claim, address: str) -> JoinToken:
        """The token that gives a caller from ``address`` what it claims. Raises: TokenRefused."""
        token = self._kept.find(text)
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
        self._kept.put(msgspec.structs.replace(token, used=self._now()))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
