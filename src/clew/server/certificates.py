"""When the certificates expire that the mesh holds in Secrets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from clew.api.messages import key_message
from clew.api.views import Certificate
from clew.model.base import ResourceKey
from clew.model.secret import Secret
from clew.stores.revise import timestamp

# Where Kubernetes and Istio keep a server's certificate.
_FIELDS = ("tls.crt", "cert")


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
