"""Certificates as pure functions: a signing request and an identity in, a chain out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_LIFETIME = timedelta(days=3650)
INTERMEDIATE_LIFETIME = timedelta(days=365)
LEAF_LIFETIME = timedelta(hours=24)
# Clocks differ: a certificate is valid a little earlier than it was made. Source: Istio.
CLOCK_SKEW = timedelta(minutes=2)

_LARGEST_REQUEST = 16 * 1024
_RSA_BITS = range(2048, 4096 + 1)
_CURVES = (ec.SECP256R1, ec.SECP384R1)


class RefusedRequest(Exception):
    """A signing request that no certificate is made for; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The intermediate that signs, and the root that peers trust. The root's key is not here."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    root: x509.Certificate

    @property
    def ends(self) -> datetime:
        """When the first of the two expires."""
        return min(self.certificate.not_valid_after_utc, self.root.not_valid_after_utc)


def issue(
    authority: Authority,
    request_pem: str,
    identity: str,
    *,
    now: datetime,
    serial: int,
    lifetime: timedelta = LEAF_LIFETIME,
    dns_names: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the PEM chain for ``identity`` (a SPIFFE id): leaf, intermediate, root.

    Only the key is taken from the request; whoever asks does not choose the name. ``lifetime`` is
    cut to 24 hours and to the issuers' own; zero or less means 24 hours. ``dns_names`` are for
    the control plane's own certificate.

    Raises:
        RefusedRequest: malformed, not signed by its own key, or a key too weak or too large.
    """
    request = _checked(request_pem)
    if authority.ends <= now:
        raise RefusedRequest(
            f"the certificate authority itself expired at {authority.ends}: restart the control "
            "plane, which makes a new intermediate"
        )
    if lifetime <= timedelta(0) or lifetime > LEAF_LIFETIME:
        lifetime = LEAF_LIFETIME
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity)]
    names += [x509.DNSName(name) for name in dns_names]
    builder = (
        _certificate(x509.Name([]), authority.certificate, request.public_key(), serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(min(now + lifetime, authority.ends))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        # RFC 5280, 4.2.1.6: critical, since the subject is empty.
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
    )
    leaf = builder.sign(authority.key, hashes.SHA256())
    return tuple(pem(c) for c in (leaf, authority.certificate, authority.root))


def self_signed_root(
    key: ec.EllipticCurvePrivateKey, trust_domain: str, *, now: datetime, serial: int
) -> x509.Certificate:
    """The certificate that all proxies of the mesh trust, valid for 10 years."""
    name = _subject("Root CA", trust_domain)
    return (
        _certificate(name, None, key.public_key(), serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def signed_intermediate(
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    trust_domain: str,
    *,
    now: datetime,
    serial: int,
) -> x509.Certificate:
    """The certificate of the key that signs workloads; it can make no further authorities."""
    name = _subject("Intermediate CA", trust_domain)
    return (
        _certificate(name, root, public_key, serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(min(now + INTERMEDIATE_LIFETIME, root.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _checked(request_pem: str) -> x509.CertificateSigningRequest:
    if len(request_pem) > _LARGEST_REQUEST:
        raise RefusedRequest(f"the signing request is larger than {_LARGEST_REQUEST} bytes")
    try:
        request = x509.load_pem_x509_csr(request_pem.encode())
        valid = request.is_signature_valid
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RefusedRequest(f"not a PEM certificate signing request: {error}") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        strong = isinstance(key.curve, _CURVES)
    else:
        strong = isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS
    if not strong:
        raise RefusedRequest("the key must be EC P-256 or P-384, or RSA of 2048 to 4096 bits")
    if not valid:
        raise RefusedRequest("the signing request is not signed by the key that it names")
    return request


def _certificate(
    subject: x509.Name,
    issuer: x509.Certificate | None,
    public_key: CertificatePublicKeyTypes,
    serial: int,
) -> x509.CertificateBuilder:
    """Names, key and key identifiers; ``issuer`` None: signed by itself."""
    own = x509.SubjectKeyIdentifier.from_public_key(public_key)
    if issuer is None:
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
    else:
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
            issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public_key)
        .serial_number(serial)
        .add_extension(own, critical=False)
        .add_extension(authority, critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(common_name: str, trust_domain: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
