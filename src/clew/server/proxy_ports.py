"""Where proxies connect: sockets on this machine, and TLS ports for other hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from clew.api.location import CA_SOCKET, XDS_SOCKET, socket_path
from clew.server.ads import AdsServer, require_identity
from clew.server.csr import CertificateService
from clew.server.directory import Directory
from clew.server.http2.call import Method
from clew.server.http2.server import GrpcServer
from clew.server.identities import Identities
from clew.server.listening import listen
from clew.server.mtls import ServingCertificate
from clew.server.registration import Registration

# How long streams may take to end when the control plane stops.
STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePorts:
    """``host:port`` for proxies of other hosts; "": none.

    ``xds``: configuration, renewals and reports, with the certificate that a host has. ``join``:
    the first certificate, with a join token. Two ports, as one that asks for certificates lets
    nobody in who has none yet.
    """

    xds: str = ""
    join: str = ""


@asynccontextmanager
async def serving_proxies(
    state: Path,
    remote: RemotePorts,
    identities: Identities,
    directory: Directory,
    registration: Registration,
    reports: Mapping[str, Method],
) -> AsyncIterator[None]:
    """Listen on xds.sock (mTLS) and ca.sock (the mesh's owner), and on the ports for others.

    ``reports``: the methods by which proxies tell of traffic.

    Raises: OSError when an address cannot be bound.
    """
    certificate = ServingCertificate(identities.in_force, identities.trust_domain)
    domains, counters = identities.trust_domains, identities.counters
    ads = AdsServer(directory, require_identity(domains), registration, identities.trust)
    renewals = CertificateService(identities.in_force, domains, counters=counters)
    first = CertificateService(identities.in_force, domains, trust_claims=True, counters=counters)
    joining = CertificateService(
        identities.in_force, domains, tokens=identities.tokens, counters=counters
    )
    proxies = {**ads.methods(), **renewals.methods(), **reports}
    places = [
        (f"unix:{socket_path(state, XDS_SOCKET)}", proxies, certificate.mutual),
        (f"unix:{socket_path(state, CA_SOCKET)}", first.methods(), None),
        (remote.xds, proxies, certificate.mutual),
        (remote.join, joining.methods(), certificate.one_sided),
    ]
    async with AsyncExitStack() as servers:
        for address, methods, context in places:
            if address:
                server = GrpcServer(listen(address), methods, context)
                servers.push_async_callback(server.stop, STOP_SECONDS)
        yield
