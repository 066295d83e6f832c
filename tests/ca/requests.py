"""What workloads ask an authority for."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

IDENTITY = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"


def signing_request(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    names: Sequence[x509.GeneralName] = (),
) -> str:
    """A request that claims a name of its own, which must not count, and these ``names``."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "admin")])
    own = x509.UniformResourceIdentifier("spiffe://evil/ns/x/sa/y")
    claim = x509.SubjectAlternativeName([own, *names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = builder.add_extension(claim, critical=False).sign(
        key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()
