"""Authorities that users bring, and what is said of those that cannot be used."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.verification import PolicyBuilder, Store

from clew.ca.authority import bundle, issue, pem
from clew.ca.plugged_in import FILES, UnusableAuthority, plugged_in, read_files
from tests.ca.issuer import Issuer
from tests.ca.plugged_in_files import files, key_pem
from tests.ca.requests import IDENTITY, signing_request

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def root() -> Issuer:
    return Issuer.root("Corporate Root", NOW, key=rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def signer(root: Issuer) -> Issuer:
    return root.authority("Mesh CA", NOW)


def test_leaves_lead_to_the_root_that_was_plugged_in(root: Issuer) -> None:
    division = root.authority("Division CA", NOW)
    signer = division.authority("Mesh CA", NOW, key=rsa.generate_private_key(65537, 2048))
    authority = plugged_in(files(signer, division, root), now=NOW)
    *own, roots = issue(authority, signing_request(), IDENTITY, now=NOW, serial=9)
    leaf, *above = (x509.load_pem_x509_certificate(each.encode()) for each in own)
    assert above == [signer.certificate, division.certificate]
    assert roots == pem(root.certificate)
    leaf.verify_directly_issued_by(signer.certificate)
    verifier = PolicyBuilder().store(Store([root.certificate])).time(NOW).build_client_verifier()
    assert len(verifier.verify(leaf, above).chain) == 4


def test_a_root_may_sign_itself_and_no_chain_is_needed(root: Issuer, signer: Issuer) -> None:
    alone = {**files(root, root), "cert-chain.pem": b""}
    chain = issue(plugged_in(alone, now=NOW), signing_request(), IDENTITY, now=NOW, serial=9)
    assert len(chain) == 2, "the leaf, and the root to trust"
    del alone["cert-chain.pem"]
    assert plugged_in(alone, now=NOW).certificate == root.certificate
    assert plugged_in({**files(signer, root), "cert-chain.pem": b""}, now=NOW).above == ()


def test_all_roots_are_trusted_that_are_valid_and_the_own_comes_first(
    root: Issuer, signer: Issuer
) -> None:
    other = Issuer.root("Other", NOW)
    expired = Issuer.root("Expired", NOW - timedelta(days=4000))
    junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    roots = junk + bundle(i.certificate for i in (other, expired, root, other))
    authority = plugged_in(files(signer, root, roots=roots), now=NOW)
    assert authority.roots == (root.certificate, other.certificate)


@pytest.mark.parametrize("name", ["ca-cert.pem", "ca-key.pem", "root-cert.pem"])
def test_what_is_missing_is_named(root: Issuer, signer: Issuer, name: str) -> None:
    with pytest.raises(UnusableAuthority, match=f"{name} is missing"):
        plugged_in({**files(signer, root), name: b""}, now=NOW)
    with pytest.raises(UnusableAuthority, match=name):
        plugged_in({**files(signer, root), name: b"hello"}, now=NOW)


def test_a_key_of_another_certificate_is_refused(root: Issuer, signer: Issuer) -> None:
    with pytest.raises(UnusableAuthority, match=r"ca-key.pem is not the key of ca-cert.pem"):
        plugged_in({**files(signer, root), "ca-key.pem": key_pem(root.key)}, now=NOW)


def test_a_certificate_of_no_authority_is_refused(root: Issuer) -> None:
    leaf = root.leaf("spiffe://cluster.local/ns/a/sa/b", NOW)
    with pytest.raises(UnusableAuthority, match=r"ca-cert.pem is not a CA certificate"):
        plugged_in(files(leaf, root), now=NOW)


def test_an_authority_that_may_have_none_below_it_is_refused(root: Issuer) -> None:
    last = root.authority("Last", NOW, path_length=0)
    with pytest.raises(UnusableAuthority, match="allows 0 authorities below it"):
        plugged_in(files(last.authority("Mesh CA", NOW), last, root), now=NOW)


def test_expired_and_future_ones_are_refused(root: Issuer, signer: Issuer) -> None:
    later = NOW + timedelta(days=4000)
    with pytest.raises(UnusableAuthority, match=r"ca-cert.pem expired at 2027-11-25"):
        plugged_in(files(signer, root), now=later)
    with pytest.raises(UnusableAuthority, match="is this machine's clock right"):
        plugged_in(files(signer, root), now=NOW - timedelta(days=1))
    short = Issuer.root("Short", NOW - timedelta(days=3650))
    with pytest.raises(UnusableAuthority, match=r"root-cert.pem expired"):
        plugged_in(files(short.authority("Mesh CA", NOW), short), now=NOW + timedelta(days=1))


def test_a_chain_that_leads_elsewhere_is_refused(root: Issuer, signer: Issuer) -> None:
    impostor = Issuer.root("Corporate Root", NOW)  # the same name, another key
    with pytest.raises(UnusableAuthority, match=r"does not lead to root-cert.pem"):
        plugged_in(files(signer, root, roots=pem(impostor.certificate)), now=NOW)


def test_keys_that_cannot_be_used_are_refused(root: Issuer, signer: Issuer) -> None:
    with pytest.raises(UnusableAuthority, match="without a passphrase"):
        plugged_in({**files(signer, root), "ca-key.pem": key_pem(signer.key, b"x")}, now=NOW)
    weak = rsa.generate_private_key(65537, 1024)
    with pytest.raises(UnusableAuthority, match="2048 to 4096"):
        plugged_in({**files(signer, root), "ca-key.pem": key_pem(weak)}, now=NOW)


def test_no_text_of_an_error_has_the_key_in_it(root: Issuer, signer: Issuer) -> None:
    secret = key_pem(signer.key)
    for broken in (secret[:-40], secret.replace(b"BEGIN", b"BEGUN"), secret * 9000):
        with pytest.raises(UnusableAuthority) as refusal:
            plugged_in({**files(signer, root), "ca-key.pem": broken}, now=NOW)
        assert secret.decode().splitlines()[1] not in str(refusal.value)


def test_files_are_read_from_a_directory(tmp_path: Path, root: Issuer, signer: Issuer) -> None:
    assert read_files(tmp_path) == {}
    for name, content in files(signer, root).items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.txt").write_text("not an authority's")
    assert set(read_files(tmp_path)) == set(FILES)
    (tmp_path / "ca-key.pem").unlink()
    (tmp_path / "ca-key.pem").mkdir()
    with pytest.raises(UnusableAuthority, match=r"ca-key.pem cannot be read"):
        read_files(tmp_path)


def test_an_issuer_that_names_no_key_is_no_obstacle(root: Issuer) -> None:
    signer = root.authority("Mesh CA", NOW, named_key=False)
    chain = issue(
        plugged_in(files(signer, root), now=NOW), signing_request(), IDENTITY, now=NOW, serial=9
    )
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    leaf.verify_directly_issued_by(signer.certificate)


def test_an_authority_that_nears_its_end_shortens_what_it_signs(root: Issuer) -> None:
    signer = root.authority("Mesh CA", NOW, lifetime=timedelta(hours=2))
    authority = plugged_in(files(signer, root), now=NOW)
    leaf, *_ = issue(authority, signing_request(), IDENTITY, now=NOW, serial=9)
    ends = x509.load_pem_x509_certificate(leaf.encode()).not_valid_after_utc
    assert ends == signer.certificate.not_valid_after_utc


def test_requests_signed_with_rsa_get_certificates_for_rsa(root: Issuer, signer: Issuer) -> None:
    authority = plugged_in(files(signer, root), now=NOW)
    for key, enciphers in (
        (rsa.generate_private_key(65537, 2048), True),
        (ec.generate_private_key(ec.SECP256R1()), False),
    ):
        chain = issue(authority, signing_request(key), IDENTITY, now=NOW, serial=9)
        leaf = x509.load_pem_x509_certificate(chain[0].encode())
        assert isinstance(leaf.signature_hash_algorithm, hashes.SHA256)
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.key_encipherment is enciphers
