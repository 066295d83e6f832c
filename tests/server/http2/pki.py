"""A root, a server's certificate, and clients with and without one."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clew.server.http2.tls import server_context
from tests.certificates import private_pem

OPTIONS = [("grpc.ssl_target_name_override", "localhost")]


@dataclass(frozen=True)
class Certificates:
    root: bytes
    server: bytes
    client: grpc.ChannelCredentials
    stranger: grpc.ChannelCredentials
    anonymous: grpc.ChannelCredentials

    def context(self) -> ssl.SSLContext:
        return server_context(self.server, self.root.decode())

    def open_context(self) -> ssl.SSLContext:
        return server_context(self.server, self.root.decode(), certificate_required=False)


def certificates() -> Certificates:
    key, root = _root()
    other_key, other_root = _root()
    pem = root.public_bytes(serialization.Encoding.PEM)
    server = b"".join(_leaf(key, root, x509.DNSName("localhost")))
    workload = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/a/sa/b")
    return Certificates(
        pem,
        server,
        grpc.ssl_channel_credentials(pem, *_leaf(key, root, workload)),
        grpc.ssl_channel_credentials(pem, *_leaf(other_key, other_root, workload)),
        grpc.ssl_channel_credentials(pem),
    )


def _root() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("root", "root", key.public_key())
    authority = x509.BasicConstraints(ca=True, path_length=None)
    return key, builder.add_extension(authority, critical=True).sign(key, hashes.SHA256())


def _leaf(
    signer: ec.EllipticCurvePrivateKey, root: x509.Certificate, name: x509.GeneralName
) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("leaf", "root", key.public_key())
    names = x509.SubjectAlternativeName([name])
    certificate = builder.add_extension(names, critical=True).sign(signer, hashes.SHA256())
    private = private_pem(key)
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
    )
