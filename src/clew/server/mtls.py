"""Listening for proxies: mTLS with the mesh's own certificates, and who is at the other end."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clew.ca.authority import Authority, bundle, issue
from clew.ca.renewal import renewal_time
from clew.model.spiffe import Identity

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

# Of a proxy's name in its certificate: no server of ours has a name that ends so.
_PROXY_SUFFIX = ".proxy"


@dataclass(frozen=True, slots=True)
class Peer:
    """What a verified certificate says of who presented it.

    ``proxy``: ``<name>.<namespace>``, as in the node id; "" if the certificate names none.
    """

    identity: Identity
    proxy: str = ""


def peer_of(context: grpc.aio.ServicerContext) -> Peer | None:
    """Who called, proven by a client certificate; None without one, or if it names no workload."""
    proven = context.auth_context()
    (uri, *others) = proven.get("peer_spiffe_id") or (b"",)
    if others:
        return None
    try:
        identity = Identity.parse(uri.decode(errors="replace"))
    except ValueError:
        return None
    names = (name.decode(errors="replace") for name in proven.get("peer_dns") or ())
    proxies = [n.removesuffix(_PROXY_SUFFIX) for n in names if n.endswith(_PROXY_SUFFIX)]
    return Peer(identity, proxies[0] if proxies else "")


def proxy_dns_name(proxy: str) -> str:
    """How a certificate names the proxy that it is for."""
    return proxy + _PROXY_SUFFIX


class ServingCertificate:
    """The control plane's own certificate, renewed when a handshake finds it due.

    ``authority`` returns the one in force; the first handshake after another has come into force
    takes it up. ``fetch`` is called from gRPC's threads, one handshake at a time.
    """

    def __init__(
        self,
        authority: Callable[[], Authority],
        trust_domain: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._authority = authority
        self._identity = str(Identity(trust_domain, NAMESPACE, SERVICE_ACCOUNT))
        self._now = now
        self._due = now()
        self._issued_by: Authority | None = None

    def credentials(self, *, mutual: bool = True) -> grpc.ServerCredentials:
        """TLS; ``mutual``: a client certificate of the mesh is required, else none is looked at."""
        return grpc.dynamic_ssl_server_credentials(
            self._issue(), self.fetch, require_client_authentication=mutual
        )

    def fetch(self) -> Any:
        """What to serve with from now on; None: no change."""
        due = self._now() >= self._due or self._authority() is not self._issued_by
        return self._issue() if due else None

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
        self._issued_by = authority
        self._due = renewal_time(now, ends, jitter=random.uniform(0, 0.8))
        private_key = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return grpc.ssl_server_certificate_configuration(
            ((private_key, "".join(own).encode()),), bundle(authority.roots).encode()
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
