"""A workload's key, its signing request, and the SDS files that Envoy reads them from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from clew.ca.named_peer import names_of, peer_in
from clew.model.metrics import NOBODY, Peer

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# Smaller ones no authority signs, larger ones are slow in every handshake.
_RSA_BITS = ("2048", "3072", "4096")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A key and the PEM chain of its certificate: the leaf first, without the root."""

    key: PrivateKey
    chain: tuple[str, ...]

    @property
    def validity(self) -> tuple[datetime, datetime]:
        """From when and until when it is valid, in UTC."""
        leaf = x509.load_pem_x509_certificate(self.chain[0].encode())
        return leaf.not_valid_before_utc, leaf.not_valid_after_utc

    @property
    def peer(self) -> Peer:
        """The workload that it names for metrics; `NOBODY` if it names none."""
        return peer_in(x509.load_pem_x509_certificate(self.chain[0].encode()))

    def is_under(self, root: str) -> bool:
        """Whether it leads to this root, a PEM certificate."""
        top = x509.load_pem_x509_certificate(self.chain[-1].encode())
        try:
            top.verify_directly_issued_by(x509.load_pem_x509_certificate(root.encode()))
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    @classmethod
    def read(cls, secret: bytes) -> Self:
        """Read ``sds/default.json`` back. Raises: ValueError, KeyError, TypeError."""
        [resource] = msgspec.json.decode(secret)["resources"]
        held = resource["tls_certificate"]
        pem = held["private_key"]["inline_string"].encode()
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, PrivateKey):
            raise TypeError("the key is of an unusual kind")
        chain = x509.load_pem_x509_certificates(held["certificate_chain"]["inline_string"].encode())
        encoding = serialization.Encoding.PEM
        return cls(key, tuple(each.public_bytes(encoding).decode() for each in chain))


def new_key(environment: Mapping[str, str] = {}) -> PrivateKey:
    """A key of EC P-256, or as the proxy's variables say.

    Source: istio's agent, ``ECC_SIGNATURE_ALGORITHM``, ``ECC_CURVE``, ``WORKLOAD_RSA_KEY_SIZE``.
    """
    bits = environment.get("WORKLOAD_RSA_KEY_SIZE", "")
    if bits in _RSA_BITS and not environment.get("ECC_SIGNATURE_ALGORITHM"):
        return rsa.generate_private_key(65537, int(bits))
    if environment.get("ECC_CURVE") == "P384":
        return ec.generate_private_key(ec.SECP384R1())
    return ec.generate_private_key(ec.SECP256R1())


def signing_request(key: PrivateKey, identity: str, peer: Peer = NOBODY) -> str:
    """Return a PEM request for a certificate of the SPIFFE ``identity``, which names the workload
    ``peer`` for metrics.
    """
    names = [x509.UniformResourceIdentifier(identity), *names_of(peer)]
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


def certificate_secret(key: PrivateKey, chain: Sequence[str]) -> bytes:
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


def read_roots(secret: bytes) -> str:
    """Read the content of ``sds/rootca.json`` back. Raises: ValueError, KeyError, TypeError."""
    [resource] = msgspec.json.decode(secret)["resources"]
    return str(resource["validation_context"]["trusted_ca"]["inline_string"])


def _discovery_response(resource: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"resources": [resource]})
