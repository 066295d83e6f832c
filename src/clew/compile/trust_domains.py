"""Trust domains that mean the same: the mesh's own, and its aliases.

Source: istio ``pilot/pkg/security/trustdomain``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# Stands for the mesh's own trust domain, whichever it is.
_LOCAL = "cluster.local"
# <trust domain>/ns/<namespace>/sa/<account>
_PARTS = 5


def same_principals(principals: Iterable[str], trust_domains: Sequence[str]) -> tuple[str, ...]:
    """Return the principals, those of the mesh in each of its trust domains."""
    found = [p for each in principals for p in _same_principal(each, trust_domains)]
    return tuple(dict.fromkeys(found))


def same_trust_domains(written: Iterable[str], trust_domains: Sequence[str]) -> tuple[str, ...]:
    """Return the trust domains, one of the mesh's along with all others of them."""
    found = [d for each in written for d in (trust_domains if each in trust_domains else (each,))]
    return tuple(dict.fromkeys(found))


def _same_principal(principal: str, trust_domains: Sequence[str]) -> tuple[str, ...]:
    domain, *rest = principal.split("/")
    # Other forms, and a trust domain that may be any, are meant as they are written.
    if len(rest) + 1 != _PARTS or domain == "*":
        return (principal,)
    if domain != _LOCAL and not any(_alike(domain, each) for each in trust_domains):
        return (principal,)
    return tuple(
        principal if _ends_as(each, domain) else "/".join((each, *rest)) for each in trust_domains
    )


def _alike(one: str, other: str) -> bool:
    return one == other or _fits(one, other) or _fits(other, one)


def _fits(text: str, wanted: str) -> bool:
    return _ends_as(text, wanted) or (wanted.endswith("*") and text.startswith(wanted[:-1]))


def _ends_as(text: str, wanted: str) -> bool:
    return wanted.startswith("*") and text.endswith(wanted[1:])
