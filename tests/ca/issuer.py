"""Authorities that clew did not make, and certificates of any kind, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clew.ca.authority import SigningKey


def _new() -> SigningKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Issuer:
    certificate: x509.Certificate
    key: SigningKey

    @classmethod
    def root(cls, name: str, now: datetime, key: SigningKey | None = None) -> Issuer:
        own = key or _new()
        builder = _builder(_name(name), _name(name), own, now, timedelta(days=3650))
        return cls(_as_authority(builder, own, None).sign(own, hashes.SHA256()), own)

    def authority(
        self,
        name: str,
        now: datetime,
        *,
        key: SigningKey | None = None,
        path_length: int | None = None,
        lifetime: timedelta = timedelta(days=365),
        named_key: bool = True,
    ) -> Issuer:
        own = key or _new()
        builder = _builder(_name(name), self.certificate.subject, own, now, lifetime)
        signed = _as_authority(builder, own if named_key else None, path_length)
        return Issuer(signed.sign(self.key, hashes.SHA256()), own)

    def leaf(
        self, identity: str, now: datetime, lifetime: timedelta = timedelta(hours=24)
    ) -> Issuer:
        """``lifetime`` below zero: it has expired."""
        own = _new()
        begins = now if lifetime > timedelta(0) else now + 2 * lifetime
        builder = _builder(x509.Name([]), self.certificate.subject, own, begins, abs(lifetime))
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        builder = builder.add_extension(names, critical=True).add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        return Issuer(builder.sign(self.key, hashes.SHA256()), own)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: SigningKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(seconds=1))
        .not_valid_after(now + lifetime)
    )


def _as_authority(
    builder: x509.CertificateBuilder, key: SigningKey | None, path_length: int | None
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=path_length), critical=True
    ).add_extension(usage, critical=True)
    if key is None:
        return builder
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(own, critical=False)
