"""Listening for proxies: mTLS with the mesh's own certificates, and who is at the other end."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clew.ca.authority import Authority, bundle, issue
from clew.ca.renewal import renewal_time
from clew.model.spiffe import Identity
from clew.server.http2.call import Caller
from clew.server.http2.tls import server_context

# Who the control plane is; Istio's names, which agents check.
NAMESPACE, SERVICE_ACCOUNT = "istio-system", "istiod"
SERVER_NAMES = ("istiod.istio-system.svc", "istiod.istio-system", "istiod", "localhost")

# Of a proxy's name in its certificate: no server of ours has a name that ends so.
PROXY_SUFFIX = ".proxy"


@dataclass(frozen=True, slots=True)
class Peer:
    """What a verified certificate says of who presented it.

    ``proxy``: ``<name>.<namespace>``, as in the node id; "" if the certificate names none.
    """

    identity: Identity
    proxy: str = ""


def peer_of(caller: Caller) -> Peer | None:
    """Who called, proven by a client certificate; None without one, or if it names no workload."""
    uris = [value for kind, value in caller.names if kind == "URI"]
    if len(uris) != 1:
        return None
    try:
        identity = Identity.parse(uris[0])
    except ValueError:
        return None
    names = (value for kind, value in caller.names if kind == "DNS")
    proxies = [n.removesuffix(PROXY_SUFFIX) for n in names if n.endswith(PROXY_SUFFIX)]
    return Peer(identity, proxies[0] if proxies else "")


def proxy_dns_name(proxy: str) -> str:
    """How a certificate names the proxy that it is for."""
    return proxy + PROXY_SUFFIX


class ServingCertificate:
    """The control plane's own certificate, renewed when a handshake finds it due.

    ``authority`` returns the one in force; the first handshake after another has come into force
    takes it up.
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
        self._key_and_chain = b""
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def mutual(self) -> ssl.SSLContext:
        """TLS that asks for a client certificate of the mesh and takes no other caller."""
        return self._context(required=True)

    def one_sided(self) -> ssl.SSLContext:
        """TLS for callers who have no certificate yet."""
        return self._context(required=False)

    def _context(self, *, required: bool) -> ssl.SSLContext:
        authority = self._authority()
        if self._now() >= self._due or authority is not self._issued_by:
            self._issue(authority)
            self._contexts.clear()
        if required not in self._contexts:
            self._contexts[required] = server_context(
                self._key_and_chain, bundle(authority.roots), certificate_required=required
            )
        return self._contexts[required]

    def _issue(self, authority: Authority) -> None:
        now = self._now()
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
