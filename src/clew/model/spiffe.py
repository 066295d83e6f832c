"""SPIFFE ids, and the form that Istio gives them.

Source: SPIFFE-ID.md of the SPIFFE standard, sections 2.1 to 2.3.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

SCHEME = "spiffe://"

_TRUST_DOMAIN = frozenset(string.ascii_lowercase + string.digits + ".-_")
_SEGMENT = frozenset(string.ascii_letters + string.digits + ".-_")
# Section 2.3 of the standard: implementations must take 2048 bytes, and may refuse more.
_LONGEST = 2048
_LONGEST_TRUST_DOMAIN = 255


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """``path`` begins with a slash, or is empty: then it is the id of the trust domain itself."""

    trust_domain: str
    path: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises: ValueError, with the rule that is broken."""
        if not text:
            raise ValueError("a SPIFFE id cannot be empty")
        if not text.startswith(SCHEME):
            raise ValueError("the scheme is missing or invalid: an id begins with spiffe://")
        if len(text) > _LONGEST:
            raise ValueError(f"a SPIFFE id has at most {_LONGEST} characters")
        domain, slash, path = text.removeprefix(SCHEME).partition("/")
        return cls(parse_trust_domain(domain), slash + _checked_path(path) if slash else "")


def parse_trust_domain(text: str) -> str:
    """Return the trust domain that a name, or a whole SPIFFE id, is of. Raises: ValueError."""
    if text.startswith(SCHEME):
        return SpiffeId.parse(text).trust_domain
    if not text:
        raise ValueError("the trust domain is missing")
    if not _TRUST_DOMAIN.issuperset(text):
        raise ValueError(
            "trust domain characters are limited to lowercase letters, numbers, dots, dashes, "
            "and underscores"
        )
    if len(text) > _LONGEST_TRUST_DOMAIN:
        raise ValueError(f"a trust domain has at most {_LONGEST_TRUST_DOMAIN} characters")
    return text


def _checked_path(path: str) -> str:
    if not path or path.endswith("/"):
        raise ValueError("the path cannot have a trailing slash")
    for segment in path.split("/"):
        if not segment:
            raise ValueError("the path cannot contain empty segments")
        if segment in (".", ".."):
            raise ValueError("the path cannot contain dot segments")
        if not _SEGMENT.issuperset(segment):
            raise ValueError(
                "path segment characters are limited to letters, numbers, dots, dashes, and "
                "underscores"
            )
    return path


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a workload is: ``spiffe://<trust domain>/ns/<namespace>/sa/<service account>``."""

    trust_domain: str
    namespace: str
    service_account: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a SPIFFE id of Istio's form. Raises: ValueError if it is of another.

        Source: istio ``spiffe.ParseIdentity``, and SPIFFE's rules for what is between slashes.
        """
        found = SpiffeId.parse(text)
        match found.path.split("/"):
            case ["", "ns", namespace, "sa", account]:
                return cls(found.trust_domain, namespace, account)
        raise ValueError(f"{text!r} is not {SCHEME}<trust domain>/ns/<namespace>/sa/<account>")


def in_trust_domains(ids: Iterable[str], trust_domains: Iterable[str]) -> tuple[str, ...]:
    """The ids, and each as it would be in the other trust domains; what is no id stays alone.

    Source: istio ``spiffe.ExpandWithTrustDomains``.
    """
    domains = tuple(trust_domains)
    found: dict[str, None] = {}
    for each in ids:
        found[each] = None
        domain, slash, path = each.removeprefix(SCHEME).partition("/")
        if each.startswith(SCHEME) and domain and slash:
            found |= {f"{SCHEME}{other}/{path}": None for other in domains}
    return tuple(found)
