"""An authority as the files that users plug in."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization

from clew.ca.authority import SigningKey, bundle, pem
from tests.ca.issuer import Issuer


def key_pem(key: SigningKey, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, encryption
    )


def files(signer: Issuer, *above: Issuer, roots: str = "") -> dict[str, bytes]:
    return {
        "ca-cert.pem": pem(signer.certificate).encode(),
        "ca-key.pem": key_pem(signer.key),
        "cert-chain.pem": bundle(each.certificate for each in (signer, *above)).encode(),
        "root-cert.pem": (roots or pem(above[-1].certificate)).encode(),
    }
