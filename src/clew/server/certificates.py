"""When the certificates expire that the mesh holds in Secrets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from clew.api.messages import key_message
from clew.api.views import Certificate
from clew.model.secret import Secret
from clew.stores.revise import timestamp

# Where Kubernetes and Istio keep a server's certificate.
_FIELDS = ("tls.crt", "cert")


def certificates(secrets: Iterable[Secret], now: datetime) -> tuple[Certificate, ...]:
    """The server certificates of Secrets, the one that expires first at the front.

    What is no certificate is left out: others say so.
    """
    return tuple(sorted(_certificates(secrets, now), key=lambda each: each.seconds_left))


def _certificates(secrets: Iterable[Secret], now: datetime) -> Iterator[Certificate]:
    for secret in secrets:
        for field in _FIELDS:
            if (found := _subject_and_end(_pem(secret, field))) is not None:
                subject, ends = found
                yield Certificate(
                    object=key_message(secret.key),
                    subject=subject,
                    expires=timestamp(ends),
                    seconds_left=int((ends - now).total_seconds()),
                )


def _pem(secret: Secret, field: str) -> bytes:
    if field in secret.string_data:
        return secret.string_data[field].encode()
    try:
        return base64.b64decode(secret.data.get(field, ""))
    except binascii.Error:
        return b""


@lru_cache(maxsize=1024)
def _subject_and_end(pem: bytes) -> tuple[str, datetime] | None:
    """Of the first certificate in the text. The same ones are asked for again and again."""
    try:
        found = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    return found.subject.rfc4514_string(), found.not_valid_after_utc
