"""The certificates of Secrets, and when they expire."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from clew.api.messages import ProxyStatus
from clew.config.parse import parse_manifest
from clew.model.secret import Secret
from clew.server.certificates import certificates, first_to_end

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def pem(name: str, lifetime: timedelta) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1)
    valid = builder.not_valid_before(NOW - timedelta(days=90)).not_valid_after(NOW + lifetime)
    return valid.sign(key, SHA256()).public_bytes(Encoding.PEM)


def secret(name: str, field: str, value: bytes, *, plain: bool = False) -> Secret:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "shop"},
        **(
            {"stringData": {field: value.decode()}}
            if plain
            else {"data": {field: base64.b64encode(value).decode()}}
        ),
    }
    resource = parse_manifest(manifest).resource
    assert isinstance(resource, Secret)
    return resource


def test_what_expires_first_comes_first_and_what_is_no_certificate_is_left_out() -> None:
    found = certificates(
        (
            secret("late", "tls.crt", pem("late", timedelta(days=60))),
            secret("over", "cert", pem("over", -timedelta(days=1))),
            secret("soon", "tls.crt", pem("soon", timedelta(hours=2)), plain=True),
            secret("none", "tls.crt", b"not a certificate"),
            secret("password", "password", b"x"),
        ),
        NOW,
    )
    assert [(each.object.name, each.subject) for each in found] == [
        ("over", "CN=over"),
        ("soon", "CN=soon"),
        ("late", "CN=late"),
    ]
    assert [each.seconds_left for each in found] == [-86_400, 7_200, 60 * 86_400]
    assert found[1].expires == "2026-03-01T14:00:00Z"


def test_of_proxies_those_come_first_that_end_first_and_some_are_late() -> None:
    def proxy(name: str, hours: float) -> ProxyStatus:
        ends = NOW.timestamp() + 3600 * hours
        began = ends - 86400
        return ProxyStatus(name=name, node=name, certificate_begins=began, certificate_ends=ends)

    unknown = ProxyStatus(name="u", node="u")
    found = first_to_end([proxy("new", 23), unknown, proxy("old", 2), proxy("x", -1)], NOW)
    assert [(each.name, each.seconds_left // 3600, each.late) for each in found] == [
        ("x", -1, True),
        ("old", 2, True),
        ("new", 23, False),
    ]
