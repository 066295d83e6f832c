"""When certificates expire: those that the mesh holds in Secrets, and those of proxies."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from clew.api.messages import ProxyStatus, key_message
from clew.api.views import Certificate, ProxyCertificate
from clew.model.base import ResourceKey
from clew.model.secret import Secret
from clew.stores.revise import timestamp

# Where Kubernetes and Istio keep a server's certificate.
_FIELDS = ("tls.crt", "cert")
# Who renews them has had nine tenths of their life for it; of long lives, until a month before.
_LATE = 0.1
_MONTH = 30 * 86400.0
# Proxies whose certificates are told of: the ones that end first.
_FIRST = 5


@dataclass(frozen=True, slots=True)
class HeldCertificate:
    """A server certificate that a Secret holds."""

    secret: ResourceKey
    subject: str
    begins: datetime
    ends: datetime


def certificates(secrets: Iterable[Secret], now: datetime) -> tuple[Certificate, ...]:
    """The server certificates of Secrets, the one that expires first at the front.

    What is no certificate is left out: others say so.
    """
    return tuple(
        Certificate(
            object=key_message(each.secret),
            subject=each.subject,
            expires=timestamp(each.ends),
            seconds_left=int((each.ends - now).total_seconds()),
        )
        for each in sorted(held_certificates(secrets), key=lambda each: each.ends)
    )


def first_to_end(proxies: Iterable[ProxyStatus], now: datetime) -> tuple[ProxyCertificate, ...]:
    """Those that end first, as far as proxies have said."""
    at = now.timestamp()
    known = sorted((p for p in proxies if p.certificate_ends), key=lambda p: p.certificate_ends)
    return tuple(
        ProxyCertificate(
            name=each.name,
            namespace=each.namespace,
            node=each.node,
            seconds_left=int(each.certificate_ends - at),
            late=ends_soon(each.certificate_begins, each.certificate_ends, at),
        )
        for each in known[:_FIRST]
    )


def ends_soon(begins: float, ends: float, now: float) -> bool:
    """Whether a certificate should have been renewed, or is over; in seconds since 1970."""
    return now > ends - min((ends - begins) * _LATE, _MONTH)


def held_certificates(secrets: Iterable[Secret]) -> Iterator[HeldCertificate]:
    for secret in secrets:
        for field in _FIELDS:
            if (found := _read(_pem(secret, field))) is not None:
                yield HeldCertificate(secret.key, *found)


def _pem(secret: Secret, field: str) -> bytes:
    if field in secret.string_data:
        return secret.string_data[field].encode()
    try:
        return base64.b64decode(secret.data.get(field, ""))
    except binascii.Error:
        return b""


@lru_cache(maxsize=1024)
def _read(pem: bytes) -> tuple[str, datetime, datetime] | None:
    """Subject, begin and end of the first certificate in the text, which is asked for often."""
    try:
        found = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    return found.subject.rfc4514_string(), found.not_valid_before_utc, found.not_valid_after_utc
