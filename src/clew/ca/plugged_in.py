"""An authority that users bring: Istio's four files, from a directory or a Secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from clew.ca.authority import Authority, SigningKey, is_strong

# Source: Istio, "Plug in CA certificates".
CERTIFICATE = "ca-cert.pem"
KEY = "ca-key.pem"
ROOTS = "root-cert.pem"
CHAIN = "cert-chain.pem"
FILES = (CERTIFICATE, KEY, ROOTS, CHAIN)

_BLOCK = re.compile(
    rb"-----BEGIN CERTIFICATE-----[^-]{1,20000}-----END CERTIFICATE-----", re.DOTALL
)
_LARGEST_FILE = 256 * 1024
# A certificate of a version that there is not is no ValueError.
_NO_CERTIFICATE = (ValueError, x509.InvalidVersion)


class UnusableAuthority(Exception):
    """What was plugged in cannot sign for the mesh; the text says why, and what to do."""


def read_files(directory: Path) -> dict[str, bytes]:
    """The files that are there, by name. Raises: UnusableAuthority when one cannot be read."""
    found = {}
    for name in FILES:
        path = directory / name
        try:
            if path.exists():
                found[name] = path.read_bytes()
        except OSError as error:
            raise UnusableAuthority(f"{path} cannot be read: {error.strerror}") from None
    return found


def plugged_in(files: Mapping[str, bytes], *, now: datetime) -> Authority:
    """Make an authority of the files' contents; ``cert-chain.pem`` may be missing.

    ``root-cert.pem`` may hold several roots: all are trusted. What in it is no certificate is
    passed over, as one bad entry must not cost the trust in the others.

    Raises:
        UnusableAuthority: something is missing, no certificate, no authority or expired, the key
            is of another certificate, or the chain does not lead to a root.
    """
    for name in (CERTIFICATE, KEY, ROOTS):
        if not files.get(name, b"").strip():
            raise UnusableAuthority(f"{name} is missing: an authority has {', '.join(FILES)}")
    for name, content in files.items():
        if len(content) > _LARGEST_FILE:
            raise UnusableAuthority(f"{name} is larger than {_LARGEST_FILE} bytes")
    own = _certificates(CERTIFICATE, files[CERTIFICATE])
    key = _key_of(files[KEY])
    if key.public_key() != own[0].public_key():
        raise UnusableAuthority(
            f"{KEY} is not the key of {CERTIFICATE}: take both from the same authority"
        )
    _check_authority(CERTIFICATE, own[0])
    chain = [*own, *_certificates(CHAIN, files.get(CHAIN, b""))] if files.get(CHAIN) else own
    roots = certificates_in(files[ROOTS])
    if not roots:
        raise UnusableAuthority(f"{ROOTS} holds no PEM certificate")
    above, root = _lead(chain[0], chain[1:], roots)
    for name, each in ((CERTIFICATE, chain[0]), *((CHAIN, one) for one in above), (ROOTS, root)):
        _check_time(name, each, now)
    others = (each for each in roots if each != root and each.not_valid_after_utc > now)
    return Authority(certificate=chain[0], key=key, roots=(root, *others), above=above)


def _certificates(name: str, content: bytes) -> list[x509.Certificate]:
    blocks = _BLOCK.findall(content)
    if not blocks:
        raise UnusableAuthority(f"{name} holds no PEM certificate")
    try:
        return [x509.load_pem_x509_certificate(block) for block in blocks]
    except _NO_CERTIFICATE as error:
        raise UnusableAuthority(f"{name} holds what is no certificate: {error}") from None


def certificates_in(content: bytes) -> tuple[x509.Certificate, ...]:
    """The PEM certificates of a bundle, each once; what in it is none is passed over."""
    found = []
    for block in _BLOCK.findall(content):
        try:
            found.append(x509.load_pem_x509_certificate(block))
        except _NO_CERTIFICATE:
            continue
    return tuple(dict.fromkeys(found))


def _key_of(content: bytes) -> SigningKey:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError:
        raise UnusableAuthority(f"{KEY} is encrypted: store it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableAuthority(f"{KEY} is not a PEM private key") from None
    if not is_strong(key) or not isinstance(key, SigningKey):
        raise UnusableAuthority(f"{KEY} must be EC P-256 or P-384, or RSA of 2048 to 4096 bits")
    return key


def _check_authority(name: str, certificate: x509.Certificate, below: int = 0) -> None:
    """``below``: how many authorities are between it and the leaves."""
    wanted = "(basicConstraints CA:TRUE, keyUsage keyCertSign)"
    try:
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = [e.value for e in extensions if isinstance(e.value, x509.KeyUsage)]
    except (x509.ExtensionNotFound, ValueError):
        raise UnusableAuthority(f"{name} is not a CA certificate {wanted}") from None
    if not constraints.ca or any(not each.key_cert_sign for each in usage):
        raise UnusableAuthority(f"{name} is not a CA certificate {wanted}")
    if constraints.path_length is not None and constraints.path_length < below:
        raise UnusableAuthority(
            f"{name} allows {constraints.path_length} authorities below it, and there are {below}"
        )


def _lead(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
) -> tuple[tuple[x509.Certificate, ...], x509.Certificate]:
    """What is above ``certificate``, and the root that it leads to."""
    above: list[x509.Certificate] = []
    while True:
        top = above[-1] if above else certificate
        if top in roots:
            return tuple(each for each in above if each != top), top
        if (root := _issuer(top, roots)) is not None:
            _check_authority(ROOTS, root, below=len(above) + 1)
            return tuple(above), root
        rest = [each for each in others if each != certificate and each not in above]
        issuer = _issuer(top, rest)
        if issuer is None:
            raise UnusableAuthority(
                f"the chain of {CERTIFICATE} does not lead to {ROOTS}: nothing in {CHAIN} or "
                f"{ROOTS} has signed {top.subject.rfc4514_string() or 'a certificate'!r}, which "
                f"{top.issuer.rfc4514_string()!r} issued"
            )
        _check_authority(CHAIN, issuer, below=len(above) + 1)
        above.append(issuer)


def _issuer(
    certificate: x509.Certificate, among: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    for each in among:
        try:
            certificate.verify_directly_issued_by(each)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return each
    return None


def _check_time(name: str, certificate: x509.Certificate, now: datetime) -> None:
    subject = certificate.subject.rfc4514_string()
    if certificate.not_valid_after_utc <= now:
        raise UnusableAuthority(
            f"{name} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC ({subject})"
        )
    if certificate.not_valid_before_utc > now:
        raise UnusableAuthority(
            f"{name} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC "
            f"({subject}): is this machine's clock right?"
        )
