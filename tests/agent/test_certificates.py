from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from clew.agent.certificates import certificate_secret, new_key, signing_request
from clew.agent.identity import write_certificate
from tests.agent.control_plane import Authority

IDENTITY = "spiffe://cluster.local/ns/default/sa/reviews"
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_request_names_the_identity_and_nothing_else() -> None:
    request = x509.load_pem_x509_csr(signing_request(new_key(), IDENTITY).encode())
    assert request.is_signature_valid
    assert len(request.subject) == 0
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(IDENTITY)]


def test_the_secret_has_the_chain_in_order_and_the_key() -> None:
    key = new_key()
    secret = msgspec.json.decode(certificate_secret(key, ["leaf", "intermediate\n"]))
    (resource,) = secret["resources"]
    assert resource["tls_certificate"]["certificate_chain"]["inline_string"] == (
        "leaf\nintermediate\n"
    )
    pem = resource["tls_certificate"]["private_key"]["inline_string"]
    loaded = serialization.load_pem_private_key(pem.encode(), None)
    assert loaded.public_key() == key.public_key()


def test_files_are_private_and_old_ones_are_replaced_whole(tmp_path: Path) -> None:
    authority, key = Authority(), new_key()
    request = x509.load_pem_x509_csr(signing_request(key, IDENTITY).encode())
    for _ in range(2):
        due = write_certificate(tmp_path, key, authority.sign(request))
    assert timedelta(minutes=29) < due - datetime.now(UTC) < timedelta(minutes=60)
    assert stat.S_IMODE((tmp_path / "sds").stat().st_mode) == 0o700
    files = sorted((tmp_path / "sds").iterdir())
    assert [file.name for file in files] == ["default.json", "rootca.json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
