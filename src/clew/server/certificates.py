"""When the certificates expire that the mesh holds in Secrets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from datetime import datetime

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
            if (found := _certificate(secret, field)) is not None:
                ends = found.not_valid_after_utc
                yield Certificate(
                    object=key_message(secret.key),
                    subject=found.subject.rfc4514_string(),
                    expires=timestamp(ends),
                    seconds_left=int((ends - now).total_seconds()),
                )


def _certificate(secret: Secret, field: str) -> x509.Certificate | None:
    try:
        if field in secret.string_data:
            pem = secret.string_data[field].encode()
        else:
            pem = base64.b64decode(secret.data.get(field, ""))
        return x509.load_pem_x509_certificate(pem)
    except (ValueError, binascii.Error):
        return None
