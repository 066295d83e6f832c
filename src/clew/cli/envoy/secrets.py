"""Secrets, as ``istioctl proxy-config secret`` prints them: certificates, never their keys."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from cryptography import x509

from clew.cli.envoy.dump import Part, Rows

HEADER = (
    *("RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"),
)


def rows(secrets: Iterable[tuple[str, Part]], now: datetime) -> Rows:
    return [HEADER, *(_row(state, secret, now) for state, secret in secrets)]


def _row(state: str, each: Part, now: datetime) -> tuple[str, ...]:
    secret = each.get("secret", {})
    chain = "tls_certificate" in secret
    kind = "Cert Chain" if chain else "CA" if "validation_context" in secret else "-"
    place = (str(each.get("name", "")), kind, state)
    certificates = list(_certificates(secret))
    if not certificates:
        return (*place, "false" if state == "ACTIVE" else "-", "-", "-", "-")
    first = certificates[0]
    good = first.not_valid_before_utc <= now <= first.not_valid_after_utc
    return (
        *place,
        "true" if good else "false",
        f"{first.serial_number:x}",
        _time(first.not_valid_after_utc),
        _time(first.not_valid_before_utc),
    )


def _time(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _certificates(secret: Part) -> Iterator[x509.Certificate]:
    source = secret.get("tls_certificate", {}).get("certificate_chain") or secret.get(
        "validation_context", {}
    ).get("trusted_ca", {})
    text = source.get("inline_string", "").encode() or base64.b64decode(
        source.get("inline_bytes", "")
    )
    if text:
        try:
            yield from x509.load_pem_x509_certificates(text)
        except ValueError:
            return
