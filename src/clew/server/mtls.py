"""Listening for proxies: mTLS with the mesh's own certificates, and who is at the other end."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clew.ca.authority import Authority, issue, pem
from clew.ca.renewal import renewal_time
from clew.model.names import spiffe_id

# Who the control plane is; Istio's names, which agents check.
NAMESPACE, SERVICE_ACCOUNT = "istio-system", "istiod"
SERVER_NAMES = ("istiod.istio-system.svc", "istiod.istio-system", "istiod", "localhost")

GRPC_OPTIONS = (
    # A proxy that vanished without a word is noticed within 40 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # A first request may name thousands of resources with their versions.
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.so_reuseport", 0),  # A second control plane on the same port is an error.
)

_SPIFFE = re.compile(r"spiffe://(?P<domain>[^/]+)/ns/(?P<namespace>[^/]+)/sa/(?P<account>[^/]+)")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified certificate says of the workload that presented it."""

    trust_domain: str
    namespace: str
    service_account: str

    def __str__(self) -> str:
        return spiffe_id(self.trust_domain, self.namespace, self.service_account)


def parse_identity(uri: str) -> Identity | None:
    """Read a SPIFFE id of Istio's form; None if it is of another."""
    match = _SPIFFE.fullmatch(uri)
    return Identity(match["domain"], match["namespace"], match["account"]) if match else None


def peer_identity(context: grpc.aio.ServicerContext) -> Identity | None:
    """Who called, proven by a client certificate; None without one, or if it names no workload."""
    (uri, *others) = context.auth_context().get("peer_spiffe_id") or (b"",)
    return None if others else parse_identity(uri.decode(errors="replace"))


class ServingCertificate:
    """The control plane's own certificate, renewed when a handshake finds it due.

    ``authority`` returns the one in force, so that a new intermediate or root is taken up at the
    next renewal. ``fetch`` is called from gRPC's threads, one handshake at a time.
    """

    def __init__(
        self,
        authority: Callable[[], Authority],
        trust_domain: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._authority = authority
        self._identity = spiffe_id(trust_domain, NAMESPACE, SERVICE_ACCOUNT)
        self._now = now
        self._due = now()

    def credentials(self) -> grpc.ServerCredentials:
        """mTLS, with a client certificate required."""
        return grpc.dynamic_ssl_server_credentials(
            self._issue(), self.fetch, require_client_authentication=True
        )

    def fetch(self) -> Any:
        """What to serve with from now on; None: no change."""
        return self._issue() if self._now() >= self._due else None

    def _issue(self) -> Any:
        authority, now = self._authority(), self._now()
        key = ec.generate_private_key(ec.SECP256R1())
        *own, _ = issue(
            authority,
            _signing_request(key),
            self._identity,
            now=now,
            serial=x509.random_serial_number(),
            dns_names=SERVER_NAMES,
        )
        ends = x509.load_pem_x509_certificate(own[0].encode()).not_valid_after_utc
        self._due = renewal_time(now, ends, jitter=random.uniform(0, 0.8))
        private_key = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return grpc.ssl_server_certificate_configuration(
            ((private_key, "".join(own).encode()),), pem(authority.root).encode()
        )


def listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None
) -> int:
    """Bind ``unix:/path`` (for the owner only) or ``host:port``; return the port (0: Unix).

    ``credentials`` None is plaintext, for a Unix socket in a private directory.

    Raises:
        OSError: the address cannot be bound; the text says what to do.
    """
    try:
        if credentials is None:
            port = int(server.add_insecure_port(address))
        else:
            port = int(server.add_secure_port(address, credentials))
    except RuntimeError as error:
        advice = (
            "use a shorter state directory (--state-dir), socket paths are limited to 107 bytes"
            if address.startswith("unix:") and len(address) > len("unix:") + 107
            else "is another control plane running with this state directory?"
        )
        raise OSError(f"cannot listen on {address}: {advice}") from error
    if address.startswith("unix:"):
        Path(address.removeprefix("unix:")).chmod(0o600)
        return 0
    return port


def _signing_request(key: ec.EllipticCurvePrivateKey) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
