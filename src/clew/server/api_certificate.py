"""TLS of the admin API on TCP: the mesh's own certificate, or one that its owner brings."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clew.api.access import SERVER_NAME
from clew.ca.authority import Authority, issue
from clew.ca.keys import write_private
from clew.ca.renewal import renewal_time
from clew.model import names
from clew.server.http2.tls import sound_context

FILE = "api-certificate.pem"


def server_context(client_roots: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and up; client certificates are asked for if there are roots to verify them by.

    Raises: OSError, ssl.SSLError: the file with the roots cannot be used.
    """
    context = sound_context()
    if client_roots is not None:
        context.load_verify_locations(client_roots)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


class OwnCertificate:
    """A certificate of the mesh's authority, another one whenever a handshake finds it due.

    ``authority`` returns the one in force.
    """

    def __init__(
        self,
        authority: Callable[[], Authority],
        trust_domain: str,
        directory: Path,
        now: Callable[[], datetime],
    ) -> None:
        self._authority = authority
        self._identity = names.spiffe_id(trust_domain, "istio-system", "istiod")
        self._file = directory / FILE
        self._now = now
        self._due = now()
        self._issued_by: Authority | None = None
        self._current = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def serve_with(self, context: ssl.SSLContext) -> None:
        """Let handshakes of ``context`` present the certificate."""
        self._issue(context)
        self._current = context
        context.sni_callback = self._present

    def _present(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        if self._now() >= self._due or self._authority() is not self._issued_by:
            self._current = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._issue(self._current)
        connection.context = self._current

    def _issue(self, context: ssl.SSLContext) -> None:
        authority, now = self._authority(), self._now()
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        *own, _ = issue(
            authority,
            request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(),
            self._identity,
            now=now,
            serial=x509.random_serial_number(),
            dns_names=(SERVER_NAME,),
        )
        private_key = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        # The standard library takes keys from files only.
        write_private(self._file, private_key + "".join(own).encode())
        context.load_cert_chain(self._file)
        ends = x509.load_pem_x509_certificate(own[0].encode()).not_valid_after_utc
        self._issued_by, self._due = (
            authority,
            renewal_time(now, ends, jitter=random.uniform(0, 0.8)),
        )
