"""The control plane's own certificate, with which it serves."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clew.ca.authority import Authority, issue
from clew.ca.renewal import renewal_time
from clew.model import names


class OwnCertificate:
    """A certificate of the mesh's authority, another one whenever it is asked for and due.

    ``authority`` returns the one in force; after another has come into force, its certificate is
    the next that is given out.
    """

    def __init__(
        self,
        authority: Callable[[], Authority],
        trust_domain: str,
        dns_names: Sequence[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._authority = authority
        self._identity = names.spiffe_id(
            trust_domain, names.CONTROL_PLANE_NAMESPACE, names.CONTROL_PLANE_SERVICE_ACCOUNT
        )
        self._dns_names = tuple(dns_names)
        self._now = now
        self._due = now()
        self._issued_by: Authority | None = None
        self._key_and_chain = b""

    def key_and_chain(self) -> bytes:
        """The private key and its certificates, PEM, the leaf first: one object until renewed."""
        authority = self._authority()
        if self._now() >= self._due or authority is not self._issued_by:
            self._issue(authority)
        return self._key_and_chain

    def _issue(self, authority: Authority) -> None:
        now = self._now()
        key = ec.generate_private_key(ec.SECP256R1())
        *own, _ = issue(
            authority,
            _signing_request(key),
            self._identity,
            now=now,
            serial=x509.random_serial_number(),
            dns_names=self._dns_names,
        )
        ends = x509.load_pem_x509_certificate(own[0].encode()).not_valid_after_utc
        private_key = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._issued_by = authority
        self._due = renewal_time(now, ends, jitter=random.uniform(0, 0.8))
        self._key_and_chain = private_key + "".join(own).encode()


def _signing_request(key: ec.EllipticCurvePrivateKey) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
