"""The authority's keys and certificates on disk, made when there are none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from clew.ca.authority import (
    Authority,
    SigningKey,
    is_strong,
    pem,
    self_signed_root,
    signed_intermediate,
)
from clew.ca.private_file import write_private

# An intermediate is replaced long before it would cut short what it signs.
INTERMEDIATE_RESERVE = timedelta(days=30)

_ROOT, _INTERMEDIATE = "root", "intermediate"


class UnusableKeys(Exception):
    """Files of the authority that do not belong together; the text says what to do."""


class KeyKind(StrEnum):
    """Keys that an authority may have."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    RSA_2048 = "rsa-2048"
    RSA_4096 = "rsa-4096"


def load_or_create(
    directory: Path, trust_domain: str, *, now: datetime, kind: KeyKind = KeyKind.EC_P256
) -> Authority:
    """Return the authority kept in ``directory``, which is made (0700) if it is not there.

    ``kind`` is that of keys that are made; those that there are stay.

    Files: ``root-key.pem``, ``root-cert.pem``, ``intermediate-key.pem``, ``intermediate-cert.pem``,
    all 0600 and replaced as a whole. An intermediate that nears its end is replaced too; the root
    stays, so that nobody's trust changes.

    Raises:
        UnusableKeys: a file cannot be read, or a certificate and a key do not match.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    root = _load(directory, _ROOT)
    if root is None:
        if _files(directory, _INTERMEDIATE)[0].exists():
            raise UnusableKeys(_advice(directory, "root-cert.pem is missing"))
        # A key without certificate is what a crash left behind: nobody trusts it yet.
        key = _new_key(directory, _ROOT, kind)
        certificate = self_signed_root(key, trust_domain, now=now, serial=_serial())
        root = _store(directory, _ROOT, key, certificate)
    intermediate = _load(directory, _INTERMEDIATE)
    if intermediate is None or intermediate.ends - now < INTERMEDIATE_RESERVE:
        key = _new_key(directory, _INTERMEDIATE, kind)
        certificate = signed_intermediate(
            root.certificate, root.key, key.public_key(), trust_domain, now=now, serial=_serial()
        )
        intermediate = _store(directory, _INTERMEDIATE, key, certificate)
    _check_signature(directory, root, intermediate)
    return Authority(
        certificate=intermediate.certificate, key=intermediate.key, roots=(root.certificate,)
    )


def is_due(authority: Authority, now: datetime) -> bool:
    """Whether an intermediate of ours is to be replaced: ``load_or_create`` does that."""
    return authority.certificate.not_valid_after_utc - now < INTERMEDIATE_RESERVE


@dataclass(frozen=True, slots=True)
class _Pair:
    key: SigningKey
    certificate: x509.Certificate

    @property
    def ends(self) -> datetime:
        return self.certificate.not_valid_after_utc


def _load(directory: Path, name: str) -> _Pair | None:
    """Read one pair; None if its certificate is not there."""
    certificate_file, key_file = _files(directory, name)
    if not certificate_file.exists():
        return None
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UnusableKeys(_advice(directory, f"{name}: {error}")) from error
    if key.public_key() != certificate.public_key():
        raise UnusableKeys(
            _advice(directory, f"{key_file.name} is not the key of {certificate_file.name}")
        )
    if not is_strong(key) or not isinstance(key, SigningKey):
        raise UnusableKeys(_advice(directory, f"the key in {key_file.name} is weak or unusual"))
    return _Pair(key, certificate)


def _check_signature(directory: Path, root: _Pair, intermediate: _Pair) -> None:
    try:
        intermediate.certificate.verify_directly_issued_by(root.certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        problem = "the intermediate certificate is not signed by the root"
        raise UnusableKeys(_advice(directory, problem)) from error


def _advice(directory: Path, problem: str) -> str:
    return (
        f"the certificate authority in {directory} cannot be used: {problem}. Proxies keep the "
        "certificates that they have. Restore the files from a backup; or delete the directory "
        "for a new authority, and restart all workloads, which will trust only that."
    )


def _new_key(directory: Path, name: str, kind: KeyKind) -> SigningKey:
    """A new key. The certificate of the former one, if any, goes first: they belong together."""
    for file in _files(directory, name):
        file.unlink(missing_ok=True)
    match kind:
        case KeyKind.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.EC_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyKind.RSA_2048 | KeyKind.RSA_4096:
            return rsa.generate_private_key(65537, int(kind.value.removeprefix("rsa-")))


def _store(directory: Path, name: str, key: SigningKey, certificate: x509.Certificate) -> _Pair:
    certificate_file, key_file = _files(directory, name)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(key_file, private, durable=True)
    write_private(certificate_file, pem(certificate).encode(), durable=True)
    return _Pair(key, certificate)


def _files(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}-cert.pem", directory / f"{name}-key.pem"


def _serial() -> int:
    return x509.random_serial_number()
