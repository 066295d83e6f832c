"""A workload's key, its signing request, and the SDS files that Envoy reads them from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def signing_request(key: ec.EllipticCurvePrivateKey, identity: str) -> str:
    """Return a PEM request for a certificate whose only name is the SPIFFE ``identity``."""
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


def certificate_secret(key: ec.EllipticCurvePrivateKey, chain: Sequence[str]) -> bytes:
    """Return the content of ``sds/default.json``: the certificate, intermediates, and the key."""
    private_key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    pem = "".join(part if part.endswith("\n") else part + "\n" for part in chain)
    return _discovery_response(
        {
            "@type": _SECRET,
            "name": "default",
            "tls_certificate": {
                "certificate_chain": {"inline_string": pem},
                "private_key": {"inline_string": private_key},
            },
        }
    )


def root_secret(roots: str) -> bytes:
    """Return the content of ``sds/rootca.json``: what peers' certificates must lead to."""
    return _discovery_response(
        {
            "@type": _SECRET,
            "name": "ROOTCA",
            "validation_context": {"trusted_ca": {"inline_string": roots}},
        }
    )


def _discovery_response(resource: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"resources": [resource]})


def validity(certificate: str) -> tuple[datetime, datetime]:
    """Return from when and until when a PEM certificate is valid, in UTC."""
    parsed = x509.load_pem_x509_certificate(certificate.encode())
    return parsed.not_valid_before_utc, parsed.not_valid_after_utc
