"""What the admin API says of the certificate authority and of join tokens."""

from __future__ import annotations

from clew.api.messages import Message


class CertificateSummary(Message, frozen=True, kw_only=True):
    """``fingerprint``: SHA-256, hexadecimal. ``expires``: RFC 3339."""

    subject: str
    fingerprint: str
    key: str
    expires: str
    seconds_left: int


class AuthorityStatus(Message, frozen=True, kw_only=True):
    """``signing`` signs workloads and leads to ``root``; proxies trust all of ``trusted``.

    ``phase`` of a change of roots: ``trust``, ``sign``, "": none is under way. ``waiting``: the
    proxies that have yet to follow; ``followed``: how many have. ``problem``: why what is plugged
    in is not in force.
    """

    trust_domain: str
    root: CertificateSummary
    signing: CertificateSummary
    trusted: tuple[CertificateSummary, ...]
    trust_domain_aliases: tuple[str, ...] = ()
    plugged_in: bool = False
    phase: str = ""
    waiting: tuple[str, ...] = ()
    followed: int = 0
    problem: str = ""


class RotationRequest(Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``key``: the kind of the new keys, "": as the control plane was started with."""

    key: str = ""
    dry_run: bool = False


class TokenRequest(Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a join token is for. ``host``: the proxy's name. ``address``: "": from anywhere."""

    namespace: str
    service_account: str
    host: str
    address: str = ""
    seconds: int = 3600


class JoinTokenView(Message, frozen=True, kw_only=True):
    """A join token without its secret; ``used``: when, "" if it was not."""

    id: str
    namespace: str
    service_account: str
    host: str
    expires: str
    address: str = ""
    used: str = ""


class TokenList(Message, frozen=True, kw_only=True):
    tokens: tuple[JoinTokenView, ...] = ()


class CreatedToken(Message, frozen=True, kw_only=True):
    """``token`` is shown this once: a secret, a dot, and the roots to trust."""

    token: str
    view: JoinTokenView
