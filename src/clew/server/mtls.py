"""Listening for proxies: mTLS with the mesh's own certificates, and who is at the other end."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from clew.ca.authority import Authority, bundle
from clew.model import names
from clew.model.proxy import Proxy
from clew.model.spiffe import Identity
from clew.server.http2.call import Caller
from clew.server.http2.tls import server_context
from clew.server.own_certificate import OwnCertificate

# Istio's names of the control plane, which agents check.
SERVER_NAMES = (names.CONTROL_PLANE_SERVER_NAME, "istiod.istio-system", "istiod", "localhost")

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
    dns = (value for kind, value in caller.names if kind == "DNS")
    proxies = [n.removesuffix(PROXY_SUFFIX) for n in dns if n.endswith(PROXY_SUFFIX)]
    return Peer(identity, proxies[0] if proxies else "")


def peer_name(proxy: Proxy) -> str:
    """What certificates and agents call a proxy: ``<name>.<namespace>``."""
    return f"{proxy.name}.{proxy.namespace}"


def proxy_dns_name(proxy: str) -> str:
    """How a certificate names the proxy that it is for."""
    return proxy + PROXY_SUFFIX


class ServingCertificate:
    """TLS with the control plane's own certificate, renewed when a handshake finds it due.

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
        self._own = OwnCertificate(authority, trust_domain, SERVER_NAMES, now)
        self._key_and_chain = b""
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def mutual(self) -> ssl.SSLContext:
        """TLS that asks for a client certificate of the mesh and takes no other caller."""
        return self._context(required=True)

    def one_sided(self) -> ssl.SSLContext:
        """TLS for callers who have no certificate yet."""
        return self._context(required=False)

    def _context(self, *, required: bool) -> ssl.SSLContext:
        key_and_chain = self._own.key_and_chain()
        if key_and_chain is not self._key_and_chain:
            self._key_and_chain = key_and_chain
            self._contexts.clear()
        if required not in self._contexts:
            self._contexts[required] = server_context(
                key_and_chain, bundle(self._authority().roots), certificate_required=required
            )
        return self._contexts[required]
