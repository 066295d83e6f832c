from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.verification import PolicyBuilder, Store

from clew.ca.authority import (
    Authority,
    RefusedRequest,
    issue,
    self_signed_root,
    signed_intermediate,
)
from tests.ca.requests import IDENTITY, signing_request

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def authority(now: datetime = NOW) -> Authority:
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = self_signed_root(root_key, "cluster.local", now=now, serial=1)
    certificate = signed_intermediate(
        root, root_key, key.public_key(), "cluster.local", now=now, serial=2
    )
    return Authority(certificate=certificate, key=key, roots=(root,))


def issued(lifetime: timedelta = timedelta(0), now: datetime = NOW) -> list[x509.Certificate]:
    chain = issue(authority(), signing_request(), IDENTITY, now=now, serial=3, lifetime=lifetime)
    return [x509.load_pem_x509_certificate(text.encode()) for text in chain]


def test_the_identity_is_the_only_name_and_critical() -> None:
    leaf = issued()[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert list(names.value) == [x509.UniformResourceIdentifier(IDENTITY)]
    assert leaf.subject == x509.Name([])


def test_a_leaf_lasts_a_day_unless_less_is_asked_for() -> None:
    assert issued()[0].not_valid_after_utc == NOW + timedelta(hours=24)
    assert issued(timedelta(days=900))[0].not_valid_after_utc == NOW + timedelta(hours=24)
    assert issued(timedelta(hours=1))[0].not_valid_after_utc == NOW + timedelta(hours=1)


def test_a_leaf_never_outlives_its_issuer() -> None:
    late = NOW + timedelta(days=365) - timedelta(hours=1)
    leaf, intermediate, _ = issued(now=late)
    assert leaf.not_valid_after_utc == intermediate.not_valid_after_utc


def test_an_expired_authority_refuses() -> None:
    with pytest.raises(RefusedRequest, match="expired"):
        issued(now=NOW + timedelta(days=366))


def test_the_chain_leads_to_the_root_for_clients_and_servers() -> None:
    leaf, intermediate, root = issued()
    for earlier, later in ((leaf, intermediate), (intermediate, root), (root, root)):
        earlier.verify_directly_issued_by(later)
    verifier = PolicyBuilder().store(Store([root])).time(NOW).build_client_verifier()
    verified = verifier.verify(leaf, [intermediate])
    assert verified.subjects is not None
    assert [name.value for name in verified.subjects] == [IDENTITY]


def test_a_leaf_is_no_authority() -> None:
    leaf = issued()[0]
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.critical) == (False, True)
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN CERTIFICATE REQUEST-----\n!\n-----END CERTIFICATE REQUEST-----", "é"]
)
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(RefusedRequest, match="not a PEM certificate signing request"):
        issue(authority(), text, IDENTITY, now=NOW, serial=3)


def test_an_overlong_request_is_refused_unread() -> None:
    with pytest.raises(RefusedRequest, match="larger than"):
        issue(authority(), "x" * 20_000, IDENTITY, now=NOW, serial=3)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=1024),
        ec.generate_private_key(ec.SECP192R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA-1024", "P-192", "Ed25519"],
)
def test_weak_and_unusual_keys_are_refused(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(RefusedRequest):
        issue(authority(), request, IDENTITY, now=NOW, serial=3)


def test_a_request_with_a_forged_signature_is_refused() -> None:
    request = x509.load_pem_x509_csr(signing_request().encode())
    forged = bytearray(request.public_bytes(serialization.Encoding.DER))
    forged[-1] ^= 1
    text = x509.load_der_x509_csr(bytes(forged)).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(RefusedRequest, match="not signed by"):
        issue(authority(), text, IDENTITY, now=NOW, serial=3)
