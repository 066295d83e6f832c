"""Certificates as pure functions: a signing request and an identity in, a chain out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clew.ca.named_peer import names_of, peer_in
from clew.model.metrics import namespace_of

ROOT_LIFETIME = timedelta(days=3650)
INTERMEDIATE_LIFETIME = timedelta(days=365)
LEAF_LIFETIME = timedelta(hours=24)
# Clocks differ: a certificate is valid a little earlier than it was made. Source: Istio.
CLOCK_SKEW = timedelta(minutes=2)

_LARGEST_REQUEST = 16 * 1024
_RSA_BITS = range(2048, 4096 + 1)
_CURVES = (ec.SECP256R1, ec.SECP384R1)

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class RefusedRequest(Exception):
    """A signing request that no certificate is made for; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The certificate that signs, those above it, and the roots that peers trust.

    ``roots[0]`` is the one that ``certificate`` leads to; there are others while roots change. Of
    no root is the key here, unless the authority signs with one.
    """

    certificate: x509.Certificate
    key: SigningKey
    roots: tuple[x509.Certificate, ...]
    above: tuple[x509.Certificate, ...] = ()  # from the issuer of ``certificate`` up, no root
    # Roots of other meshes, by which proxies verify each other, but nobody may call us.
    also_trusted: tuple[x509.Certificate, ...] = ()

    @property
    def trusted(self) -> tuple[x509.Certificate, ...]:
        """What proxies verify each other by, each once."""
        return tuple(dict.fromkeys((*self.roots, *self.also_trusted)))

    @property
    def root(self) -> x509.Certificate:
        return self.roots[0]

    @property
    def ends(self) -> datetime:
        """When the first certificate of the chain expires."""
        chain = (self.certificate, *self.above, self.root)
        return min(each.not_valid_after_utc for each in chain)


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
    """Return the PEM chain for ``identity`` (a SPIFFE id): leaf, those above it, then all roots
    as one text.

    Taken from the request are the key and, if it is of the identity's namespace, the workload that
    it names for metrics; whoever asks does not choose the identity. ``lifetime`` is cut to 24 hours
    and to the issuers' own; zero or less means 24 hours. ``dns_names``: those of the control plane,
    or the one of a proxy among those of its identity.

    Raises:
        RefusedRequest: malformed, not signed by its own key, or a key too weak or too large.
    """
    request = _checked(request_pem)
    if authority.ends <= now:
        raise RefusedRequest(
            f"the certificate authority itself expired at {authority.ends}: see `clew ca status`"
        )
    if lifetime <= timedelta(0) or lifetime > LEAF_LIFETIME:
        lifetime = LEAF_LIFETIME
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity)]
    names += [x509.DNSName(name) for name in dns_names]
    if (peer := peer_in(request)).namespace == namespace_of(identity):
        names += names_of(peer)
    # TLS 1.2 knows suites in which an RSA key deciphers.
    by_rsa = isinstance(request.public_key(), rsa.RSAPublicKey)
    builder = (
        _certificate(x509.Name([]), authority.certificate, request.public_key(), serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(min(now + lifetime, authority.ends))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False, encipherment=by_rsa), critical=True)
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
    signers = (authority.certificate, *authority.above)
    presented = [each for each in signers if each not in authority.roots]
    return (*map(pem, (leaf, *presented)), bundle(authority.trusted))


def self_signed_root(
    key: SigningKey, trust_domain: str, *, now: datetime, serial: int
) -> x509.Certificate:
    """The certificate that all proxies of the mesh trust, valid for 10 years."""
    name = _subject("Root CA", trust_domain, key.public_key())
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
    root_key: SigningKey,
    public_key: CertificatePublicKeyTypes,
    trust_domain: str,
    *,
    now: datetime,
    serial: int,
) -> x509.Certificate:
    """The certificate of the key that signs workloads; it can make no further authorities."""
    name = _subject("Intermediate CA", trust_domain, public_key)
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


def bundle(certificates: Iterable[x509.Certificate]) -> str:
    return "".join(map(pem, certificates))


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, as hexadecimal: ``openssl x509 -fingerprint -sha256``."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def is_strong(key: object) -> bool:
    """EC P-256 or P-384, or RSA of 2048 to 4096 bits; private or public."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return isinstance(key.curve, _CURVES)
    return isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey) and key.key_size in _RSA_BITS


def _checked(request_pem: str) -> x509.CertificateSigningRequest:
    if len(request_pem) > _LARGEST_REQUEST:
        raise RefusedRequest(f"the signing request is larger than {_LARGEST_REQUEST} bytes")
    try:
        request = x509.load_pem_x509_csr(request_pem.encode())
        valid = request.is_signature_valid
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RefusedRequest(f"not a PEM certificate signing request: {error}") from None
    if not is_strong(key):
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
        authority = _key_identifier(issuer)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public_key)
        .serial_number(serial)
        .add_extension(own, critical=False)
        .add_extension(authority, critical=False)
    )


def _key_identifier(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """That of an issuer; those that others made may not name theirs."""
    found = x509.SubjectKeyIdentifier
    try:
        own = certificate.extensions.get_extension_for_class(found).value
    except x509.ExtensionNotFound:
        own = found.from_public_key(certificate.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _key_usage(*, authority: bool, encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_encipherment=encipherment,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(common_name: str, trust_domain: str, key: CertificatePublicKeyTypes) -> x509.Name:
    """A name that no other key has, so that nobody who builds chains takes one for another."""
    own = x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()[:16]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{common_name} {own}"),
        ]
    )
